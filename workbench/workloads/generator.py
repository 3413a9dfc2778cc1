"""A synthetic market: many symbols, clustered arrivals, a book behind every event. Made of integers and one seed."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import EVENT
from workbench.errors import InputError
from workbench.workloads.arrivals import arrivals
from workbench.workloads.calibration import CHILDREN, DELAY_NS, DELAY_SHARE, IMMIGRANT_GAP_NS, REFERENCE_PRICE_TICKS
from workbench.workloads.loaded import DEFAULT_TICK, Loaded, Parsed, by_time, describe
from workbench.workloads.market import SCALE_ONE, make_book, trade_symbol

OPENING_NS = 34_200 * 10**9  # 9:30
MAX_SYMBOLS = 1 << 16
MAX_EVENTS = 1 << 30
_BURST_NS = 10**6  # gaps within a burst: machines answer one another as fast in a quiet symbol as in a busy one
_STRETCH_ONE = 1024
_CHEAPEST_TICKS = 3_000
_MASK = 2**64 - 1


@kernel_jit
def _stretch(times, span_ns):  # type: ignore[no-untyped-def]
    """Stretch the gaps between bursts so that `times` (int64, ns from 0) end near `span_ns`; bursts keep their pace."""
    short, before = np.int64(0), np.int64(0)
    for moment in times:
        gap = moment - before
        short += gap if gap < _BURST_NS else 0
        before = moment
    factor = max(span_ns - short, np.int64(0)) * _STRETCH_ONE // max(before - short, np.int64(1))
    before, now = np.int64(0), np.int64(0)
    for i in range(times.shape[0]):
        gap = times[i] - before
        before = times[i]
        now += gap if gap < _BURST_NS else gap // _STRETCH_ONE * factor
        times[i] = now


def _shares(symbols: int, events: int) -> list[int]:
    """Return how many events each symbol has: one, and of the rest a share that falls as 1/rank (Zipf)."""
    total = sum(1 / (rank + 1) for rank in range(symbols))
    rest = events - symbols
    shares = [1 + int(rest / (rank + 1) / total) for rank in range(symbols)]
    shares[0] += events - sum(shares)
    return shares


def _seed(seed: int, symbol: int) -> np.ndarray:
    """Return the generator's first state for one symbol: distinct odd multipliers keep seeds and symbols apart."""
    return np.array([(seed * 0xD1342543DE82EF95 + symbol * 0xDA942042E4DD58B5 + 0x2545F4914F6CDD1D) & _MASK], np.uint64)


def _moments(count: int, state: np.ndarray) -> np.ndarray:
    """Return `count` moments from 0 (int64, ns) from the middle of a longer run: its ends lack parents or children."""
    margin = count // 16 + 32
    times = np.zeros(count + 2 * margin, np.int64)
    arrivals(times, state, IMMIGRANT_GAP_NS, CHILDREN, DELAY_SHARE, DELAY_NS)
    moments: np.ndarray = times[margin : margin + count] - times[margin]
    return moments


def generate(symbols: int, events: int, seed: int) -> np.ndarray:
    """Return an EVENT array of a synthetic market, ordered by time. See `synthetic`."""
    made, start, span_ns = np.zeros(events, EVENT), 0, 0
    for symbol, share in enumerate(_shares(symbols, events)):
        state = _seed(seed, symbol)
        times = _moments(share, state)
        if symbol == 0:
            span_ns = int(times[-1])
        else:
            _stretch(times, span_ns)
        range_ticks = REFERENCE_PRICE_TICKS - _CHEAPEST_TICKS
        first = REFERENCE_PRICE_TICKS - (int(state[0] >> np.uint64(40)) * range_ticks >> 24 if symbol else 0)
        scale = max(SCALE_ONE * first // REFERENCE_PRICE_TICKS, SCALE_ONE // 8)
        part = made[start : start + share]
        trade_symbol(part, times + OPENING_NS, make_book(share), state, first, scale, symbols, symbol)
        start += share
    if symbols == 1:
        return made
    return by_time(made)


def synthetic(symbols: int = 1, events: int = 100_000, seed: int = 1, *, name: str | None = None) -> Loaded:
    """Make a synthetic market of that many `symbols` and `events`; the same seed makes the same one on every machine.

    Symbol 0 is the busiest and behaves like the real hour of `workbench.workloads.calibration`; the activity of the
    others falls as 1/rank over the same span of time, and their prices and distances are smaller. The first events
    fill the empty books. Makes about a million events a second. Raises InputError for numbers that cannot be.
    """
    for what, value, low, high in (("symbols", symbols, 1, MAX_SYMBOLS), ("events", events, symbols, MAX_EVENTS)):
        if not low <= value <= high:
            raise InputError(f"synthetic market: {what} must lie in {low:,} .. {high:,}, not {value:,}")
    made = generate(symbols, events, seed)
    parsed = Parsed("synthetic", made, tick_sizes=(DEFAULT_TICK,) * symbols)
    return describe(parsed, name or f"synthetic-{symbols}", seed=seed)
