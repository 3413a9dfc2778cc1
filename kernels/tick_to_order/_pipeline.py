"""The pipeline, written once for every choice of parts: what one market event does, from its bytes to an order.

The rule that makes orders is simple on purpose, and exact. A *tick* is a message after which the best bid or offer of
its symbol, price or size, is another one than before, while both sides are there and do not cross. Each tick gives the
signal twice the mid price, ``bid + ask``, a whole number. The signal's value is taken to the nearest 1/65,536: two
variants of a signal that differ by a rounding error then lead to the same decision. Where the mid price lies more than
`edge` above the signal the market rises, and the stance of the symbol becomes *buy*; more than `edge` below, *sell*; in
between the stance stays (the hysteresis). A change of stance is a *crossing*, and makes one order of `lot` shares: a
buy at the best offer, a sell at the best bid, immediate or cancelled.

The market's answer is simulated, so that a replay needs no exchange: the order is answered by the next message of its
symbol, before anything else is decided about it. It is filled as far as the touch had shares when it was sent, the rest
is gone. So a symbol has at most one order open.

An order's id is the number of the message that made it, from 1, over all calls since the last reset.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine.hints import pause, unlikely
from kernels.machine.sleep import sleep_us
from kernels.messages import Action as OrderAction
from kernels.messages import OrderType, TimeInForce
from kernels.order_codec._words import order_word_5, order_word_6, two_halves
from kernels.probe import count, lap
from kernels.tick_to_order import _standin_calls  # noqa: F401 - what stand-ins answer has to be known to Numba
from kernels.tick_to_order._book import halted
from kernels.tick_to_order._layout import (
    ACCOUNTS,
    ANSWERED,
    ASK,
    BID,
    CHECKSUM,
    CROSSINGS,
    DROP,
    DROPPED,
    ENCODED_BYTES,
    FILLED,
    HALTED,
    HEADER_WORDS,
    LOST,
    LOT,
    MESSAGES,
    NO_SLOT,
    OPEN,
    ORDER_ACCOUNT,
    ORDER_FILL,
    ORDER_PRICE,
    ORDER_SIDE,
    ORDER_SIZE,
    PUSHED,
    REFUSED,
    SENT,
    STAMP,
    STANCE,
    TAKEN,
    UNDECODED,
    UNENCODED,
    WAITS,
    WRITTEN,
)
from kernels.tick_to_order._parts import (
    apply_fill,
    check,
    decode,
    encode,
    give_back,
    pop,
    push,
    read,
    release,
    take,
    update,
    write,
)

hot = kernel_jit(inner=True, forceinline=True, _nrt=False)
cold = kernel_jit(inner=True, forceinline=False, _nrt=False)

DECODE, BOOK, ANSWER, SIGNAL, RISK, ENCODE, QUEUE = range(7)  # the stages, in the order of the card
COUNT_TICKS, COUNT_ORDERS, COUNT_REFUSED, COUNT_ANSWERED, COUNT_WAITS = range(5)  # likewise
SHIFT = 16  # a signal's value is compared in units of 2**-16 half ticks
PATIENCE = 1024  # pauses, some 20 us, before a thread that waits leaves its core to others
NAP_US = 20
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, odd: no two words give the same product
TURN = np.uint64(29)
NEW, LIMIT, IMMEDIATE = int(OrderAction.NEW), int(OrderType.LIMIT), int(TimeInForce.IMMEDIATE)
NO_ID = np.uint64(0)
BUY, SELL = 1, -1


@hot
def wait(turn):
    """Wait a moment for the `turn`-th time (from 0): by pauses, then asleep: the other may need this core."""
    if turn < PATIENCE:
        pause()
    else:
        sleep_us(NAP_US)


@hot
def answer(state, symbol, row):
    """Let the market answer the open order of a symbol: a fill, and an end of what it had reserved."""
    slot = row[OPEN] - 1
    account, side = read(state.pool, slot, ORDER_ACCOUNT), read(state.pool, slot, ORDER_SIDE)
    price, filled = read(state.pool, slot, ORDER_PRICE), read(state.pool, slot, ORDER_FILL)
    gone = read(state.pool, slot, ORDER_SIZE) - filled
    if filled > 0:
        apply_fill(state.position, account, symbol, side, price, filled)
        release(state.risk, account, side, price, filled, True, gone == 0)
    if gone > 0:
        release(state.risk, account, side, price, gone, False, True)
    give_back(state.pool, slot)
    row[OPEN] = 0
    state.tally[ANSWERED] += 1
    state.tally[FILLED] += filled


@hot
def crosses(row, twice_mid, value, edge):
    """Return the side of the order that a tick makes, BUY or SELL; 0 for none. Moves the stance of the symbol.

    `edge` is in units of 2**-SHIFT half ticks. A value that is NaN, as before the signal has started, makes none.
    """
    if not np.abs(value) < 2.0**46:  # also NaN
        return 0
    gap = (np.int64(twice_mid) << SHIFT) - np.int64(np.floor(value * (1 << SHIFT) + 0.5))
    stance = np.int64(gap > edge) - np.int64(gap < -edge)
    if (stance == 0) | (stance == row[STANCE]):
        return 0
    row[STANCE] = stance
    return stance


@hot
def read_signal(state, symbol, twice_mid):
    """Give the signal one tick of a symbol; return its value."""
    price = np.float64(twice_mid)
    return update(state.signal, symbol, price, price, price, 1.0)


@hot
def make_order(state, out, event, symbol, row, stance, began, stamp, alone, probe):
    """Check, keep, encode and send the order of a crossing; return whether it went, and count why if it did not."""
    tally, settings = state.tally, state.settings
    tally[CROSSINGS] += 1
    if halted(state.book, symbol):
        tally[HALTED] += 1
        return False
    side = np.int64(stance == SELL)
    touch = row[BID] if side else row[ASK]
    price, shown = touch & 0x7FFFFFFF, touch >> 32
    account, size = symbol % settings[ACCOUNTS], settings[LOT]
    twice_mid = (row[BID] & 0x7FFFFFFF) + (row[ASK] & 0x7FFFFFFF)
    reason = check(state.risk, account, side, price, size, twice_mid >> 1, event.timestamp_ns)
    stamp = lap(probe, RISK, stamp)
    if reason != 0:
        tally[REFUSED] += 1
        return False
    slot = np.int64(take(state.pool))
    if slot < 0:
        tally[NO_SLOT] += 1
        release(state.risk, account, side, price, size, False, True)
        return False
    length = encode(
        state.codec, state.parcel, 8 * HEADER_WORDS, event.timestamp_ns, event.timestamp_ns, np.uint64(tally[MESSAGES]),
        NO_ID, price, size, account, symbol, side, LIMIT, IMMEDIATE, NEW
    )  # fmt: skip
    stamp = lap(probe, ENCODE, stamp)
    if length < 0:
        tally[UNENCODED] += 1
    elif send(state, out, length, began, stamp, alone, probe):
        write(state.pool, slot, ORDER_ACCOUNT, account)
        write(state.pool, slot, ORDER_SIDE, side)
        write(state.pool, slot, ORDER_PRICE, price)
        write(state.pool, slot, ORDER_SIZE, size)
        write(state.pool, slot, ORDER_FILL, min(size, shown))
        row[OPEN] = slot + 1
        return True
    give_back(state.pool, slot)
    release(state.risk, account, side, price, size, False, True)
    return False


@hot
def send(state, out, length, began, stamp, alone, probe):
    """Put the parcel into the queue, and take it out again where one thread does all; return whether it went in."""
    parcel = state.parcel.view(np.int64).reshape(1, -1)
    parcel[0, ENCODED_BYTES], parcel[0, STAMP], parcel[0, PUSHED] = length, began, stamp
    turn = 0
    while not push(state.queue, parcel, 0):
        if alone:
            _make_room(state, out, probe)
        elif state.settings[DROP] != 0:
            state.tally[DROPPED] += 1
            return False
        else:
            state.tally[WAITS] += 1
            count(probe, COUNT_WAITS, 1)
            wait(turn)
            turn += 1
    state.tally[SENT] += 1
    if alone:
        while receive(state, out, probe):
            pass
    return True


@cold
def _make_room(state, out, probe):
    """Take out one order that an earlier call, of the feeding thread alone, has left in the queue."""
    receive(state, out, probe)


@hot
def checksum_step(checksum, word):
    """Return the checksum (uint64) with one more word in it: those of the orders' records, but for their padding."""
    mixed = (checksum ^ np.uint64(word)) * MULTIPLIER
    return mixed ^ (mixed >> TURN)


