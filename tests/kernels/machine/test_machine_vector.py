"""Vectors: every operation against NumPy on several targets, the instructions, the refusals."""

import numpy as np
import pytest
import vector_program as program
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_code import IS_X86, TARGETS, assembly, needs_x86, run_program
from numba import float64, int64, types
from numba.core.errors import TypingError

from kernels._jit import kernel_jit
from kernels.machine import vector as v

LANES = v.lanes(np.float64)
DOUBLES = types.Array(float64, 1, "C")
LANES_OF_16_BYTES = {"f8": 2, "f4": 4, "i8": 2, "i4": 4, "i2": 8, "u1": 16}


@pytest.mark.parametrize("dtype", program.FLOATS + program.INTEGERS)
def test_every_operation_equals_numpy(dtype):
    program.check_any(dtype)
    program.check_special(dtype)


@pytest.mark.parametrize(("target", "register", "scale"), [("x86-64", "xmm", 1), ("x86-64-v3", "ymm", 2)])
def test_every_operation_on_other_targets(target, register, scale):
    answer = run_program("vector_program.py", target, "x86")
    assert answer == {dtype: [lanes * scale, register, 1] for dtype, lanes in LANES_OF_16_BYTES.items()}


@needs_x86
def test_the_widths_of_this_machine_are_those_of_its_registers():
    for dtype in program.FLOATS + program.INTEGERS:
        register, additions = program.widest_register(dtype)
        assert additions == 1
        assert v.lanes(dtype) * np.dtype(dtype).itemsize == {"x": 16, "y": 32, "z": 64}[register[0]]


def test_lanes_may_be_asked_in_compiled_code_too():
    @kernel_jit
    def asked():
        return v.lanes(np.float64), v.lanes(np.uint8)

    assert asked() == (v.lanes(np.float64), v.lanes(np.uint8))


@kernel_jit
def total(values):
    sums = v.splat(0.0, np.float64)
    whole = values.shape[0] // LANES * LANES
    for i in range(0, whole, LANES):
        sums += v.load(values, i)
    rest = v.first_lanes(values.shape[0] - whole, LANES)
    return v.reduce_add(sums + v.load_masked(values, whole, rest))


@given(st.lists(st.integers(-(2**40), 2**40), max_size=70))
@settings(max_examples=100, deadline=None)
def test_the_loop_of_the_documentation(numbers):
    assert total(np.array(numbers, np.float64)) == sum(numbers)


@kernel_jit
def running_sums(values, out):
    x = v.load(values, 0, 8)
    x += v.slide(x, 1, 0)
    x += v.slide(x, 2, 0)
    x += v.slide(x, 4, 0)
    v.store(out, 0, x)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=8, max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_scan_by_slides(numbers):
    values, out = np.array(numbers), np.zeros(8, np.int64)
    running_sums(values, out)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out, np.cumsum(values))


@kernel_jit
def swapped(raw, out):
    v.store(out, 0, v.byte_swap(v.load(raw, 0, 4)))
    v.store(out, 4, v.shuffle(v.load(raw, 0, 4), (3, 2, 1, 0)))
    v.store(out, 8, v.shuffle_two(v.load(raw, 0, 4), v.load(raw, 4, 4), (0, 4, 1, 5, 2, 6, 3, 7)))


def test_byte_swap_and_shuffles():
    raw, out = np.arange(1, 9, dtype=np.uint32) * 0x01020304, np.zeros(16, np.uint32)
    swapped(raw, out)
    np.testing.assert_array_equal(out[:4], raw[:4].byteswap())
    np.testing.assert_array_equal(out[4:8], raw[3::-1])
    np.testing.assert_array_equal(out[8:], raw[[0, 4, 1, 5, 2, 6, 3, 7]])


@needs_x86
def test_instructions():
    def streams(a, x):
        v.stream(a, 0, v.splat(x, np.float64))

    def fused(a):
        v.store(a, 0, v.multiply_add(v.load(a, 8), v.load(a, 16), v.load(a, 24)))

    def narrow(a):
        v.store(a, 0, v.load(a, 2, 2) * v.load(a, 4, 2))

    def gathers(a, i):
        v.store(a, 0, v.gather(a, v.load(i, 0, LANES)))

    assert "movnt" in assembly(streams, DOUBLES, float64)
    assert "mulpd" in assembly(narrow, DOUBLES)
    assert "ymm" not in assembly(narrow, DOUBLES)
    if LANES > 2:
        assert "fmadd" in assembly(fused, DOUBLES)
    if LANES == 8:
        assert "vgatherqpd" in assembly(gathers, DOUBLES, types.Array(int64, 1, "C"))


def stores(a):
    v.store(a, 0, v.splat(1, np.int64))


def mixes(a):
    v.store(a, 0, v.load(a, 0, 2) + v.load(a, 0, 4))


def cuts(a):
    v.store(a, 0, v.convert(v.load(a, 0), np.int64) + 1.5)


def odd(a):
    v.store(a, 0, v.load(a, 0, 3))


def picks(a):
    v.store(a, 0, v.shuffle(v.load(a, 0, 2), (0, 2)))


def shifts(a):
    v.store(a, 0, v.load(a, 0) << 1)


def masks(a):
    return v.bits(v.load(a, 0))


@pytest.mark.parametrize(
    ("misuse", "sentence"),
    [
        (stores, "cannot store a Vector"),
        (mixes, "No implementation of function"),
        (cuts, "No implementation of function"),
        (odd, "must be a power of two, not 3"),
        (picks, "must lie in 0 .. 1"),
        (shifts, "No implementation of function"),
        (masks, "takes a mask"),
    ],
)
def test_misuse_is_refused_when_compiling(misuse, sentence):
    with pytest.raises(TypingError, match=sentence):
        assembly(misuse, DOUBLES)


def test_strided_and_read_only_arrays_are_refused():
    def loads(a):
        return v.reduce_add(v.load(a, 0))

    with pytest.raises(TypingError, match="needs a C-contiguous array"):
        assembly(loads, types.Array(float64, 1, "A"))

    def fills(a):
        v.store(a, 0, v.splat(1.0, np.float64))

    with pytest.raises(TypingError, match="cannot store a Vector"):
        assembly(fills, types.Array(float64, 1, "C", readonly=True))


def test_patterns_are_checked_when_made():
    with pytest.raises(ValueError, match="at least one lane, from 0 on"):
        v.pattern(0, -1)


def test_the_targets_are_told_apart():
    assert set(TARGETS) == {"x86-64", "x86-64-v3", "host"}
    assert IS_X86 or LANES == 2
