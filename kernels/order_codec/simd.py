"""Packed big-endian messages, each by one permutation of its 64 bytes; single ones as `big_endian` does them."""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.order_codec import _state
from kernels.order_codec._packed import decode, decode_event, encode, encode_event
from kernels.order_codec._probing import LINE_BYTES, LINES_TOUCHED, count_refusals, sum_refusals
from kernels.order_codec._shuffles import decode_events, decode_orders, encode_events, encode_orders
from kernels.order_codec._words import ORDER_WORDS
from kernels.probe import count, start, stop

__all__ = ["VARIANT", "decode", "decode_all", "decode_event", "encode", "encode_all", "encode_event", "replay"]


@kernel_jit(_nrt=False)
def encode_all(rows, wire):
    """Write all messages of a table of words to `wire` (uint8, with room for them all); return the bytes written."""
    if rows.shape[1] == ORDER_WORDS:
        return encode_orders(rows, 0, rows.shape[0], wire, 0)
    return encode_events(rows, 0, rows.shape[0], wire, 0)


@kernel_jit(_nrt=False)
def decode_all(wire, out, bad):
    """Read messages from `wire` (uint8, any bytes) into the rows of `out`; return how many rows were written.

    A refused message takes a row of zeros. `bad` is int64, by `Refusal`.
    """
    if out.shape[1] == ORDER_WORDS:
        return decode_orders(wire, 0, wire.shape[0], out, 0, bad)
    return decode_events(wire, 0, wire.shape[0], out, 0, bad)


@kernel_jit(_nrt=False)
def replay(state, messages, out, begin, probe):
    """Encode ``messages.rows[begin:]`` onto the wire and decode them into `out`, a batch at a time; return the end."""
    rows, lane, batch = messages.rows, messages.lane[0], state.batch[0]
    wire, bad = state.wire[lane], state.bad[lane]
    refused = sum_refusals(bad, probe)
    for first in range(begin, rows.shape[0], batch):
        last = min(first + batch, rows.shape[0])
        stamp = start(probe)
        if rows.shape[1] == ORDER_WORDS:
            end = encode_orders(rows, first, last, wire, 0)
            decode_orders(wire, 0, end, out, first, bad)
        else:
            end = encode_events(rows, first, last, wire, 0)
            decode_events(wire, 0, end, out, first, bad)
        stop(probe, stamp)
        count(probe, LINES_TOUCHED, 2 * (end // LINE_BYTES + 1))
    count_refusals(bad, refused, probe)
    return rows.shape[0]


VARIANT = Variant(
    name="simd",
    parent="big_endian",
    idea="A message is one permutation of 64 bytes, which swaps and packs all its numbers at once, and one compare, "
    "which checks all its fields.",
    allocate=_state.allocate,
    reset=_state.reset,
    replay_from=replay,
    export_state=_state.export_state,
    import_state=_state.import_state,
)
