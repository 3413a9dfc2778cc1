"""Recording into a High Dynamic Range histogram from compiled code: allocation-free, a few instructions a value.

The layout is HdrHistogram's (G. Tene, hdrhistogram.org): values below ``2048`` have a bucket each; above, every power
of two is split into 1,024 buckets, so a value is known to better than 0.1 % (three significant digits). The counts
array of this file is, index for index, the counts array of every public HdrHistogram with lowest value 1 and three
digits, which is what makes the interchange in `workbench.measure.histogram` a plain copy.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.machine.bits import leading_zeros
from kernels.machine.stack import stack_empty
from kernels.machine.vector import lanes, load, reduce_add, splat

SUB_BUCKET_BITS = 11  # 2 * 10**3 distinct values at unit resolution, rounded up to a power of two
SUB_BUCKETS = 1 << SUB_BUCKET_BITS
HALF_BITS = SUB_BUCKET_BITS - 1
HALF = 1 << HALF_BITS
_LANES = lanes(np.int64)
_STRIDE = 4 * _LANES  # four sums at a time: an addition need not wait for the one before
MAX_BUCKETS = 65536  # more than a histogram of all positive int64 values has (56,320)
_BLOCK = 512  # buckets summed before the rank is looked at: whole strides


def counts_length(highest: int) -> int:
    """Return how many buckets a histogram up to `highest` has (60 s in ns: 27,648)."""
    buckets, reach = 1, SUB_BUCKETS
    while reach <= highest:
        reach <<= 1
        buckets += 1
    return (buckets + 1) * HALF


_MAX_BLOCKS = MAX_BUCKETS // _BLOCK


@kernel_jit
def bucket_index(value: int) -> int:
    """Return the bucket of `value` (int64 >= 0)."""
    exponent = 64 - SUB_BUCKET_BITS - leading_zeros(value | (SUB_BUCKETS - 1))
    return (exponent << HALF_BITS) + (value >> exponent)


@kernel_jit
def lowest_value(index: int) -> int:
    """Return the smallest value that falls into bucket `index`."""
    exponent = (index >> HALF_BITS) - 1
    if exponent < 0:
        return index
    return ((index & (HALF - 1)) + HALF) << exponent


@kernel_jit
def record(counts, value):
    """Count `value` (int64): below 0 as 0, above the last bucket into the last bucket. `counts` is int64[:]."""
    index = bucket_index(value if value > 0 else 0)
    last = counts.shape[0] - 1
    counts[index if index < last else last] += 1


@kernel_jit
def record_atomic(counts, value):
    """As `record`, for any number of threads on one histogram: nothing is lost. One ``lock`` instruction dearer.

    Threads that record often are better off with a histogram each and `merge`: they then share no cache line.
    """
    index = bucket_index(value if value > 0 else 0)
    last = counts.shape[0] - 1
    atomics.add(counts, index if index < last else last, 1, RELAXED)  # RELAXED: a counter publishes nothing else


@kernel_jit
def merge(counts, other):
    """Add the histogram `other` to `counts`. Raises ValueError when they are of different lengths."""
    if counts.shape[0] != other.shape[0]:
        raise ValueError("histograms of different lengths cannot be merged: build both for the same highest value")
    for index in range(counts.shape[0]):
        counts[index] += other[index]


@kernel_jit
def _sum_range(counts, begin, end):
    """Return the sum of ``counts[begin:end]``, by vectors."""
    a = splat(0, np.int64)
    b = splat(0, np.int64)
    c = splat(0, np.int64)
    d = splat(0, np.int64)
    index = begin
    while index + _STRIDE <= end:
        a += load(counts, index)
        b += load(counts, index + _LANES)
        c += load(counts, index + 2 * _LANES)
        d += load(counts, index + 3 * _LANES)
        index += _STRIDE
    total = reduce_add((a + b) + (c + d))
    while index < end:
        total += counts[index]
        index += 1
    return total


@kernel_jit
def total_count(counts):
    """Return how many values `counts` (int64[:], C-contiguous) holds."""
    return _sum_range(counts, 0, counts.shape[0])


@kernel_jit
def value_at_percentile(counts, fraction, total):
    """Return the value below or at which `fraction` (0 .. 1) of the `total` recorded values lie; 0 when there are none.

    The highest value of the bucket that holds the rank ``max(int(fraction * total + 0.5), 1)``, as HdrHistogram has
    it. `total` is `total_count`. Whole blocks are summed by vectors until the rank is passed, then the one block is
    searched: several times faster than bucket by bucket, least so for ranks in the first block.
    """
    rank = max(np.int64(fraction * total + 0.5), 1)
    if total == 0:
        return 0
    return highest_value(_bucket_of_rank(counts, min(rank, total), 0, 0))


@kernel_jit
def highest_value(index):
    """Return the largest value that falls into bucket `index`."""
    return lowest_value(index + 1) - 1


@kernel_jit
def _bucket_of_rank(counts, rank, begin, before):
    """Return the bucket of the value with that `rank` (from 1), `before` of which lie below bucket `begin`."""
    length = counts.shape[0]
    step = _BLOCK
    while step >= 1:  # ever finer steps: blocks, then strides, then buckets
        while begin + step <= length:
            inside = _sum_range(counts, begin, begin + step)
            if before + inside >= rank:
                break
            before += inside
            begin += step
        step = _STRIDE if step > _STRIDE else (1 if step > 1 else 0)
    return min(begin, length - 1)


@kernel_jit
def value_at_percentiles(counts, fractions):
    """Return the values (int64[:]) at `fractions` (float64[:], 0 .. 1, any order) of `counts`; zeros when it is empty.

    One pass sums the blocks; each rank is then found among the blocks' sums, and inside one block. So the pass is paid
    once, and one more percentile costs little. Raises ValueError for more than `MAX_BUCKETS` buckets.
    """
    length = counts.shape[0]
    if length > MAX_BUCKETS:
        raise ValueError("this is longer than any histogram of 63-bit values: pass the array of counts_length")
    values = np.zeros(fractions.shape[0], np.int64)
    sums = stack_empty(_MAX_BLOCKS, np.int64)
    blocks = (length + _BLOCK - 1) // _BLOCK
    total = 0
    for block in range(blocks):
        sums[block] = _sum_range(counts, block * _BLOCK, min((block + 1) * _BLOCK, length))
        total += sums[block]
    if total == 0:
        return values
    for i in range(fractions.shape[0]):
        rank = min(max(np.int64(fractions[i] * total + 0.5), 1), total)
        block, before = 0, 0
        while before + sums[block] < rank:
            before += sums[block]
            block += 1
        values[i] = highest_value(_bucket_of_rank(counts, rank, block * _BLOCK, before))
    return values
