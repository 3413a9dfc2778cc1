"""The packed big-endian form, as exchanges' order-entry and market-data protocols have it: message by message.

======  ============================================================================================================
order   53 bytes: length 51 (2 bytes), ``O``, timestamp_ns 8, market_ns 8, order_id 8, old_order_id 8, price_ticks 4,
        size 4, account 4, symbol 2, side 1, order_type 1, time_in_force 1, action 1
event   39 bytes: length 37 (2 bytes), ``E``, timestamp_ns 8, order_id 8, new_order_id 8, price_ticks 4, size 4,
        symbol 2, kind 1, side 1
======  ============================================================================================================

The length counts the bytes behind it. Numbers are big-endian, nothing is padded.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import vector as v
from kernels.machine.bits import byte_swap, rotate_left
from kernels.machine.endian import big_endian_16, big_endian_32, big_endian_64
from kernels.machine.hints import unlikely
from kernels.order_codec._words import (
    CUT,
    FRAME,
    LETTER,
    cold,
    event_is_good,
    event_word_4,
    inline,
    order_is_good,
    order_word_5,
    order_word_6,
    signed_32,
    two_halves,
    why_event,
    why_order,
)

PREFIX_BYTES = 2
ORDER_BYTES, EVENT_BYTES = 53, 39
ORDER_LETTER, EVENT_LETTER = ord("O"), ord("E")
_HALF = np.uint64(32)


@inline
def put_64(wire, at, word):
    """Write a word to ``wire[at : at + 8]`` (uint8) in the processor's own order."""
    v.store(wire, at, v.reinterpret(v.splat(word, np.uint64, 1), np.uint8))


@inline
def put_16(wire, at, word):
    """Write the lowest 16 bits of a word to ``wire[at : at + 2]`` in the processor's own order."""
    v.store(wire, at, v.reinterpret(v.splat(np.uint16(word), np.uint16, 1), np.uint8))


@inline
def put_order(wire, at, word_0, word_1, word_2, word_3, word_4, word_5, word_6):
    """Write one order, given as its words, to ``wire[at : at + 53]``."""
    put_16(wire, at, byte_swap(np.uint16(ORDER_BYTES - PREFIX_BYTES)))
    wire[np.uint64(at + 2)] = ORDER_LETTER
    put_64(wire, at + 3, byte_swap(word_0))
    put_64(wire, at + 11, byte_swap(word_1))
    put_64(wire, at + 19, byte_swap(word_2))
    put_64(wire, at + 27, byte_swap(word_3))
    put_64(wire, at + 35, byte_swap(rotate_left(word_4, _HALF)))  # the price comes first
    account, upper = word_5 << _HALF, word_5 >> _HALF  # upper: type, side, symbol, from the top
    symbol, ends = (upper & np.uint64(0xFFFF)) << np.uint64(16), byte_swap(np.uint16(upper >> np.uint64(16)))
    put_64(wire, at + 43, byte_swap(account | symbol | np.uint64(ends)))
    put_16(wire, at + 51, word_6)


@inline
def put_event(wire, at, word_0, word_1, word_2, word_3, word_4):
    """Write one event, given as its words, to ``wire[at : at + 39]``."""
    put_16(wire, at, byte_swap(np.uint16(EVENT_BYTES - PREFIX_BYTES)))
    wire[np.uint64(at + 2)] = EVENT_LETTER
    put_64(wire, at + 3, byte_swap(word_0))
    put_64(wire, at + 11, byte_swap(word_1))
    put_64(wire, at + 19, byte_swap(word_2))
    put_64(wire, at + 27, byte_swap(rotate_left(word_3, _HALF)))
    put_16(wire, at + 35, byte_swap(np.uint16(word_4 & np.uint64(0xFFFF))))
    put_16(wire, at + 37, word_4 >> np.uint64(16))


@inline
def take_order_words(wire, at):
    """Return the words 4, 5 and 6 of the order at ``wire[at]``, the ones that have to be checked."""
    word_4 = rotate_left(big_endian_64(wire, at + 35), _HALF)
    ends = big_endian_16(wire, at + 49)
    upper = big_endian_16(wire, at + 47) | (ends >> np.uint64(8)) << np.uint64(16)
    upper |= (ends & np.uint64(255)) << np.uint64(24)
    word_5 = big_endian_32(wire, at + 43) | upper << _HALF
    return word_4, word_5, np.uint64(byte_swap(np.uint16(big_endian_16(wire, at + 51))))


@inline
def take_event_word_4(wire, at):
    """Return the word 4 of the event at ``wire[at]``, the one that has to be checked."""
    ends = np.uint64(byte_swap(np.uint16(big_endian_16(wire, at + 37))))
    return big_endian_16(wire, at + 35) | ends << np.uint64(16)


@inline
def frame_is_good(wire, at, end, size, letter):
    """Return whether a whole message of `size` bytes begins at ``wire[at]``; reads nothing behind `end`."""
    if end - at < size:
        return False
    return (big_endian_16(wire, at) == np.uint64(size - PREFIX_BYTES)) & (wire[np.uint64(at + 2)] == letter)


@cold
def why_frame(wire, at, end, size):
    """Return why no whole message of `size` bytes begins at ``wire[at]``, as a `Refusal`."""
    if end - at >= PREFIX_BYTES and big_endian_16(wire, at) != np.uint64(size - PREFIX_BYTES):
        return FRAME
    return CUT if end - at < size else LETTER


