"""Messages at random, and the packed form by plain Python: what the bytes must be, and what a decoder must say."""

import struct

import numpy as np

import kernels
from kernels.messages import EVENT, ORDER, Action, OrderType, Side, TimeInForce
from kernels.order_codec._messages import Messages, records, words
from kernels.order_codec._words import REFUSALS, Refusal
from kernels.order_codec.reference import why_refused

KERNEL = kernels.get("order_codec")
OURS = [variant for variant in KERNEL.variants.values() if not variant.peer]
COMPILED = [variant for variant in OURS if variant.name != "baseline"]
PACKED = [KERNEL.variants[name] for name in ("big_endian", "simd")]
KINDS = {"order": ORDER, "event": EVENT}
FORMS = {"order": struct.Struct(">HBqqQQiiIHBBBB"), "event": struct.Struct(">HBqQQiiHBB")}
LETTERS = {"order": ord("O"), "event": ord("E")}


def random_records(seed, length, kind, bad_share=0.1):
    """Return records of any field values, `bad_share` of which may be out of range."""
    random = np.random.default_rng(seed)
    dtype = KINDS[kind]
    made = np.zeros(length, dtype)
    noise = random.bytes(length * dtype.itemsize)
    for name in dtype.names:
        made[name] = np.frombuffer(noise, dtype)[name]
    good = random.random(length) >= bad_share
    made["side"][good] %= len(Side)
    if kind == "event":
        made["kind"][good] = made["kind"][good] % 10 + 1
        return made
    made["price_ticks"][good] &= 2**30 - 1
    made["size"][good] &= 2**24 - 1
    made["order_type"][good] = made["order_type"][good] % len(OrderType) + 1
    made["time_in_force"][good] %= len(TimeInForce)
    made["action"][good] = made["action"][good] % len(Action) + 1
    return made


def messages_of(made):
    """Return records as the input of a replay, whatever is in them."""
    rows = words(made).copy()  # as words, since NumPy's copy of records leaves padding as it is
    rows.flags.writeable = False
    return Messages(rows, np.zeros(1, np.int64))


def packed(made, kind):
    """Return the bytes of records in the packed form."""
    form, letter = FORMS[kind], LETTERS[kind]
    return b"".join(form.pack(form.size - 2, letter, *values) for values in made.tolist())


def decoded(data, kind, room):
    """Return what a decoder of the packed form makes of any bytes: the rows, and the refusals."""
    form, letter, dtype = FORMS[kind], LETTERS[kind], KINDS[kind]
    rows, bad, at = [], np.zeros(REFUSALS, np.int64), 0
    while at < len(data) and len(rows) < room:
        left = data[at : at + form.size]
        if len(left) >= 2 and left[:2] != (form.size - 2).to_bytes(2, "big"):
            bad[Refusal.FRAME] += 1
            break
        if len(left) < form.size or left[2] != letter:
            bad[Refusal.CUT if len(left) < form.size else Refusal.LETTER] += 1
            break
        values = dict(zip(dtype.names, form.unpack(left)[2:], strict=True))
        refusal = why_refused(values)
        if refusal is not None:
            bad[refusal] += 1
        rows.append(tuple(0 for _ in values) if refusal is not None else tuple(values.values()))
        at += form.size
    return np.array(rows, dtype) if rows else np.zeros(0, dtype), bad


def decode_bytes(variant_module, data, kind, room):
    """Return what ``decode_all`` makes of any bytes, and the refusals; poison around both arrays must stay."""
    dtype = KINDS[kind]
    width = dtype.itemsize // 8
    margin, poison = 16, 0xA5A5A5A5A5A5A5A5
    wire_room = np.full(len(data) + 256, 0x5A, np.uint8)
    wire = wire_room[128 : 128 + len(data)]
    wire[:] = np.frombuffer(data, np.uint8)
    out_room = np.full((room + 2 * margin, width), poison, np.uint64)
    out = out_room[margin : margin + room]
    bad = np.zeros(REFUSALS, np.int64)
    count = variant_module.decode_all(wire, out, bad)
    assert (out_room[:margin] == poison).all() and (out_room[margin + room :] == poison).all()
    assert (wire_room[:128] == 0x5A).all() and (wire_room[128 + len(data) :] == 0x5A).all()
    assert wire.tobytes() == bytes(data)
    return records(np.ascontiguousarray(out[:count])), bad
