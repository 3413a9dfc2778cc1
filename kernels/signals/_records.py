"""One record for each symbol, an array of structs: what `baseline` keeps, and how its indicators share one loop.

An indicator is a state class and a function that takes one bar into one record. Numba chooses the function by the class
when it compiles, so that the code of one indicator holds nothing of the others.

A record is float64[fields + private fields + rings]: the canonical fields (`_state`), then where the ring stands, then
what the indicator keeps besides, then its rings, `window` long each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.signals._state import Indicator, named

COUNT = 0  # every indicator that keeps anything begins with its good bars

inlined = kernel_jit(inner=True, forceinline=True, _nrt=False)
_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "forceinline": True, "_nrt": False}


class Records(NamedTuple):
    """An array of structs."""

    records: np.ndarray  # float64[symbols, width]
    whole: np.ndarray  # int64[symbols, width], the same memory: for the places in a record, which are whole numbers
    window: np.ndarray  # int64[1]
    weight: np.ndarray  # float64[1], 1 / window: a tick needs not divide
    lock: np.ndarray  # a mutex, under which threads take symbols


class Plan(NamedTuple):
    """How one indicator is computed."""

    indicator: Indicator
    private: int  # fields of its own behind the canonical ones
    rebuild: Callable[[np.ndarray, int], None] | None  # makes those of every record, from a state that was imported

    @property
    def rings_at(self) -> int:
        """Return where a record's rings begin."""
        return len(self.indicator.fields) + self.private


plans: dict[str, tuple[type[Records], Plan]] = {}
_plan_of: dict[type, Plan] = {}
_bodies: dict[type, Any] = {}


def offer(
    name: str, state: type[Records], body: Any, private: int = 0, rebuild: Callable[..., None] | None = None
) -> None:
    """Announce that records of class `state` hold the indicator called `name`, and that `body` takes a bar in."""
    plan = Plan(named(name), private, rebuild)
    plans[name], _plan_of[state], _bodies[state] = (state, plan), plan, body


def plan_of(state: Records) -> Plan:
    """Return how the indicator of `state` is computed."""
    return _plan_of[type(state)]


def take(state: Any, record: Any, whole: Any, window: Any, bar: Any) -> Any:
    """Take `bar` into `record`; return the lines as a tuple. Only a name: the class of `state` chooses the body.

    `whole` is the same record as int64. `bar` is ``(high, low, close, volume)``, or ``(bid_price, bid_size, ask_price,
    ask_size)`` for indicators of the book.
    """


@overload(take, jit_options=_OPTIONS)
def _take(state, record, whole, window, bar):
    return _bodies[state.instance_class].py_func if isinstance(state, types.NamedTuple) else None


def columns(bars: Any, state: Any) -> Any:
    """Return the four columns of `bars` that `take` reads. Only a name: the class of `state` chooses."""


@overload(columns, jit_options=_OPTIONS)
def _columns(bars, state):
    if not isinstance(state, types.NamedTuple):
        return None
    if _plan_of[state.instance_class].indicator.of_quotes:
        return lambda bars, state: (bars.bid_price, bars.bid_size, bars.ask_price, bars.ask_size)
    return lambda bars, state: (bars.high, bars.low, bars.close, bars.volume)


@inlined
def forget(record, end):
    """Set the fields of a record to 0, up to `end`: where its ring stands too, whose content then counts no more."""
    for i in range(end):
        record[i] = 0.0


@inlined
def good(value):
    """Return whether `value` is neither NaN nor infinite."""
    return value - value == 0.0


@inlined
def next_place(place, window):
    """Return the place of a ring behind `place`."""
    return place + 1 if place < window - 1 else 0
