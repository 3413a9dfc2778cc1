"""The packed form by shuffles: one permutation of 64 bytes swaps, packs and unpacks all numbers of a message.

Where a byte of the record goes is the same for every message, so swapping the bytes of twelve numbers and closing the
gaps between them is a single permutation: one instruction with AVX-512 VBMI (``vpermb``, ``vpermi2b``), a handful with
AVX2. The checks of the decoder become one too: every byte of the wire, the length and letter included, must lie
between a lowest and a highest value, so that a subtraction and an unsigned compare of 64 bytes check the whole message.
Limits that are powers of two make that exact: a price is in range when its first byte is at most 0x3F.

A vector reaches over the end of a message, into the next one. So the last messages of a table or of a wire are left to
the scalar code (`_rows`), as is everything where the target has no byte shuffle of 32 bytes or more.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import vector as v
from kernels.machine.hints import unlikely
from kernels.messages import EVENT, MAX_ORDER_SIZE, MAX_PRICE_TICKS, ORDER, Action, Kind, OrderType, Side, TimeInForce
from kernels.order_codec import _rows
from kernels.order_codec._packed import EVENT_BYTES, EVENT_LETTER, ORDER_BYTES, ORDER_LETTER, PREFIX_BYTES
from kernels.order_codec._words import EVENT_WORDS, inline

LANES = 64  # bytes of a cache line: longer than any message or record
WORDS = LANES // 8
WIDE = v.lanes(np.uint8) >= 32  # below that LLVM would take a shuffle apart, byte by byte
HEADER_BYTES = PREFIX_BYTES + 1


def _wire_place(dtype: np.dtype) -> list[int]:
    """Return for each byte of the packed form, header apart, which byte of the record it is."""
    places = []
    for name in dtype.names or ():
        offset, size = dtype.fields[name][1], dtype[name].itemsize  # type: ignore[index]
        places += list(range(offset + size - 1, offset - 1, -1))
    return places


def _patterns(dtype: np.dtype) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the permutations of ``(record, header)`` to the wire, and of ``(wire, zeros)`` to the record."""
    places = _wire_place(dtype)
    packing = [LANES + lane for lane in range(HEADER_BYTES)] + places
    unpacking = [LANES] * LANES
    for at, place in enumerate(places, HEADER_BYTES):
        unpacking[place] = at
    return v.pattern(*packing, *[LANES] * (LANES - len(packing))), v.pattern(*unpacking)


