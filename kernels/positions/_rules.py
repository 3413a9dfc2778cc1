"""What a fill does to a position, in whole numbers; why a fill or a mark is refused; the same for every variant.

A position is the shares held (`quantity`, below 0 when short), what they cost (`cost`, ticks times shares, never
negative) and the profit that is booked (`realised`, ticks times shares). A fill in the position's direction adds to
both. One against it books profit at the average cost: of `n` out of `q` shares the cost is ``cost * n / q`` rounded
down, all of it where the position is closed, so nothing is lost in rounding: what is not taken off stays in the cost.
What goes beyond zero opens the other way at the fill's price. At all times, exactly::

    realised - cost * sign(quantity) == what was received for sales - what was paid for purchases

The average cost is ``cost / abs(quantity)``; unrealised profit is ``quantity * mark - cost * sign(quantity)``.

Nothing overflows: a fill that would make ``abs(quantity)`` more than 2**31 - 1 or ``abs(realised)`` more than 2**62 is
refused. Cost is then below 2**61, since prices are below 2**30, and so is each term of the products.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.machine.hints import likely, unlikely
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS
from kernels.probe import count

hot = kernel_jit(inner=True, forceinline=True, _nrt=False)
cold = kernel_jit(inner=True, forceinline=False, _nrt=False)
public = kernel_jit(forceinline=True, _nrt=False)  # inlined into compiled callers, and callable from Python


class Reason(IntEnum):
    """Why a fill or a mark was refused: the first check that fails, in this order. 0: it was not."""

    ACCEPTED = 0
    BAD_ACTION = 1  # neither a buy, a sell nor a mark
    BAD_ACCOUNT = 2  # not below the number of accounts; a mark has none
    BAD_SYMBOL = 3  # not below the number of symbols
    BAD_PRICE = 4  # not in 1 .. MAX_PRICE_TICKS
    BAD_SIZE = 5  # not in 1 .. MAX_ORDER_SIZE; a mark has none
    POSITION_FULL = 6  # more than MAX_QUANTITY shares long or short
    PROFIT_FULL = 7  # more than MAX_PROFIT booked, or less than minus that


BUY, SELL, MARK = 0, 1, 2  # actions
ACCEPTED, BAD_ACTION, BAD_ACCOUNT, BAD_SYMBOL = 0, 1, 2, 3
BAD_PRICE, BAD_SIZE, POSITION_FULL, PROFIT_FULL = 4, 5, 6, 7
REASONS = len(Reason)
NO_ROOM = -1  # what a fill of a new position answers when the table is full: nothing has changed

MAX_QUANTITY = 2**31 - 1
MAX_PROFIT = 2**62
MOST_EXACT = 2.0**53  # whole numbers below are exact as float64
MOST_SYMBOLS = 2**16
SYMBOL_BITS = 16

# Counters, in the order of the card.
CAS_RETRIES, SPINS, PROBES, LINES_TOUCHED, REFUSED = range(5)

# What `state.control` holds (int64 each).
LIVE, LIMIT, ACCOUNTS, SYMBOLS, HASH_SHIFT = range(5)
CONTROL_LENGTH = 8

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio (Knuth, TAOCP 3, 6.4)


@hot
def key_of(account, symbol):
    """Return the key of a position: never 0, which stands for an empty slot."""
    return ((account << SYMBOL_BITS) | symbol) + 1


@hot
def spread(key):
    """Return 64 bits whose high ones depend on every bit of `key`."""
    return np.uint64(key) * _SPREAD


@hot
def bad_fill(control, account, symbol, side, price, size):
    """Return why a fill cannot be one, without looking at its position; ACCEPTED if it can."""
    if unlikely(np.uint64(side) > np.uint64(SELL)):
        return BAD_ACTION
    if unlikely(np.uint64(account) >= np.uint64(control[ACCOUNTS])):  # a negative number is a large one
        return BAD_ACCOUNT
    if unlikely(np.uint64(symbol) >= np.uint64(control[SYMBOLS])):
        return BAD_SYMBOL
    if unlikely(np.uint64(price - 1) >= np.uint64(MAX_PRICE_TICKS)):
        return BAD_PRICE
    if unlikely(np.uint64(size - 1) >= np.uint64(MAX_ORDER_SIZE)):
        return BAD_SIZE
    return ACCEPTED


@hot
def bad_mark(control, symbol, price):
    """Return why a mark cannot be one; ACCEPTED if it can."""
    if unlikely(np.uint64(symbol) >= np.uint64(control[SYMBOLS])):
        return BAD_SYMBOL
    if unlikely(np.uint64(price - 1) >= np.uint64(MAX_PRICE_TICKS)):
        return BAD_PRICE
    return ACCEPTED


@hot
def part_of_cost(cost, size, held):
    """Return ``cost * size // held``, exactly. ``0 <= size <= held``, held > 0; the product may have 85 bits.

    Where it is below 2**53, as nearly always, the product and the divisor are whole as floating-point numbers, and the
    quotient's distance to the next whole number, 1 / held or more, is above its rounding error: cut off, it is exact.
    """
    product = np.float64(cost) * np.float64(size)
    if likely(product < MOST_EXACT):
        return np.int64(product / np.float64(held))
    return _part_of_large_cost(cost, size, held)


@cold
def _part_of_large_cost(cost, size, held):
    """Do as `part_of_cost` in whole numbers, without forming the product."""
    average = np.uint64(cost) // np.uint64(held)
    rest = np.uint64(cost) - average * np.uint64(held)
    return np.int64(average * np.uint64(size) + rest * np.uint64(size) // np.uint64(held))


@hot
def after_fill(quantity, cost, realised, side, price, size):
    """Return ``(reason, quantity, cost, realised)`` of a position after a fill; unchanged where it is refused."""
    signed = -size if side != 0 else size
    wanted = quantity + signed
    if unlikely(abs(wanted) > MAX_QUANTITY):
        return POSITION_FULL, quantity, cost, realised
    held = abs(quantity)
    if (quantity ^ signed) >= 0 or quantity == 0:
        return ACCEPTED, wanted, cost + price * size, realised
    closing = min(size, held)
    taken = cost if size >= held else part_of_cost(cost, size, held)
    gain = closing * price - taken
    booked = realised + (gain if quantity > 0 else -gain)
    if unlikely(abs(booked) > MAX_PROFIT):
        return PROFIT_FULL, quantity, cost, realised
    return ACCEPTED, wanted, cost - taken + (size - closing) * price, booked


@hot
def unrealised(quantity, cost, mark):
    """Return the profit that closing the position at `mark` would book; 0 while its symbol has no mark."""
    if mark == 0:
        return 0
    return quantity * mark - (cost if quantity >= 0 else -cost)


@hot
def set_mark(state, symbol, price, probe):
    """Take in the price that a symbol's positions are valued at; return a `Reason`. Any thread."""
    bad = bad_mark(state.control, symbol, price)
    if unlikely(bad != ACCEPTED):
        tally(state.bad, bad, probe)
        return bad
    atomics.store(state.marks, np.uint64(symbol), price, RELAXED)  # RELAXED: one number, which orders nothing else
    count(probe, LINES_TOUCHED, 1)
    return ACCEPTED


@hot
def mark_of(state, symbol):
    """Return the mark of a symbol, 0 for none."""
    return atomics.load(state.marks, np.uint64(symbol), RELAXED)  # RELAXED: as in `set_mark`


@hot
def tally(bad, reason, probe):
    """Count a refusal; several threads may do so at once."""
    atomics.add(bad, reason, 1, RELAXED)  # RELAXED: a statistic
    count(probe, REFUSED, 1)
