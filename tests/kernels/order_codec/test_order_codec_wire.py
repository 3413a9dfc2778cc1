"""The bytes on the wire against an oracle of plain Python, and whatever else may come over it."""

import numpy as np
import pytest
from codec_oracle import KERNEL, KINDS, PACKED, decode_bytes, decoded, messages_of, packed, random_records
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.order_codec import aligned, big_endian, simd
from kernels.order_codec._words import REFUSALS, Refusal

MODULES = [big_endian, simd]
each_packed = pytest.mark.parametrize("module", MODULES, ids=["big_endian", "simd"])
each_kind = pytest.mark.parametrize("kind", list(KINDS))


@each_packed
@each_kind
def test_the_bytes_are_those_of_the_description(module, kind):
    for length in (0, 1, 2, 3, 40):
        made = random_records(length, length, kind, 0.3)
        expected = packed(made, kind)
        for slack in (0, 1, 10, 11, 25, 64):
            wire = np.zeros(len(expected) + slack, np.uint8)
            assert module.encode_all(messages_of(made).rows, wire) == len(expected)
            assert wire[: len(expected)].tobytes() == expected


@each_kind
def test_records_on_the_wire_are_the_records(kind):
    made = random_records(4, 40, kind, 0)
    wire = np.zeros(made.nbytes, np.uint8)
    assert aligned.encode_all(messages_of(made).rows, wire) == made.nbytes
    assert wire.tobytes() == made.tobytes()
    assert np.array_equal(wire.view(KINDS[kind]), made)  # to decode is to look


def assert_decoded_as_the_oracle(module, data, kind, room):
    rows, bad = decode_bytes(module, data, kind, room)
    expected, refused = decoded(data, kind, room)
    assert np.array_equal(rows, expected)
    assert bad.tolist() == refused.tolist()


@each_packed
@each_kind
@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32), length=st.integers(0, 12), room=st.integers(0, 14))
def test_damaged_bytes_are_decoded_as_by_the_oracle(module, kind, data, seed, length, room):
    wire = bytearray(packed(random_records(seed, length, kind, 0.2), kind))
    for _ in range(data.draw(st.integers(0, 3))):
        if wire:
            wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    wire = wire[: data.draw(st.integers(0, len(wire)))] + data.draw(st.binary(max_size=3))
    assert_decoded_as_the_oracle(module, bytes(wire), kind, room)


@each_packed
@each_kind
@settings(max_examples=60)
@given(data=st.binary(max_size=200))
@example(data=b"\0\x33O" + bytes(100))
@example(data=b"\0\x25E" + bytes(100))
def test_any_bytes_are_decoded_as_by_the_oracle(module, kind, data):
    assert_decoded_as_the_oracle(module, data, kind, 5)


@each_packed
@each_kind
def test_every_cut_is_told(module, kind):
    data = packed(random_records(6, 3, kind, 0), kind)
    for length in range(len(data)):
        rows, bad = decode_bytes(module, data[:length], kind, 3)
        whole, rest = divmod(length, len(data) // 3)
        assert len(rows) == whole and bad[Refusal.CUT] == (rest > 0) == bad.sum()


@each_packed
@each_kind
def test_every_byte_of_the_frame_counts(module, kind):
    good = packed(random_records(7, 4, kind, 0), kind)
    size = len(good) // 4
    for at, refusal in ((0, Refusal.FRAME), (1, Refusal.FRAME), (2, Refusal.LETTER)):
        for message in range(4):
            wire = bytearray(good)
            wire[message * size + at] ^= 1
            rows, bad = decode_bytes(module, bytes(wire), kind, 4)
            assert len(rows) == message and bad[refusal] == 1 == bad.sum()


@each_kind
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), length=st.integers(0, 8), cut=st.integers(0, 63), room=st.integers(0, 9))
def test_records_from_outside_are_checked(kind, seed, length, cut, room):
    made = random_records(seed, length, kind, 0.3)
    rows, bad = decode_bytes(aligned, made.tobytes() + bytes(cut % made.itemsize), kind, room)
    messages = messages_of(made[: min(length, room)])
    reference = KERNEL.reference()
    assert np.array_equal(rows.view(np.uint64).ravel(), reference.replay(messages).ravel())
    expected = reference.export_state()["bad"]
    expected[Refusal.CUT] += length < room and cut % made.itemsize > 0
    assert bad.tolist() == expected.tolist()


@each_kind
def test_padding_of_a_record_must_be_zero(kind):
    made = random_records(3, 1, kind, 0)
    used = max(offset + dtype.itemsize for dtype, offset in made.dtype.fields.values())
    for place in range(used, made.itemsize):
        wire = bytearray(made.tobytes())
        wire[place] = 1
        rows, bad = decode_bytes(aligned, bytes(wire), kind, 1)
        assert bad[Refusal.PADDING] == 1 == bad.sum() and rows.tobytes() == bytes(made.itemsize)


def test_all_packed_variants_write_the_same_bytes():
    rows = messages_of(random_records(11, 500, "order", 0.5)).rows
    wires = [np.zeros(500 * 53, np.uint8) for _ in PACKED]
    for module, wire in zip(MODULES, wires, strict=True):
        module.encode_all(rows, wire)
    assert np.array_equal(*wires) and len(Refusal) == REFUSALS
