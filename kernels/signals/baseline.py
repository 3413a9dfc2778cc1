"""The signals that a competent engineer writes first: one record for each symbol, a running sum, plain loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.probe import start, stop
from kernels.signals import _state
from kernels.signals._state import COUNT, EMA, FIELDS, FRESH, SUM

_RING = len(FIELDS)  # where a record's last prices begin


class BaselineState(NamedTuple):
    """An array of structs."""

    records: np.ndarray  # float64[symbols, fields + window]: a symbol's fields, then its last prices as a ring
    bars: np.ndarray  # int64[1], how many came


def allocate(parameters: Mapping[str, int]) -> BaselineState:
    """Return the state before the first bar."""
    return BaselineState(
        records=np.zeros((parameters["symbols"], _RING + parameters["window"])),
        bars=np.zeros(1, np.int64),
    )


def reset(state: BaselineState) -> None:
    """Forget every bar."""
    for array in state:
        array[:] = 0


@kernel_jit(_nrt=False, forceinline=True)
def average(record, price, place, window, inverse):
    """Take `price` into the sum over the window; return the simple average. `place` is where the ring stands.

    A running sum alone drifts by a rounding error a bar. `FRESH` adds up the prices since the ring began anew, and
    takes the sum's place when it holds them all: no sum is older than two windows, and no bar costs more than another.
    """
    if place == 0:
        record[FRESH] = 0.0
    record[FRESH] += price
    if place == window - 1:
        record[SUM] = record[FRESH]
    elif record[COUNT] > window:
        record[SUM] += price - record[_RING + place]
    else:
        record[SUM] += price
    record[_RING + place] = price
    return record[SUM] * inverse if record[COUNT] >= window else np.nan


@kernel_jit(_nrt=False, forceinline=True)
def exponential(record, price, simple, window, alpha):
    """Take `price` into the exponential average, which starts with the simple one; return it."""
    if record[COUNT] > window:
        record[EMA] += alpha * (price - record[EMA])
    else:
        record[EMA] = simple  # NaN until the window is full
    return record[EMA]


@kernel_jit(_nrt=False)
def replay(state, prices, out, begin, probe):
    """Take in the bars ``prices[begin:]`` and write both averages of each into `out`; return the number of bars.

    `prices` is float64[rows, symbols] in C order, `out` float64[2, rows, symbols].
    """
    symbols, window = state.records.shape[0], state.records.shape[1] - _RING
    if prices.shape[1] != symbols:
        raise ValueError("signals: prices must have as many columns as the state has symbols")
    inverse, alpha = 1.0 / window, 2.0 / (window + 1)
    place = state.bars[0] % window
    for row in range(begin, prices.shape[0]):
        stamp = start(probe)
        for symbol in range(symbols):
            price, record = prices[row, symbol], state.records[symbol]
            if price - price == 0.0:  # neither NaN nor infinite
                record[COUNT] += 1.0
                simple = average(record, price, place, window, inverse)
                out[0, row, symbol] = simple
                out[1, row, symbol] = exponential(record, price, simple, window, alpha)
            else:
                record[COUNT], record[SUM], record[FRESH], record[EMA] = 0.0, 0.0, 0.0, np.nan
                record[_RING + place] = 0.0
                out[0, row, symbol] = np.nan
                out[1, row, symbol] = np.nan
        state.bars[0] += 1
        place = place + 1 if place < window - 1 else 0
        stop(probe, stamp)
    return prices.shape[0]


def export_state(state: BaselineState) -> Canonical:
    """Return the canonical form: the fields by name, float64[symbols]; ``ring``, float64[window, symbols]; ``bars``."""
    canonical = {name: state.records[:, i].copy() for i, name in enumerate(FIELDS)}
    return {**canonical, "ring": np.ascontiguousarray(state.records[:, _RING:].T), "bars": state.bars.copy()}


def import_state(state: BaselineState, canonical: Canonical) -> BaselineState:
    """Replace the content of `state` by `canonical`. Raises ValueError, changing nothing, when it does not fit."""
    symbols, width = state.records.shape
    _state.check(canonical, symbols, width - _RING)
    for i, name in enumerate(FIELDS):
        state.records[:, i] = canonical[name]
    state.records[:, _RING:] = canonical["ring"].T
    state.bars[:] = canonical["bars"]
    return state


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="One record for each symbol, symbol by symbol, a running sum and a branch for each case.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
    relative_tolerance=1e-12,
)
