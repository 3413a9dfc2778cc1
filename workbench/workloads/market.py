"""One symbol of the synthetic market, compiled: a small order book that decides what may happen next.

Every event is drawn from the tables of `workbench.workloads.calibration` and applied to the book at once, so the stream
is valid: an order is added before it is named, never executed for more than is left, and never crosses the other side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import Kind
from workbench.workloads.arrivals import below, choose
from workbench.workloads.calibration import (
    ADDED_AGO,
    DISTANCE_TICKS,
    FULL_EXECUTION_SHARE,
    IMPROVEMENT,
    IMPROVING_SHARE,
    NEXT_KIND,
    ORDER_SIZE,
    REPLACE_SHARE,
    SAME_SIDE_SHARE,
    TOUCH_DELETE_SHARE,
    TRADE_SIZE,
    TYPICAL_SPREAD_TICKS,
)

LEVELS = 1 << 14  # levels a side, indexed by the low bits of the price
REACH_TICKS = LEVELS // 2 - 1  # no price is further than this from where the symbol began: so no two share a level
FAIR_REACH_TICKS = 2048  # the random walk turns back here
SCALE_ONE = 256

_ADD, _CANCEL, _DELETE, _EXECUTE = int(Kind.ADD), int(Kind.CANCEL), int(Kind.DELETE), int(Kind.EXECUTE)
_TRADE, _REPLACE = int(Kind.TRADE), int(Kind.REPLACE)
_SHARE = 1 << 20
_IMPROVING = round(IMPROVING_SHARE * _SHARE)
_AT_TOUCH = round(TOUCH_DELETE_SHARE * _SHARE)
_REPLACING = round(REPLACE_SHARE * _SHARE)
_FULL = round(FULL_EXECUTION_SHARE * _SHARE)
_SAME_SIDE = round(SAME_SIDE_SHARE * _SHARE)
_FEWEST, _MOST = 30, 500  # living orders: below, removals become additions; above, additions become removals
_SIDE_FEWEST = 4  # a side never runs empty
_PROBES = 64  # how many orders around the drawn age are looked at for one that lives
_LIVING, _ADDED, _FAIR, _LAST_SIDE = range(4)


class Book(NamedTuple):
    """The state of one symbol. Orders are rows by sequence number from 1; 0 means none."""

    price: np.ndarray  # int32[orders]
    size: np.ndarray  # int32[orders], 0 for an order that is gone
    side: np.ndarray  # uint8[orders]
    after: np.ndarray  # int32[orders], the next in the queue of the level
    before: np.ndarray  # int32[orders]
    head: np.ndarray  # int32[2, LEVELS]
    tail: np.ndarray  # int32[2, LEVELS]
    best: np.ndarray  # int64[2], 0 for an empty side
    on_side: np.ndarray  # int64[2], living orders
    numbers: np.ndarray  # int64[4]: _LIVING, _ADDED, _FAIR, _LAST_SIDE


def make_book(orders: int) -> Book:
    """Return an empty book for as many additions as `orders`."""
    rows = orders + 1
    return Book(
        price=np.zeros(rows, np.int32),
        size=np.zeros(rows, np.int32),
        side=np.zeros(rows, np.uint8),
        after=np.zeros(rows, np.int32),
        before=np.zeros(rows, np.int32),
        head=np.zeros((2, LEVELS), np.int32),
        tail=np.zeros((2, LEVELS), np.int32),
        best=np.zeros(2, np.int64),
        on_side=np.zeros(2, np.int64),
        numbers=np.zeros(4, np.int64),
    )


@kernel_jit
def _insert(book, side, price, size):  # type: ignore[no-untyped-def]
    """Put a new order at the end of its level's queue; return its number."""
    book.numbers[_ADDED] += 1
    order = book.numbers[_ADDED]
    level = price & (LEVELS - 1)
    last = book.tail[side, level]
    book.price[order], book.size[order], book.side[order] = price, size, side
    book.before[order], book.after[order] = last, 0
    book.tail[side, level] = order
    if last:
        book.after[last] = order
    else:
        book.head[side, level] = order
    best = book.best[side]
    if best == 0 or (price > best if side == 0 else price < best):
        book.best[side] = price
    book.on_side[side] += 1
    book.numbers[_LIVING] += 1
    return order