@hot
def receive(state, out, probe):
    """Take one order out of the queue, decode it into the next row of `out`; return whether there was one."""
    received = state.received.view(np.int64).reshape(1, -1)
    if not pop(state.queue, received, 0):
        return False
    gateway = state.gateway
    gateway[TAKEN] += 1
    (
        end, timestamp_ns, market_ns, order_id, old_order_id, price_ticks, size, account, symbol, side, order_type,
        time_in_force, action
    ) = decode(state.codec, state.received, 8 * HEADER_WORDS, received[0, ENCODED_BYTES])  # fmt: skip
    if unlikely(end < 0):
        gateway[UNDECODED] += 1
        return True
    checksum = checksum_step(np.uint64(gateway[CHECKSUM]), timestamp_ns)
    checksum = checksum_step(checksum_step(checksum, market_ns), order_id)
    checksum = checksum_step(checksum_step(checksum, old_order_id), two_halves(price_ticks, size))
    checksum = checksum_step(checksum, order_word_5(account, symbol, side, order_type))
    checksum = checksum_step(checksum, order_word_6(time_in_force, action))
    gateway[CHECKSUM] = np.int64(checksum)
    at = gateway[WRITTEN]
    if unlikely(at >= out.shape[0]):
        gateway[LOST] += 1
        return True
    row = out[np.uint64(at)]
    row.timestamp_ns, row.market_ns, row.order_id, row.old_order_id = timestamp_ns, market_ns, order_id, old_order_id
    row.price_ticks, row.size, row.account, row.symbol = price_ticks, size, account, symbol
    row.side, row.order_type, row.time_in_force, row.action = side, order_type, time_in_force, action
    gateway[WRITTEN] = at + 1
    lap(probe, QUEUE, received[0, PUSHED])
    return True
