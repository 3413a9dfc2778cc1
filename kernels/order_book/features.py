"""What a signal reads of a book's depth: total size, value and mean price of the best levels, and their imbalance.

The functions take the state of any variant. They are for the thread that writes the book, between two events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.machine.stack import stack_empty
from kernels.order_book._apply import copy_levels, hot

MOST_LEVELS = 64

_own_bodies: set[type] = set()
_OPTIONS: Any = {"nogil": True, "error_model": "numpy"}


def sum_levels(state: Any, row: Any, n: Any) -> Any:
    """Return ``(levels, size, value)`` of the best `n` levels of `row`. Only a name: see `give_sums`."""


@hot
def _sum_copied(state, row, n):
    levels = stack_empty((2, MOST_LEVELS), np.int64)
    prices, sizes = levels[0, :n], levels[1, :n]
    written = copy_levels(state, row, prices, sizes)
    size, value = 0, 0
    for i in range(written):
        size += sizes[i]
        value += sizes[i] * prices[i]
    return written, size, value


@overload(sum_levels, jit_options=_OPTIONS)
def _sum_levels_of_any(state, row, n):
    if isinstance(state, types.NamedTuple) and state.instance_class not in _own_bodies:
        return _sum_copied.py_func
    return None


def give_sums(state_class: type, body: Callable[..., Any]) -> None:
    """Make `sum_levels` of a `state_class` run `body`, a compiled function, instead of copying the levels first."""
    _own_bodies.add(state_class)

    def choose(state, row, n):
        mine = isinstance(state, types.NamedTuple) and state.instance_class is state_class
        return body.py_func if mine else None  # type: ignore[attr-defined]

    overload(sum_levels, jit_options=_OPTIONS)(choose)


@kernel_jit
def depth_sum(state, symbol, side, n):
    """Return ``(levels, size, value)`` of the best `n` levels of one side, `n` within 0 .. 64.

    `levels` is how many there are, `size` the sum of their sizes, and `value` the sum of size times price in ticks, so
    that ``value / size`` is their mean price by volume. Integers, exact: the same in every variant. Raises ValueError
    for another `n`. `value` would wrap only above 2**63, which no order of a real market comes near.
    """
    if not 0 <= n <= MOST_LEVELS:
        raise ValueError("depth_sum takes 0 to 64 levels")
    return sum_levels(state, 2 * symbol + side, n)


@kernel_jit
def features(state, symbol, n):
    """Return ``(bid_size, ask_size, bid_price, ask_price, imbalance)`` of the best `n` levels of both sides.

    The prices are means by volume in ticks, 0.0 for an empty side. The imbalance is ``(bid_size - ask_size) /
    (bid_size + ask_size)``, from -1.0 to 1.0, and 0.0 for an empty book. Raises ValueError as `depth_sum`.
    """
    _, bid_size, bid_value = depth_sum(state, symbol, 0, n)
    _, ask_size, ask_value = depth_sum(state, symbol, 1, n)
    bid_price = bid_value / bid_size if bid_size else 0.0
    ask_price = ask_value / ask_size if ask_size else 0.0
    both = bid_size + ask_size
    return bid_size, ask_size, bid_price, ask_price, (bid_size - ask_size) / both if both else 0.0
