"""Records as they lie in memory: to decode is to look, as what was received is what will be used."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine import vector as v
from kernels.order_codec import _state
from kernels.order_codec._probing import LINE_BYTES, LINES_TOUCHED, count_refusals, sum_refusals
from kernels.order_codec._records import (
    check_events,
    check_orders,
    decode,
    decode_event,
    encode,
    encode_event,
    word_at,
)
from kernels.order_codec._words import CUT, ORDER_WORDS, inline
from kernels.probe import count, start, stop

__all__ = ["VARIANT", "decode", "decode_all", "decode_event", "encode", "encode_all", "encode_event", "replay"]


@inline
def copy_orders(rows, first, last, out):
    """Write the records ``rows[first:last]`` to the same rows of `out`: a vector each.

    Word by word LLVM would have to, as `out` might overlap `rows` for all that it knows.
    """
    for i in range(np.uint64(first), np.uint64(last)):
        v.store(out, (i, 0), v.load(rows, (i, 0), ORDER_WORDS))


@inline
def copy_events(rows, first, last, out):
    """Write the records ``rows[first:last]`` to the same rows of `out`: a vector of four words, and one more."""
    for i in range(np.uint64(first), np.uint64(last)):
        v.store(out, (i, 0), v.load(rows, (i, 0), 4))
        out[i, 4] = rows[i, 4]


@kernel_jit(_nrt=False)
def encode_all(rows, wire):
    """Write all messages of a table of words to `wire` (uint8, with room for them all); return the bytes written."""
    words = wire.view(np.uint64)
    for i in range(rows.shape[0]):
        for word in range(rows.shape[1]):
            words[i * rows.shape[1] + word] = rows[i, word]
    return 8 * rows.shape[0] * rows.shape[1]


@kernel_jit(_nrt=False)
def decode_all(wire, out, bad):
    """Read messages from `wire` (uint8, any bytes) into the rows of `out`; return how many rows were written.

    A refused message takes a row of zeros. `bad` is int64, by `Refusal`. Who may keep the memory of the wire needs no
    `out`: ``wire.view(ORDER)`` are the messages, to be checked where they lie.
    """
    record_bytes = 8 * out.shape[1]
    length = min(wire.shape[0] // record_bytes, out.shape[0])
    for i in range(length):
        for word in range(out.shape[1]):
            out[i, word] = word_at(wire, i * record_bytes + 8 * word)
    if out.shape[1] == ORDER_WORDS:
        check_orders(out, 0, length, bad)
    else:
        check_events(out, 0, length, bad)
    if length < out.shape[0] and wire.shape[0] % record_bytes:
        bad[CUT] += 1
    return length


@kernel_jit(_nrt=False)
def replay(state, messages, out, begin, probe):
    """Encode ``messages.rows[begin:]`` into `out`, which is the wire, and decode them there; return the end."""
    rows, lane, batch = messages.rows, messages.lane[0], state.batch[0]
    bad = state.bad[lane]
    refused = sum_refusals(bad, probe)
    for first in range(begin, rows.shape[0], batch):
        last = min(first + batch, rows.shape[0])
        stamp = start(probe)
        if rows.shape[1] == ORDER_WORDS:
            copy_orders(rows, first, last, out)
            check_orders(out, first, last, bad)
        else:
            copy_events(rows, first, last, out)
            check_events(out, first, last, bad)
        stop(probe, stamp)
        count(probe, LINES_TOUCHED, 2 * (8 * (last - first) * rows.shape[1] // LINE_BYTES + 1))
    count_refusals(bad, refused, probe)
    return rows.shape[0]


VARIANT = Variant(
    name="aligned",
    parent="big_endian",
    idea="The record itself is the form: 64 bytes little-endian, a cache line for an order, written straight to where "
    "the receiver reads it; to decode is to check the fields in place.",
    allocate=_state.allocate,
    reset=_state.reset,
    replay_from=replay,
    export_state=_state.export_state,
    import_state=_state.import_state,
)