@inline
def encode(
    state, buffer, at, timestamp_ns, market_ns, order_id, old_order_id, price_ticks, size, account, symbol, side,
    order_type, time_in_force, action
):  # fmt: skip
    """Write one order to ``buffer[at:]`` (uint8, contiguous); return where it ends, or -1 when it does not fit.

    The fields are those of ORDER and are not checked: a decoder does that.
    """
    if at < 0 or buffer.shape[0] - at < ORDER_BYTES:
        return np.int64(-1)
    word_5, word_6 = order_word_5(account, symbol, side, order_type), order_word_6(time_in_force, action)
    put_order(
        buffer, at, np.uint64(timestamp_ns), np.uint64(market_ns), np.uint64(order_id), np.uint64(old_order_id),
        two_halves(price_ticks, size), word_5, word_6
    )  # fmt: skip
    return np.int64(at + ORDER_BYTES)


@inline
def decode(state, buffer, at, end):
    """Read one order from ``buffer[at:end]``; return where it ends, and its fields in the order of `encode`.

    When it is refused the first number is ``-1 - Refusal``, counted in ``state.bad[0]``, and the fields mean nothing.
    """
    if unlikely(at < 0 or end > buffer.shape[0] or not frame_is_good(buffer, at, end, ORDER_BYTES, ORDER_LETTER)):
        why = CUT if at < 0 or end > buffer.shape[0] else why_frame(buffer, at, end, ORDER_BYTES)
        return refused_order(state, why)
    word_4, word_5, word_6 = take_order_words(buffer, at)
    if unlikely(not order_is_good(word_4, word_5, word_6)):
        return refused_order(state, why_order(word_4, word_5, word_6))
    return order_fields(
        at + ORDER_BYTES, big_endian_64(buffer, at + 3), big_endian_64(buffer, at + 11),
        big_endian_64(buffer, at + 19), big_endian_64(buffer, at + 27), word_4, word_5, word_6
    )  # fmt: skip


@inline
def order_fields(ends, word_0, word_1, word_2, word_3, word_4, word_5, word_6):
    """Return where an order ends and its fields, out of its words, in the order of `encode`."""
    account, upper = np.int64(word_5 & np.uint64(0xFFFFFFFF)), np.int64(word_5 >> _HALF)
    return (
        np.int64(ends), np.int64(word_0), np.int64(word_1), word_2, word_3, signed_32(word_4),
        signed_32(word_4 >> _HALF), account, upper & 0xFFFF, (upper >> 16) & 255, upper >> 24,
        np.int64(word_6) & 255, np.int64(word_6) >> 8
    )  # fmt: skip


@inline
def refused_order(state, why):
    """Count a refusal and return it as `decode` does."""
    state.bad[0, why] += 1
    none = np.uint64(0)
    return order_fields(np.int64(-1 - why), none, none, none, none, none, none, none)


@inline
def encode_event(
    state, buffer, at, timestamp_ns, order_id, new_order_id, price_ticks, size, symbol, kind, side
):  # fmt: skip
    """Write one event to ``buffer[at:]`` (uint8, contiguous); return where it ends, or -1 when it does not fit."""
    if at < 0 or buffer.shape[0] - at < EVENT_BYTES:
        return np.int64(-1)
    put_event(
        buffer, at, np.uint64(timestamp_ns), np.uint64(order_id), np.uint64(new_order_id),
        two_halves(price_ticks, size), event_word_4(symbol, kind, side)
    )  # fmt: skip
    return np.int64(at + EVENT_BYTES)


@inline
def decode_event(state, buffer, at, end):
    """Read one event from ``buffer[at:end]``; return where it ends, and its fields in the order of `encode_event`.

    When it is refused the first number is ``-1 - Refusal``, counted in ``state.bad[0]``, and the fields mean nothing.
    """
    if unlikely(at < 0 or end > buffer.shape[0] or not frame_is_good(buffer, at, end, EVENT_BYTES, EVENT_LETTER)):
        why = CUT if at < 0 or end > buffer.shape[0] else why_frame(buffer, at, end, EVENT_BYTES)
        return refused_event(state, why)
    word_4 = take_event_word_4(buffer, at)
    if unlikely(not event_is_good(word_4)):
        return refused_event(state, why_event(word_4))
    return event_fields(
        at + EVENT_BYTES, big_endian_64(buffer, at + 3), big_endian_64(buffer, at + 11),
        big_endian_64(buffer, at + 19), rotate_left(big_endian_64(buffer, at + 27), _HALF), word_4
    )  # fmt: skip


@inline
def event_fields(ends, word_0, word_1, word_2, word_3, word_4):
    """Return where an event ends and its fields, out of its words, in the order of `encode_event`."""
    last = np.int64(word_4)
    return (
        np.int64(ends), np.int64(word_0), word_1, word_2, signed_32(word_3), signed_32(word_3 >> _HALF),
        last & 0xFFFF, (last >> 16) & 255, last >> 24
    )  # fmt: skip


@inline
def refused_event(state, why):
    """Count a refusal and return it as `decode_event` does."""
    state.bad[0, why] += 1
    none = np.uint64(0)
    return event_fields(np.int64(-1 - why), none, none, none, none, none)
