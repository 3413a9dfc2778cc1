"""The signals of many symbols at once: a lane of the vector register is a symbol.

The average of one symbol waits for that of the bar before; the symbols do not wait for one another. So each field lies
in an array of its own, symbol beside symbol, and one instruction takes as many symbols as the target has lanes (2, 4 or
8). Branches become masks. Not faster for fewer symbols than lanes: a single symbol costs what a whole vector costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.memory import aligned
from kernels.machine.vector import (
    first_lanes,
    lanes,
    load,
    load_masked,
    mask_of,
    multiply_add,
    select,
    splat,
    store,
    store_masked,
)
from kernels.probe import start, stop
from kernels.signals import _state
from kernels.signals._state import INDICATORS, NAMES

LANES = lanes(np.float64)
FIELDS = ("count", "sum", "fresh", "ema")
COUNT, SUM, FRESH, EMA = range(len(FIELDS))
_PADDED_TO = 8  # symbols: a cache line of float64, and the widest vector


class SimdState(NamedTuple):
    """A structure of arrays. Rows are padded to whole cache lines: the last vector may write past the symbols."""

    fields: np.ndarray  # float64[fields, padded symbols]
    ring: np.ndarray  # float64[window, padded symbols], the last prices
    bars: np.ndarray  # int64[1], how many came
    symbols: np.ndarray  # int64[2], symbols and indicator


def allocate(parameters: Mapping[str, int]) -> SimdState:
    """Return the state before the first bar."""
    padded = -(-parameters["symbols"] // _PADDED_TO) * _PADDED_TO
    return SimdState(
        fields=aligned((len(FIELDS), padded), np.float64),
        ring=aligned((parameters["window"], padded), np.float64),
        bars=np.zeros(1, np.int64),
        symbols=np.array([parameters["symbols"], parameters["indicator"]], np.int64),
    )


def reset(state: SimdState) -> None:
    """Forget every bar."""
    for array in state[:3]:
        array[:] = 0


@kernel_jit(_nrt=False, forceinline=True)
def average(state, at, price, count, place, window, inverse):
    """Take `price` into the sums over the window; return the simple averages. `place` is where the ring stands.

    A running sum alone drifts by a rounding error a bar. `FRESH` adds up the prices since the ring began anew, and
    takes the sum's place when it holds them all: no sum is older than two windows, and no bar costs more than another.
    """
    begins = mask_of(-1 if place == 0 else 0, LANES)
    ends = mask_of(-1 if place == window - 1 else 0, LANES)
    fresh = price + select(count > 1.0, select(begins, 0.0, load(state.fields, (FRESH, at))), 0.0)
    store(state.fields, (FRESH, at), fresh)
    leaving = select(count > window, load(state.ring, (place, at)), 0.0)
    running = load(state.fields, (SUM, at)) + (price - leaving)
    total = select(ends, fresh, running)  # needs no start of its own: the ring ends before a new window is full
    store(state.fields, (SUM, at), total)
    store(state.ring, (place, at), price)
    return select(count >= window, total * inverse, np.nan)


@kernel_jit(_nrt=False, forceinline=True)
def exponential(state, at, price, simple, count, window, alpha):
    """Take `price` into the exponential averages, which start with the simple ones; return them."""
    before = load(state.fields, (EMA, at))
    smooth = select(count > window, multiply_add(price - before, splat(alpha, np.float64), before), simple)
    store(state.fields, (EMA, at), smooth)
    return smooth


@kernel_jit(_nrt=False, forceinline=True)
def step(state, at, price, place, window, inverse, alpha):
    """Take the prices of `LANES` symbols from number `at` on; return their simple and exponential averages."""
    good = price - price == 0.0  # neither NaN nor infinite
    count = select(good, load(state.fields, (COUNT, at)) + 1.0, 0.0)
    store(state.fields, (COUNT, at), count)
    simple = average(state, at, select(good, price, 0.0), count, place, window, inverse)
    return simple, exponential(state, at, price, simple, count, window, alpha)


@kernel_jit(_nrt=False)
def replay(state, bars, out, begin, probe):
    """Take in the bars from number `begin` on and write the average of each into `out`; return the number of bars."""
    prices, smooth_one = bars.close, state.symbols[1] == 1
    symbols, window = state.symbols[0], state.ring.shape[0]
    if prices.shape[1] != symbols:
        raise ValueError("signals: prices must have as many columns as the state has symbols")
    inverse, alpha = 1.0 / window, 2.0 / (window + 1)
    whole = symbols // LANES * LANES
    rest = first_lanes(symbols - whole, LANES)
    place = state.bars[0] % window
    for row in range(begin, prices.shape[0]):
        stamp = start(probe)
        for at in range(0, whole, LANES):
            simple, smooth = step(state, at, load(prices, (row, at)), place, window, inverse, alpha)
            store(out, (0, row, at), smooth if smooth_one else simple)
        if whole < symbols:
            price = load_masked(prices, (row, whole), rest)
            simple, smooth = step(state, whole, price, place, window, inverse, alpha)
            store_masked(out, (0, row, whole), smooth if smooth_one else simple, rest)
        state.bars[0] += 1
        place = place + 1 if place < window - 1 else 0
        stop(probe, stamp)
    return prices.shape[0]


def export_state(state: SimdState) -> Canonical:
    """Return the canonical form (see `_state`)."""
    symbols, window = int(state.symbols[0]), state.ring.shape[0]
    count = state.fields[COUNT, :symbols].copy()
    place = np.full(symbols, int(state.bars[0]) % window)
    ring = _state.oldest_first(state.ring[:, :symbols], place, count)
    if state.symbols[1] == 0:
        return {"count": count, "closes": ring}
    return {"count": count, "ema": np.where(count < window, ring.sum(axis=0), state.fields[EMA, :symbols])}


def import_state(state: SimdState, canonical: Canonical) -> SimdState:
    """Replace the content of `state` by `canonical`. Raises ValueError, changing nothing, when it does not fit."""
    symbols, window = int(state.symbols[0]), state.ring.shape[0]
    _state.check(canonical, INDICATORS[int(state.symbols[1])], symbols, window)
    reset(state)
    count = state.fields[COUNT, :symbols] = canonical["count"]
    if state.symbols[1] == 0:
        state.ring[:, :symbols] = canonical["closes"]
    else:  # a ring whose newest place holds the sum, as the average needs it once
        state.ring[-1, :symbols] = np.where(count < window, canonical["ema"], 0.0)
        state.fields[EMA, :symbols] = np.where(count < window, np.nan, canonical["ema"])
    state.fields[SUM, :symbols] = state.ring[:, :symbols].sum(axis=0)
    return state


def refuses(parameters: Mapping[str, int]) -> str | None:
    """Return why these parameters are none of this variant, or None."""
    if parameters["threads"] > 1:
        return "it is one thread's"
    return None if NAMES[parameters["indicator"]] in ("sma", "ema") else "it has sma and ema only"


VARIANT = Variant(
    name="simd",
    parent="baseline",
    idea="A lane is a symbol: one instruction for 2, 4 or 8 of them, fields side by side, masks for branches.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
    relative_tolerance=1e-12,
    refuses=refuses,
)
