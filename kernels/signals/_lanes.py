"""The state of the vector variants, and the loops that all of their indicators share.

Two kinds of code take bars in. One bar of one symbol, whatever may come, goes into the symbol's record exactly as in
`baseline`. Many bars of a symbol that has started, and none of them bad, are taken by vectors that keep nothing but a
few running numbers (`carry`) and look at the bars of the window where they lie, in the input. Whether bars are good is
seen afterwards: a NaN or an infinity stays in every running number. The numbers of before are then still there, and
the record takes those bars.

An indicator announces, by the class of its state, what its vectors do: Numba chooses when it compiles, so that the code
of one indicator holds nothing of the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.machine.vector import high_half, lanes, low_half, store, store_masked, stream
from kernels.signals._records import COUNT, _bodies, _plan_of, columns, plans, take

LANES = lanes(np.float64)
WIDE = 4 * LANES
"""Symbols that a vector of several registers takes: their chains of additions overlap."""

SPAN = 256  # rows between two looks at which symbols take part, and between two fresh sums over a window
IN_RECORD = -1  # what `since` says of a symbol whose numbers are in its record
CARRIED = 4  # running numbers of a symbol, at most
MACD_START = 34  # good bars that MACD needs before its first value, whatever the window

inlined = kernel_jit(inner=True, forceinline=True, _nrt=False)
apart = kernel_jit(inner=True, forceinline=False, _nrt=False)
_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "forceinline": True, "_nrt": False}


class Lanes(NamedTuple):
    """Records as in `baseline`, and running numbers symbol beside symbol for the vectors."""

    records: np.ndarray  # float64[symbols, width]
    whole: np.ndarray  # the same memory as int64
    window: np.ndarray  # int64[1]
    weight: np.ndarray  # float64[1], 1 / window
    carry: np.ndarray  # float64[CARRIED, padded symbols]; means something only while bars are taken in
    since: np.ndarray  # int64[padded symbols]: the row from which a symbol's numbers are in `carry`, or IN_RECORD
    room: np.ndarray  # float64[...], where the largest of a window are found
    published: np.ndarray  # int64[padded symbols]: `lock_free`'s, how many bars eight symbols have got


def _no_room(window: int, symbols: int) -> int:
    return 0


class Plan(NamedTuple):
    """What the vectors of one indicator do."""

    rows: Any  # (state, bars, out, at, span, first, end, mask, streaming) -> bits of the lanes that met no bad bar
    series: Any  # (state, bars, out, first, end, streaming) -> the row up to which it came
    promote: Any  # (state, symbol): the record's running numbers to `carry`
    demote: Any  # (state, bars, symbol, row): back, after the row before `row`
    room: Callable[[int, int], int] = _no_room  # (window, symbols) -> float64 of `room`


_plans: dict[type, Plan] = {}
_classes: dict[str, type[Lanes]] = {}


def offer(name: str, state: type[Lanes], plan: Plan) -> None:
    """Announce that states of class `state` compute the indicator called `name` as `plan` says."""
    records, _ = plans[name]
    _bodies[state], _plan_of[state] = _bodies[records], _plan_of[records]  # type: ignore[index]
    _plans[state], _classes[name] = plan, state


def class_of(name: str) -> type[Lanes]:
    """Return the state class of the indicator called `name`."""
    return _classes[name]


# ---- the parts that an indicator gives a body ----------------------------------------------------------------------


def rows(state: Any, bars: Any, out: Any, at: Any, span: Any, first: Any, end: Any, mask: Any, streaming: Any) -> Any:
    """Take in the rows ``first .. end - 1`` of the symbols from `at` on, a lane each.

    `span` is the row at which fresh sums were or are to be made. Returns the bits of the lanes that met no bad bar; the
    `carry` of the others is as before.
    """


def series(state: Any, bars: Any, out: Any, first: Any, end: Any, streaming: Any) -> Any:
    """Take in the rows from `first` on of the only symbol, several rows a step; return the row up to which it came."""


def promote(state: Any, symbol: Any) -> Any:
    """Move the running numbers of a symbol from its record to `carry`."""


def demote(state: Any, bars: Any, symbol: Any, row: Any) -> Any:
    """Make the record of a symbol as it is after the row before `row`, but for its count."""


def _give_bodies(part: Callable[..., Any]) -> None:
    def choose(state, *rest):
        if not isinstance(state, types.NamedTuple):
            return None
        return getattr(_plans[state.instance_class], part.__name__).py_func

    names = inspect.signature(part).parameters  # which Numba compares with those of the body: without annotations
    choose.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    overload(part, jit_options=_OPTIONS)(choose)


for _part in (rows, series, promote, demote):
    _give_bodies(_part)


# ---- what the indicators use ---------------------------------------------------------------------------------------


def stream_registers(out: Any, index: Any, vector: Any) -> Any:
    """Write a vector past the caches, register by register. Compiled code only."""


@overload(stream_registers, jit_options=_OPTIONS)
def _stream_registers(out, index, vector):
    if vector.lanes == LANES:
        return lambda out, index, vector: stream(out, index, vector)  # noqa: PLW0108 - Numba takes functions only

    def halves(out, index, vector):
        half = (index[0], index[1], index[2] + LANES * (WIDE // LANES // 2))
        stream_registers(out, index, low_half(vector))
        stream_registers(out, half, high_half(vector))

    def quarters(out, index, vector):
        next_one = (index[0], index[1], index[2] + LANES)
        stream_registers(out, index, low_half(vector))
        stream_registers(out, next_one, high_half(vector))

    return halves if vector.lanes == WIDE else quarters


@inlined
def put(out, index, vector, mask, streaming):
    """Write the lanes that `mask` has: with `streaming` all of them, past the caches, to an aligned address.

    `streaming` is None or True, so that Numba compiles one of the two only.
    """
    if streaming is None:
        store_masked(out, index, vector, mask)
    else:
        stream_registers(out, index, vector)


@inlined
def emit(out, index, vector, streaming):
    """Write a vector of one series: with `streaming` past the caches, to an aligned address. None or True, as `put`."""
    if streaming is None:
        store(out, index, vector)
    else:
        stream(out, index, vector)


@inlined
def refill(state, bars, symbol, row, wanted):
    """Make a record anew from the last `wanted` bars, all of them good: rings, sums and what is found in them."""
    record, whole, window = state.records[symbol], state.whole[symbol], state.window[0]
    a, b, c, d = columns(bars, state)
    for i in range(record.shape[0]):
        record[i] = 0.0
    for i in range(row - wanted, row):
        take(state, record, whole, window, (a[i, symbol], b[i, symbol], c[i, symbol], d[i, symbol]))


@apart
def one_by_one(state, bars, out, symbol, first, end):
    """Take in the rows ``first .. end - 1`` of one symbol, as `baseline` does."""
    a, b, c, d = columns(bars, state)
    record, whole, window = state.records[symbol], state.whole[symbol], state.window[0]
    for row in range(first, end):
        bar = a[row, symbol], b[row, symbol], c[row, symbol], d[row, symbol]
        lines = take(state, record, whole, window, bar)
        for line in range(len(lines)):
            out[line, row, symbol] = lines[line]


@inlined
def started_after(state):
    """Return how many good bars a symbol needs before vectors may take it, and how many rows must lie before."""
    return max(state.window[0], MACD_START) + 3 * LANES


@apart
def enter(state, symbol, row):
    """Let the vectors take a symbol from `row` on, if it has started; say whether they do."""
    if state.records.shape[1] and state.records[symbol, COUNT] < started_after(state):
        return False
    promote(state, symbol)
    state.since[symbol] = row
    return True


@apart
def leave(state, bars, symbol, row):
    """Put everything back into the record of a symbol, as it is after the row before `row`."""
    if state.records.shape[1]:
        count = state.records[symbol, COUNT] + (row - state.since[symbol])
        demote(state, bars, symbol, row)
        state.records[symbol, COUNT] = count
    state.since[symbol] = IN_RECORD
