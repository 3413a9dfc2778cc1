"""The packed form, many messages at once by the scalar code: what `big_endian` does, and what `simd` ends with."""

from __future__ import annotations

import numpy as np

from kernels.machine.bits import rotate_left
from kernels.machine.endian import big_endian_64
from kernels.machine.hints import unlikely
from kernels.order_codec._packed import (
    EVENT_BYTES,
    EVENT_LETTER,
    ORDER_BYTES,
    ORDER_LETTER,
    frame_is_good,
    put_event,
    put_order,
    take_event_word_4,
    take_order_words,
    why_frame,
)
from kernels.order_codec._words import cold, event_is_good, inline, order_is_good, why_event, why_order

_ZERO = np.uint64(0)


@inline
def encode_orders(rows, first, last, wire, at):
    """Write the orders ``rows[first:last]`` (uint64[n, 8]) one behind the other to ``wire[at:]``; return the end."""
    for i in range(np.uint64(first), np.uint64(last)):
        put_order(wire, at, rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3], rows[i, 4], rows[i, 5], rows[i, 6])
        at += ORDER_BYTES
    return at


@inline
def encode_events(rows, first, last, wire, at):
    """Write the events ``rows[first:last]`` (uint64[n, 5]) one behind the other to ``wire[at:]``; return the end."""
    for i in range(np.uint64(first), np.uint64(last)):
        put_event(wire, at, rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3], rows[i, 4])
        at += EVENT_BYTES
    return at


@inline
def decode_orders(wire, at, end, out, row, bad):
    """Read orders from ``wire[at:end]`` into the rows of `out` from `row` on, until one of them ends.

    Return the row behind the last one. Refusals are counted in `bad`; a broken frame ends the reading.
    """
    while at < end and row < out.shape[0]:
        if unlikely(not frame_is_good(wire, at, end, ORDER_BYTES, ORDER_LETTER)):
            bad[why_frame(wire, at, end, ORDER_BYTES)] += 1
            break
        word_4, word_5, word_6 = take_order_words(wire, at)
        i = np.uint64(row)
        if unlikely(not order_is_good(word_4, word_5, word_6)):
            refuse_row(out, row, bad, why_order(word_4, word_5, word_6))
        else:
            out[i, 0] = big_endian_64(wire, at + 3)
            out[i, 1] = big_endian_64(wire, at + 11)
            out[i, 2] = big_endian_64(wire, at + 19)
            out[i, 3] = big_endian_64(wire, at + 27)
            out[i, 4] = word_4
            out[i, 5] = word_5
            out[i, 6] = word_6
            out[i, 7] = _ZERO
        at += ORDER_BYTES
        row += 1
    return row


@inline
def decode_events(wire, at, end, out, row, bad):
    """Read events from ``wire[at:end]`` into the rows of `out` from `row` on, as `decode_orders` does."""
    while at < end and row < out.shape[0]:
        if unlikely(not frame_is_good(wire, at, end, EVENT_BYTES, EVENT_LETTER)):
            bad[why_frame(wire, at, end, EVENT_BYTES)] += 1
            break
        word_4 = take_event_word_4(wire, at)
        i = np.uint64(row)
        if unlikely(not event_is_good(word_4)):
            refuse_row(out, row, bad, why_event(word_4))
        else:
            out[i, 0] = big_endian_64(wire, at + 3)
            out[i, 1] = big_endian_64(wire, at + 11)
            out[i, 2] = big_endian_64(wire, at + 19)
            out[i, 3] = rotate_left(big_endian_64(wire, at + 27), np.uint64(32))
            out[i, 4] = word_4
        at += EVENT_BYTES
        row += 1
    return row


@cold
def refuse_row(out, row, bad, why):
    """Count a refused message and leave zeros in its row."""
    bad[why] += 1
    out[row, :] = _ZERO
