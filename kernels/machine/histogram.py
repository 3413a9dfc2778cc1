"""Recording into a High Dynamic Range histogram from compiled code: allocation-free, a few instructions a value.

The layout is HdrHistogram's (G. Tene, hdrhistogram.org): values below ``2048`` have a bucket each; above, every power
of two is split into 1,024 buckets, so a value is known to better than 0.1 % (three significant digits). The counts
array of this file is, index for index, the counts array of every public HdrHistogram with lowest value 1 and three
digits, which is what makes the interchange in `workbench.measure.histogram` a plain copy.
"""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.machine.bits import leading_zeros

SUB_BUCKET_BITS = 11  # 2 * 10**3 distinct values at unit resolution, rounded up to a power of two
SUB_BUCKETS = 1 << SUB_BUCKET_BITS
HALF_BITS = SUB_BUCKET_BITS - 1
HALF = 1 << HALF_BITS


def counts_length(highest: int) -> int:
    """Return how many buckets a histogram up to `highest` has (60 s in ns: 27,648)."""
    buckets, reach = 1, SUB_BUCKETS
    while reach <= highest:
        reach <<= 1
        buckets += 1
    return (buckets + 1) * HALF


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