@kernel_jit
def _remove(book, order):  # type: ignore[no-untyped-def]
    """Take a living order out; find the new best price where it was the last of its level."""
    side, price = np.int64(book.side[order]), np.int64(book.price[order])
    level = price & (LEVELS - 1)
    before, after = book.before[order], book.after[order]
    if before:
        book.after[before] = after
    else:
        book.head[side, level] = after
    if after:
        book.before[after] = before
    else:
        book.tail[side, level] = before
    book.size[order] = 0
    book.on_side[side] -= 1
    book.numbers[_LIVING] -= 1
    if book.head[side, level] == 0 and price == book.best[side]:
        step = -1 if side == 0 else 1
        while book.on_side[side] and book.head[side, price & (LEVELS - 1)] == 0:
            price += step
        book.best[side] = price if book.on_side[side] else 0


@kernel_jit
def _random_side(book, state):  # type: ignore[no-untyped-def]
    """Return a side, the bid more likely the more the fair price lies above the middle of the book."""
    if book.best[0] == 0 or book.best[1] == 0:
        return np.int64(0) if book.best[0] == 0 else np.int64(1)
    lean = 2 * book.numbers[_FAIR] - book.best[0] - book.best[1]  # twice the distance, in ticks
    return np.int64(0) if below(state, 1024) < 512 + min(max(2 * lean, -256), 256) else np.int64(1)


