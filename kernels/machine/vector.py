"""Explicit SIMD: vectors as values with operators, for the loops that LLVM does not vectorize by itself.

A vector is made by `load`, `splat` or `lane_numbers` and lives in a register. ``+ - * / & | ^ << >> ~`` work lane by
lane, on two vectors of one type or on a vector and a scalar; integers wrap around. ``< <= > >= == !=`` give a mask,
which takes ``& | ^ ~``, picks in `select`, and becomes an integer in `bits`. ``vector[i]`` is one lane. Lanes may be
float64, float32, or integers of 8 to 64 bits, signed or not.

How many lanes? Where a call does not say, as many as the target's widest register holds: `lanes`. That is asked of
LLVM, so one source runs on AVX-512, AVX2, SSE2 and NEON (untested there). Any other power of two may be given and LLVM
splits it: two or four registers' worth in one value hides latency. A loop looks like this::

    LANES = lanes(np.float64)

    @kernel_jit
    def total(values):
        sums = splat(0.0, np.float64)
        whole = values.shape[0] // LANES * LANES
        for i in range(0, whole, LANES):
            sums += load(values, i)
        rest = first_lanes(values.shape[0] - whole, LANES)
        return reduce_add(sums + load_masked(values, whole, rest))

Not faster where LLVM vectorizes the plain loop already (integer sums, element-wise arithmetic on contiguous arrays):
look at the machine code first. Arrays are C-contiguous; nothing is checked: an index must be inside with all its lanes.
Vectors cannot be returned to Python.

======================  ============================================================================================
memory                  load load_aligned load_masked gather store store_aligned store_masked stream stream_fence
making                  splat lane_numbers lanes
arithmetic              fma multiply_add minimum maximum absolute square_root byte_swap bit_counts
masks                   bits mask_of first_lanes any_lane all_lanes select
one number from all     reduce_add reduce_min reduce_max, ``vector[i]``
lanes                   shuffle shuffle_two pattern rotate slide reverse low_half high_half join insert
kind                    convert reinterpret
======================  ============================================================================================
"""

from __future__ import annotations

import kernels.machine._vector_operators  # noqa: F401 - registers the operators
from kernels.machine._vector_lanes import (
    convert,
    high_half,
    insert,
    join,
    low_half,
    pattern,
    reinterpret,
    reverse,
    rotate,
    shuffle,
    shuffle_two,
    slide,
)
from kernels.machine._vector_memory import (
    gather,
    load,
    load_aligned,
    load_masked,
    store,
    store_aligned,
    store_masked,
    stream,
    stream_fence,
)
from kernels.machine._vector_type import Mask, Vector, lanes
from kernels.machine._vector_values import (
    absolute,
    all_lanes,
    any_lane,
    bit_counts,
    bits,
    byte_swap,
    first_lanes,
    fma,
    lane_numbers,
    mask_of,
    maximum,
    minimum,
    multiply_add,
    reduce_add,
    reduce_max,
    reduce_min,
    select,
    splat,
    square_root,
)

__all__ = [
    "Mask",
    "Vector",
    "absolute",
    "all_lanes",
    "any_lane",
    "bit_counts",
    "bits",
    "byte_swap",
    "convert",
    "first_lanes",
    "fma",
    "gather",
    "high_half",
    "insert",
    "join",
    "lane_numbers",
    "lanes",
    "load",
    "load_aligned",
    "load_masked",
    "low_half",
    "mask_of",
    "maximum",
    "minimum",
    "multiply_add",
    "pattern",
    "reduce_add",
    "reduce_max",
    "reduce_min",
    "reinterpret",
    "reverse",
    "rotate",
    "select",
    "shuffle",
    "shuffle_two",
    "slide",
    "splat",
    "square_root",
    "store",
    "store_aligned",
    "store_masked",
    "stream",
    "stream_fence",
]
