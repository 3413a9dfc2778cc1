"""Run every vector operation on this process's target against NumPy; print how wide the registers are, as JSON."""

import json
import re
import sys

import numba
import numpy as np
from machine_code import assembly

from kernels._jit import kernel_jit
from kernels.machine import vector as v

FLOATS, INTEGERS = ("f8", "f4"), ("i8", "i4", "i2", "u1")
SWAP_PAIRS = v.pattern(1, 0)
ROWS = 24


@kernel_jit
def on_any(a, b, out, indices, bits):
    """Fill the rows of `out` with what both floats and integers can do."""
    x = v.load(a, 0)
    y = v.load_aligned(b, 0)
    v.store(out, (0, 0), x + y)
    v.store(out, (1, 0), x - y)
    v.store_aligned(out, (2, 0), x * y)
    v.store(out, (3, 0), -x)
    v.store(out, (4, 0), v.minimum(x, y))
    v.store(out, (5, 0), v.maximum(x, y))
    v.store(out, (6, 0), v.absolute(x))
    v.store(out, (7, 0), v.select(x < y, x, y + 1))
    v.store(out, (8, 0), v.rotate(x, 1))
    v.store(out, (9, 0), v.reverse(x))
    v.store(out, (10, 0), v.slide(x, 1, 9))
    v.store(out, (11, 0), v.join(v.high_half(x), v.low_half(x)))
    v.store(out, (12, 0), v.insert(x, 1, 5))
    v.store_masked(out, (13, 0), x, v.first_lanes(v.lanes(a.dtype) - 1, v.lanes(a.dtype)))
    v.store(out, (14, 0), v.load_masked(a, 1, v.first_lanes(1, v.lanes(a.dtype))))
    v.stream(out, (15, 0), v.splat(3, a.dtype))
    v.stream_fence()
    v.store(out, (16, 0), v.lane_numbers(a.dtype))
    v.store(out, (17, 0), v.shuffle(v.shuffle(x, (1, 0)), (1, 0)))  # two lanes only
    v.store(out, (18, 0), v.shuffle_two(x, y, SWAP_PAIRS))
    v.store(out, (19, 0), v.gather(a, v.load(indices, 0, 4)))  # four lanes only
    bits[0] = v.bits(x < y)
    bits[1] = v.bits(x <= y)
    bits[2] = v.bits(x > y)
    bits[3] = v.bits(x >= y)
    bits[4] = v.bits(x == y)
    bits[5] = v.bits(x != y)
    bits[6] = v.bits((x < y) & ~(x == 3) | (x > 100))
    bits[7] = v.bits((x < y) ^ (x <= y))
    bits[8] = v.any_lane(x == y)
    bits[9] = v.all_lanes(x == x)
    bits[10] = v.bits(v.mask_of(bits[0], v.lanes(a.dtype)))
    return v.reduce_add(x), v.reduce_min(x), v.reduce_max(x), x[1]


@kernel_jit
def on_floats(a, b, out):
    """Fill the rows of `out` with what only floats can do."""
    x = v.load(a, 0)
    y = v.load(b, 0)
    v.store(out, (0, 0), x / y)
    v.store(out, (1, 0), v.fma(x, y, 1.0))
    v.store(out, (2, 0), v.multiply_add(x, y, 1.0))
    v.store(out, (3, 0), v.square_root(v.absolute(x)))
    v.store(out, (4, 0), v.convert(v.convert(x, np.int32), a.dtype))


@kernel_jit
def on_integers(a, b, out, wide):
    """Fill the rows of `out` with what only integers can do."""
    x = v.load(a, 0)
    y = v.load(b, 0)
    v.store(out, (0, 0), x & y)
    v.store(out, (1, 0), x | y)
    v.store(out, (2, 0), x ^ y)
    v.store(out, (3, 0), ~x)
    v.store(out, (4, 0), x << 1)
    v.store(out, (5, 0), x >> 1)
    v.store(out, (6, 0), v.bit_counts(x))
    v.store(out, (7, 0), v.reinterpret(v.reinterpret(x, np.uint8), a.dtype))
    v.store(wide, 0, v.convert(x, np.float64))


