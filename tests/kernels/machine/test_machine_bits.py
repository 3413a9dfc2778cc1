"""Bits: against plain Python, and as single instructions."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from machine_code import assembly, needs_x86
from numba import int64, uint32

from kernels._jit import kernel_jit
from kernels.machine import bits

SIGNED = st.integers(-(2**63), 2**63 - 1)


@kernel_jit
def counts_of(value):
    return bits.leading_zeros(value), bits.trailing_zeros(value), bits.popcount(value)


@given(SIGNED)
@example(0)
@example(-1)
@settings(max_examples=200, deadline=None)
def test_counts(value):
    word = value & (2**64 - 1)
    lowest = (word & -word).bit_length() - 1 if word else 64
    assert counts_of(value) == (64 - word.bit_length(), lowest, word.bit_count())


@kernel_jit
def moved(value, amount):
    return bits.byte_swap(value), bits.rotate_left(value, amount), bits.rotate_right(value, amount)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64, np.uint64])
@given(value=st.integers(0, 2**64 - 1), amount=st.integers(0, 63))
@settings(max_examples=40, deadline=None)
def test_moves_keep_the_type(dtype, value, amount):
    width = np.dtype(dtype).itemsize * 8
    word, by = value & (2**width - 1), amount % width
    given_value = np.array(word, f"u{width // 8}").view(dtype)[()]

    def signed(x):
        return int(np.array(x & (2**width - 1), f"u{width // 8}").view(dtype)[()])

    swapped, left, right = moved(given_value, amount)
    assert swapped == signed(int.from_bytes(word.to_bytes(width // 8, "little"), "big"))
    assert left == signed(word << by | word >> (width - by))
    assert right == signed(word >> by | word << (width - by))


@kernel_jit
def neighbours(words, start):
    return bits.next_set(words, start), bits.previous_set(words, start)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
@given(chosen=st.sets(st.integers(0, 255), max_size=6), start=st.integers(-70, 330))
@settings(max_examples=150, deadline=None)
def test_scans(dtype, chosen, start):
    words = np.zeros(4, np.uint64)
    for bit in chosen:
        words[bit // 64] |= np.uint64(1 << bit % 64)
    above = min((bit for bit in chosen if bit >= start), default=-1)
    below = max((bit for bit in chosen if bit <= start), default=-1)
    assert neighbours(words.view(dtype), start) == (above, below)


@needs_x86
def test_instructions():
    def swap(x):
        return bits.byte_swap(x)

    def turn(x):
        return bits.rotate_left(x, 5)

    def count(x):
        return bits.trailing_zeros(x)

    assert "bswapl" in assembly(swap, uint32) or "movbe" in assembly(swap, uint32)
    assert "ro" in assembly(turn, int64)
    assert "tzcnt" in assembly(count, int64) or "bsf" in assembly(count, int64)