@kernel_jit
def _new_price(book, state, side, first, scale):  # type: ignore[no-untyped-def]
    """Return where a new order goes. `first` is the symbol's first price, `scale` its distances' in 1/256."""
    sign = np.int64(-1) if side == 0 else np.int64(1)  # away from the touch
    touch, other = book.best[side], book.best[1 - side]
    spread = abs(other - touch)
    distance = (DISTANCE_TICKS[below(state, DISTANCE_TICKS.shape[0])] * scale + below(state, SCALE_ONE)) // SCALE_ONE
    if touch == 0:
        price = book.numbers[_FAIR] + sign * (1 + (10 * scale) // SCALE_ONE + distance)
    elif other and below(state, _SHARE) * (TYPICAL_SPREAD_TICKS * scale) < _IMPROVING * (spread * SCALE_ONE):
        better = max(np.int64(1), (spread * IMPROVEMENT[below(state, IMPROVEMENT.shape[0])]) // SCALE_ONE)
        price = touch - sign * min(better, spread - 1)
    else:
        price = touch + sign * distance
    price = min(max(price, first - REACH_TICKS, np.int64(1)), first + REACH_TICKS)
    if other and side == 0:
        price = min(price, other - 1)
    elif other:
        price = max(price, other + 1)
    return price


@kernel_jit
def _living_order(book, state):  # type: ignore[no-untyped-def]
    """Return an order that lives, near a drawn age or at the touch, whose side would not run empty; 0 for none."""
    if below(state, _SHARE) < _AT_TOUCH:
        side = _random_side(book, state)
        if book.on_side[side] > _SIDE_FEWEST:
            return np.int64(book.tail[side, book.best[side] & (LEVELS - 1)])
    added = book.numbers[_ADDED]
    wanted = max(np.int64(1), added + 1 - ADDED_AGO[below(state, ADDED_AGO.shape[0])])
    for step in range(_PROBES):
        for order in (wanted - step, wanted + step):
            if 1 <= order <= added and book.size[order] and book.on_side[book.side[order]] > _SIDE_FEWEST:
                return order
    side = _random_side(book, state)
    return np.int64(book.head[side, book.best[side] & (LEVELS - 1)]) if book.on_side[side] > _SIDE_FEWEST else 0


@kernel_jit
def _allowed(book, kind):  # type: ignore[no-untyped-def]
    """Return `kind`, or what has to happen instead to keep the book alive and of bounded size."""
    living = book.numbers[_LIVING]
    if living < _FEWEST or min(book.on_side[0], book.on_side[1]) < _SIDE_FEWEST:
        return _ADD
    if living > _MOST and kind == _ADD:
        return _DELETE
    return kind


@kernel_jit
def _add(book, state, event, side, first, scale):  # type: ignore[no-untyped-def]
    """Add an order and describe it in `event`; return its number."""
    price = _new_price(book, state, side, first, scale)
    size = ORDER_SIZE[below(state, ORDER_SIZE.shape[0])]
    event.price_ticks, event.size, event.side = price, size, side
    return _insert(book, side, price, size)


@kernel_jit
def _execute(book, state, event, last):  # type: ignore[no-untyped-def]
    """Fill the first order of the best level of a side; return its number."""
    side = 1 - _random_side(book, state)  # a buyer lifts the ask when the fair price is above
    if last == _EXECUTE and below(state, _SHARE) < _SAME_SIDE:
        side = book.numbers[_LAST_SIDE]
    if book.on_side[side] <= _SIDE_FEWEST:
        side = 1 - side
    book.numbers[_LAST_SIDE] = side
    order = np.int64(book.head[side, book.best[side] & (LEVELS - 1)])
    size = np.int64(book.size[order])
    taken = size if below(state, _SHARE) < _FULL or size == 1 else 1 + below(state, size - 1)
    event.price_ticks, event.size, event.side = book.best[side], taken, side
    book.size[order] = size - taken
    if taken == size:
        _remove(book, order)
    return order


@kernel_jit
def _trade(book, state, event):  # type: ignore[no-untyped-def]
    """Describe a trade with a hidden order, inside the spread where there is room."""
    side = _random_side(book, state)
    room = book.best[1] - book.best[0] - 1
    event.price_ticks = book.best[0] + 1 + below(state, room) if room > 0 else book.best[side]
    event.size, event.side = TRADE_SIZE[below(state, TRADE_SIZE.shape[0])], side


@kernel_jit
def trade_symbol(events, times, book, state, first, scale, id_step, symbol):  # type: ignore[no-untyped-def]
    """Fill `events` with one symbol's life at the moments `times` (int64, ns), from an empty book.

    `first` is the price it starts at, in ticks, `scale` what its distances are multiplied with, in 1/256. Order number
    n gets the id ``n * id_step + symbol + 1``, so that ids of several symbols are distinct.
    """
    last = _ADD
    book.numbers[_FAIR] = first
    for i in range(events.shape[0]):
        step = below(state, 8)  # the fair price walks a tick up or down on a quarter of the events
        fair = book.numbers[_FAIR] + (step == 0) - (step == 1)
        book.numbers[_FAIR] = min(max(fair, first - FAIR_REACH_TICKS, np.int64(64)), first + FAIR_REACH_TICKS)
        kind = _allowed(book, 1 + choose(state, NEXT_KIND[last - 1]))
        order = np.int64(0)
        event = events[i]
        if kind in (_CANCEL, _DELETE):
            order = _living_order(book, state)
            if order == 0:
                kind = _ADD
            elif kind == _CANCEL and book.size[order] < 2:
                kind = _DELETE
        previous, last = last, kind
        if kind == _ADD:
            order = _add(book, state, event, _random_side(book, state), first, scale)
        elif kind == _EXECUTE:
            order = _execute(book, state, event, previous)
        elif kind == _TRADE:
            _trade(book, state, event)
        else:
            event.price_ticks, event.side = book.price[order], book.side[order]
            if kind == _CANCEL:
                event.size = book.size[order] // 2
                book.size[order] -= event.size
            else:
                event.size = book.size[order]
                _remove(book, order)
                if below(state, _SHARE) < _REPLACING:
                    kind, last = _REPLACE, _ADD
                    event.new_order_id = (
                        _add(book, state, event, np.int64(book.side[order]), first, scale) * id_step + symbol + 1
                    )
        event.timestamp_ns, event.kind, event.symbol = times[i], kind, symbol
        event.order_id = order * id_step + symbol + 1 if order else 0