def check_any(dtype):
    n = v.lanes(dtype)
    rng = np.random.default_rng(n)
    a, b, out = aligned_pair(dtype, n, rng)
    indices, bits = np.array([3, 1, 0, 2]), np.zeros(16, np.int64)
    total, low, high, second = on_any(a, b, out, indices, bits)
    x, y = a[:n], b[:n]
    mask = x < y
    expected = [x + y, x - y, x * y, -x, np.minimum(x, y), np.maximum(x, y), np.abs(x), np.where(mask, x, y + 1)]
    expected += [np.roll(x, -1), x[::-1], np.concatenate([[9], x[:-1]]), np.concatenate([x[n // 2 :], x[: n // 2]])]
    expected += [np.where(np.arange(n) == 1, 5, x), np.where(np.arange(n) < n - 1, x, 0)]
    expected += [np.where(np.arange(n) == 0, a[1], 0), np.full(n, 3), np.arange(n)]
    for row, values in enumerate(expected):
        np.testing.assert_array_equal(out[row], np.asarray(values).astype(dtype), f"{dtype}, row {row}")
    np.testing.assert_array_equal(out[17, :2], x[:2])
    np.testing.assert_array_equal(out[18, :2], [x[1], x[0]])
    np.testing.assert_array_equal(out[19:21].reshape(-1)[:4], a[indices])
    with np.errstate(over="ignore"):
        assert total == x.sum(dtype=dtype)
    assert (low, high, second) == (x.min(), x.max(), x[1])
    masks = [mask, x <= y, x > y, x >= y, x == y, x != y, mask & ~(x == 3) | (x > 100), mask ^ (x <= y)]
    assert bits[:8].view(np.uint64).tolist() == [sum(1 << int(i) for i in np.flatnonzero(m)) for m in masks]
    assert bits[8:11].tolist() == [int((x == y).any()), 1, bits[0]]


def aligned_pair(dtype, n, rng):
    from kernels.machine.memory import aligned

    a, b = aligned(n + 8, dtype), aligned(n + 8, dtype)
    a[:], b[:] = rng.integers(0, 12, n + 8), rng.integers(1, 12, n + 8)
    b[1] = a[1]
    out = aligned((ROWS, n), dtype)
    return a, b, out


def check_special(dtype):
    n = v.lanes(dtype)
    a, b, out = aligned_pair(dtype, n, np.random.default_rng(2))
    x, y = a[:n], b[:n]
    if dtype in FLOATS:
        x[:] += np.linspace(0, 0.9, n).astype(dtype)
        on_floats(a, b, out)
        for row, expected in enumerate([x / y, None, None, np.sqrt(x), np.trunc(x)]):
            if expected is not None:
                np.testing.assert_array_equal(out[row], expected, f"{dtype}, row {row}")
        np.testing.assert_allclose(out[1], x * y + 1, rtol=np.finfo(dtype).eps)
        np.testing.assert_allclose(out[2], x * y + 1, rtol=np.finfo(dtype).eps)
        x[0], y[0] = np.nan, 1.0
        bits = np.zeros(16, np.int64)
        on_any(a, b, out, np.array([3, 1, 0, 2]), bits)
        assert [int(word) & 1 for word in bits[:6]] == [0, 0, 0, 0, 0, 1]  # with a NaN only != is true
        assert (out[4, 0], out[5, 0]) == (1.0, 1.0)  # minimum and maximum give the second operand
        return
    wide = np.zeros(n)
    x[0] = np.iinfo(dtype).max
    x[1] = np.iinfo(dtype).min
    on_integers(a, b, out, wide)
    counts = [int(value & (2 ** (8 * x.itemsize) - 1)).bit_count() for value in x.tolist()]
    for row, expected in enumerate([x & y, x | y, x ^ y, ~x, x << 1, x >> 1, np.array(counts), x]):
        np.testing.assert_array_equal(out[row], expected.astype(dtype), f"{dtype}, row {row}")
    np.testing.assert_array_equal(wide, x.astype(float))


def widest_register(dtype):
    """Return the widest register that an explicit addition of native vectors uses, and how many of them."""

    def adds(a, b, out):
        v.store(out, 0, v.load(a, 0) + v.load(b, 0))

    array = numba.types.Array(numba.from_dtype(np.dtype(dtype)), 1, "C")
    listing = assembly(adds, array, array, array)
    return max(re.findall(r"[xyz]mm", listing)), len(re.findall(r"v?p?add\S+ .*mm", listing))


if __name__ == "__main__":
    for name in FLOATS + INTEGERS:
        check_any(name)
        check_special(name)
    chosen = FLOATS + INTEGERS
    json.dump({n: [v.lanes(n), *(widest_register(n) if "x86" in sys.argv else ())] for n in chosen}, sys.stdout)