def _limits(dtype: np.dtype, header: bytes, ranges: dict[str, tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest value of each byte on the wire, and how far above it may lie. `ranges` are those of fields.

    A number of several bytes must be allowed from 0 on, up to a power of two less one: then its bytes tell.
    """
    lowest, span = np.zeros(LANES, np.uint8), np.full(LANES, 255, np.uint8)
    lowest[:HEADER_BYTES], span[:HEADER_BYTES] = list(header), 0
    at = HEADER_BYTES
    for name in dtype.names or ():
        size = dtype[name].itemsize
        if name in ranges:
            low, high = ranges[name]
            assert size == 1 or (low == 0 and high & (high + 1) == 0)
            lowest[at] = low
            span[at : at + size] = list((high - low).to_bytes(size, "big"))
        at += size
    return lowest, span


_ORDER_HEADER = (ORDER_BYTES - PREFIX_BYTES).to_bytes(PREFIX_BYTES, "big") + bytes([ORDER_LETTER])
_EVENT_HEADER = (EVENT_BYTES - PREFIX_BYTES).to_bytes(PREFIX_BYTES, "big") + bytes([EVENT_LETTER])
_ORDER_FIRST = np.frombuffer(_ORDER_HEADER.ljust(LANES, b"\0"), np.uint8)
_EVENT_FIRST = np.frombuffer(_EVENT_HEADER.ljust(LANES, b"\0"), np.uint8)
_PACK_ORDER, _UNPACK_ORDER = _patterns(ORDER)
_PACK_EVENT, _UNPACK_EVENT = _patterns(EVENT)
_ORDER_LOWEST, _ORDER_SPAN = _limits(
    ORDER,
    _ORDER_HEADER,
    {
        "price_ticks": (0, MAX_PRICE_TICKS),
        "size": (0, MAX_ORDER_SIZE),
        "side": (int(min(Side)), int(max(Side))),
        "order_type": (int(min(OrderType)), int(max(OrderType))),
        "time_in_force": (int(min(TimeInForce)), int(max(TimeInForce))),
        "action": (int(min(Action)), int(max(Action))),
    },
)
_EVENT_LOWEST, _EVENT_SPAN = _limits(
    EVENT, _EVENT_HEADER, {"kind": (int(min(Kind)), int(max(Kind))), "side": (int(min(Side)), int(max(Side)))}
)


@inline
def _record(rows, i):
    """Return the 64 bytes from row `i` of a table of words on."""
    return v.reinterpret(v.load(rows, (i, 0), WORDS), np.uint8)


@inline
def encode_orders(rows, first, last, wire, at):
    """Write the orders ``rows[first:last]`` (uint64[n, 8]) one behind the other to ``wire[at:]``; return the end."""
    if WIDE:
        header = v.load(_ORDER_FIRST, 0, LANES)
        whole = min(last, first + (wire.shape[0] - at - LANES) // ORDER_BYTES + 1)
        for i in range(np.uint64(first), np.uint64(max(whole, first))):
            v.store(wire, at, v.shuffle_two(_record(rows, i), header, _PACK_ORDER))
            at += ORDER_BYTES
        first = max(whole, first)
    return _rows.encode_orders(rows, first, last, wire, at)


@inline
def encode_events(rows, first, last, wire, at):
    """Write the events ``rows[first:last]`` (uint64[n, 5]) one behind the other to ``wire[at:]``; return the end."""
    if WIDE:
        header = v.load(_EVENT_FIRST, 0, LANES)
        whole = min(last, first + (wire.shape[0] - at - LANES) // EVENT_BYTES + 1, rows.shape[0] - 1)
        for i in range(np.uint64(first), np.uint64(max(whole, first))):
            v.store(wire, at, v.shuffle_two(_record(rows, i), header, _PACK_EVENT))
            at += EVENT_BYTES
        first = max(whole, first)
    return _rows.encode_events(rows, first, last, wire, at)


@inline
def decode_orders(wire, at, end, out, row, bad):
    """Read orders from ``wire[at:end]`` into the rows of `out` from `row` on, until one of them ends.

    Return the row behind the last one. Refusals are counted in `bad`; a broken frame ends the reading.
    """
    if WIDE:
        lowest, span = v.load(_ORDER_LOWEST, 0, LANES), v.load(_ORDER_SPAN, 0, LANES)
        nothing = v.splat(0, np.uint8, LANES)
        # a whole message inside `end`, a whole vector inside `wire`
        count = min((end - at) // ORDER_BYTES, (wire.shape[0] - at - LANES) // ORDER_BYTES + 1, out.shape[0] - row)
        until = row + max(count, 0)
        while row < until:
            message = v.load(wire, at, LANES)
            if unlikely(not v.all_lanes(message - lowest <= span)):
                before = row
                row = _rows.decode_orders(wire, at, at + ORDER_BYTES, out, row, bad)
                if row == before:
                    return row
            else:
                record = v.shuffle_two(message, nothing, _UNPACK_ORDER)
                v.store(out, (np.uint64(row), 0), v.reinterpret(record, np.uint64))
                row += 1
            at += ORDER_BYTES
    return _rows.decode_orders(wire, at, end, out, row, bad)


@inline
def decode_events(wire, at, end, out, row, bad):
    """Read events from ``wire[at:end]`` into the rows of `out` from `row` on, as `decode_orders` does.

    Each row but the last is written with the beginning of the next one, which follows.
    """
    if WIDE:
        lowest, span = v.load(_EVENT_LOWEST, 0, LANES), v.load(_EVENT_SPAN, 0, LANES)
        nothing = v.splat(0, np.uint8, LANES)
        count = min((end - at) // EVENT_BYTES, (wire.shape[0] - at - LANES) // EVENT_BYTES + 1)
        until = min(row + max(count, 0), out.shape[0] - 1)
        while row < until:
            message = v.load(wire, at, LANES)
            if unlikely(not v.all_lanes(message - lowest <= span)):
                before = row
                row = _rows.decode_events(wire, at, at + EVENT_BYTES, out, row, bad)
                if row == before:
                    return row
            else:
                record = v.shuffle_two(message, nothing, _UNPACK_EVENT)
                v.store(out, (np.uint64(row), 0), v.reinterpret(record, np.uint64))
                row += 1
            at += EVENT_BYTES
    return _rows.decode_events(wire, at, end, out, row, bad)


assert EVENT_WORDS * 8 < LANES <= 2 * EVENT_WORDS * 8  # a vector reaches into the next row, and not beyond it
