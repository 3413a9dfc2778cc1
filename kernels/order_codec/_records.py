"""The record form: a message on the wire is the ORDER or EVENT record itself, little-endian.

An order is 64 bytes, an event 40; nothing has to be moved, and a decoder checks the fields where they lie. There is no
length and no letter: a stream holds records of one kind, as a shared memory or a recording does. Unused bytes are zero.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import vector as v
from kernels.machine.hints import unlikely
from kernels.order_codec._packed import event_fields, order_fields, put_64, refused_event, refused_order
from kernels.order_codec._words import (
    CUT,
    EVENT_WORDS,
    ORDER_WORDS,
    cold,
    event_is_good,
    event_word_4,
    inline,
    order_is_good,
    order_word_5,
    order_word_6,
    two_halves,
    why_event,
    why_order,
)

ORDER_RECORD_BYTES, EVENT_RECORD_BYTES = 8 * ORDER_WORDS, 8 * EVENT_WORDS
_ZERO = np.uint64(0)


@inline
def word_at(buffer, at):
    """Return the 64-bit word at ``buffer[at]`` (uint8)."""
    return v.reinterpret(v.load(buffer, at, 8), np.uint64)[0]


@inline
def put_order_record(buffer, at, word_0, word_1, word_2, word_3, word_4, word_5, word_6):
    """Write the first seven words of an order, all that has fields, to ``buffer[at:]``."""
    put_64(buffer, at, word_0)
    put_64(buffer, at + 8, word_1)
    put_64(buffer, at + 16, word_2)
    put_64(buffer, at + 24, word_3)
    put_64(buffer, at + 32, word_4)
    put_64(buffer, at + 40, word_5)
    put_64(buffer, at + 48, word_6)


@inline
def encode(
    state, buffer, at, timestamp_ns, market_ns, order_id, old_order_id, price_ticks, size, account, symbol, side,
    order_type, time_in_force, action
):  # fmt: skip
    """Write one order to ``buffer[at:]`` (uint8, contiguous); return where it ends, or -1 when it does not fit.

    The fields are those of ORDER and are not checked: a decoder does that. Where `at` is a multiple of 64 and the
    buffer lies at one, the record is a cache line.
    """
    if at < 0 or buffer.shape[0] - at < ORDER_RECORD_BYTES:
        return np.int64(-1)
    put_order_record(
        buffer, at, np.uint64(timestamp_ns), np.uint64(market_ns), np.uint64(order_id), np.uint64(old_order_id),
        two_halves(price_ticks, size), order_word_5(account, symbol, side, order_type),
        order_word_6(time_in_force, action)
    )  # fmt: skip
    put_64(buffer, at + 56, _ZERO)
    return np.int64(at + ORDER_RECORD_BYTES)


@inline
def decode_words(state, buffer, at, last_word):
    """Check and return the order whose record lies at ``buffer[at]``; `last_word` is what has to be zero."""
    word_4, word_5, word_6 = word_at(buffer, at + 32), word_at(buffer, at + 40), word_at(buffer, at + 48)
    if unlikely(not order_is_good(word_4, word_5, word_6 | last_word)):
        return refused_order(state, why_order(word_4, word_5, word_6))
    return order_fields(
        at + ORDER_RECORD_BYTES, word_at(buffer, at), word_at(buffer, at + 8), word_at(buffer, at + 16),
        word_at(buffer, at + 24), word_4, word_5, word_6
    )  # fmt: skip


@inline
def decode(state, buffer, at, end):
    """Read one order from ``buffer[at:end]``; return where it ends, and its fields in the order of `encode`.

    When it is refused the first number is ``-1 - Refusal``, counted in ``state.bad[0]``, and the fields mean nothing.
    """
    if unlikely(at < 0 or end > buffer.shape[0] or end - at < ORDER_RECORD_BYTES):
        return refused_order(state, CUT)
    rest = word_at(buffer, at + 56)
    return decode_words(state, buffer, at, np.uint64(rest != _ZERO) << np.uint64(63))


@inline
def encode_event(
    state, buffer, at, timestamp_ns, order_id, new_order_id, price_ticks, size, symbol, kind, side
):  # fmt: skip
    """Write one event to ``buffer[at:]`` (uint8, contiguous); return where it ends, or -1 when it does not fit."""
    if at < 0 or buffer.shape[0] - at < EVENT_RECORD_BYTES:
        return np.int64(-1)
    put_64(buffer, at, np.uint64(timestamp_ns))
    put_64(buffer, at + 8, np.uint64(order_id))
    put_64(buffer, at + 16, np.uint64(new_order_id))
    put_64(buffer, at + 24, two_halves(price_ticks, size))
    put_64(buffer, at + 32, event_word_4(symbol, kind, side))
    return np.int64(at + EVENT_RECORD_BYTES)


@inline
def decode_event(state, buffer, at, end):
    """Read one event from ``buffer[at:end]``; return where it ends, and its fields in the order of `encode_event`.

    When it is refused the first number is ``-1 - Refusal``, counted in ``state.bad[0]``, and the fields mean nothing.
    """
    if unlikely(at < 0 or end > buffer.shape[0] or end - at < EVENT_RECORD_BYTES):
        return refused_event(state, CUT)
    word_4 = word_at(buffer, at + 32)
    if unlikely(not event_is_good(word_4)):
        return refused_event(state, why_event(word_4))
    return event_fields(
        at + EVENT_RECORD_BYTES, word_at(buffer, at), word_at(buffer, at + 8), word_at(buffer, at + 16),
        word_at(buffer, at + 24), word_4
    )  # fmt: skip


@cold
def refuse_order_row(rows, i, bad):
    """Count why the order in row `i` is refused, and zero the row."""
    bad[why_order(rows[i, 4], rows[i, 5], rows[i, 6])] += 1
    rows[i, :] = _ZERO


@cold
def refuse_event_row(rows, i, bad):
    """Count why the event in row `i` is refused, and zero the row."""
    bad[why_event(rows[i, 4])] += 1
    rows[i, :] = _ZERO


@inline
def check_orders(rows, first, last, bad):
    """Decode the orders ``rows[first:last]`` where they lie: each is checked, a refused one is counted and zeroed."""
    for i in range(np.uint64(first), np.uint64(last)):
        rest = np.uint64(rows[i, 7] != _ZERO) << np.uint64(63)
        if unlikely(not order_is_good(rows[i, 4], rows[i, 5], rows[i, 6] | rest)):
            refuse_order_row(rows, i, bad)


@inline
def check_events(rows, first, last, bad):
    """Decode the events ``rows[first:last]`` where they lie, as `check_orders` does."""
    for i in range(np.uint64(first), np.uint64(last)):
        if unlikely(not event_is_good(rows[i, 4])):
            refuse_event_row(rows, i, bad)
