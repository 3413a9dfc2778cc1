"""One series of prices, several bars a step: what breaks the chain from one bar to the next.

An average that follows from the one before, ``y[i] = decay * y[i-1] + x[i]``, also follows from the one eight bars
before: ``y[i] = x[i] + decay * x[i-1] + ... + decay**7 * x[i-7] + decay**8 * y[i-8]`` (look-ahead, as in recursive
filters: Parhi and Messerschmitt, 1989). So a vector of eight averages follows from the vector before by one
multiply-add, and the sum of eight products, which waits for nothing, is made in three doublings: of two, four and eight
terms, each the last one and the last one moved by so many lanes. A sum over a window is the same with a decay of 1 and
``x[i] - x[i-window]`` for x; the largest of a window is the same with a maximum in the place of the sum.

Vectors are of the target's width: three doublings for 8 lanes, two for 4, one for 2.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine.vector import (
    absolute,
    all_lanes,
    lanes,
    multiply_add,
    pattern,
    shuffle_two,
    splat,
)

LANES = lanes(np.float64)
CHUNK = 64 * LANES
"""Bars after which a scan looks whether all was well, and after which it adds a window's sum up afresh."""

_BACK_1 = pattern(*(LANES - 1 + lane for lane in range(LANES)))
BACK_2 = pattern(*(LANES - min(2, LANES // 2) + lane for lane in range(LANES)))
BACK_4 = pattern(*(LANES - min(4, LANES // 2) + lane for lane in range(LANES)))
_LARGEST = 1.7976931348623157e308

hot = kernel_jit(_nrt=False, forceinline=True)


@hot
def back_1(before, now):
    """Return the vector of one bar earlier than `now`, whose predecessor is `before`."""
    return shuffle_two(before, now, _BACK_1)


@hot
def powers(decay):
    """Return what `weigh` takes: vectors of decay, its second, fourth and `LANES`-th power."""
    second = decay * decay
    fourth = second * second
    last = fourth * fourth if LANES == 8 else (fourth if LANES == 4 else second)
    return (
        splat(decay, np.float64),
        splat(second, np.float64),
        splat(fourth, np.float64),
        splat(last, np.float64),
    )


@hot
def weigh(now, earlier, two, four, by):
    """Return the sums of two, of four and of `LANES` terms ``decay**k * x[i-k]``.

    `now` holds ``x[i]``, `earlier` ``x[i-1]``; `two` and `four` are the sums that the step before returned.
    """
    sum_of_two = multiply_add(earlier, by[0], now)
    if LANES == 2:
        return sum_of_two, sum_of_two, sum_of_two
    sum_of_four = multiply_add(shuffle_two(two, sum_of_two, BACK_2), by[1], sum_of_two)
    if LANES == 4:
        return sum_of_two, sum_of_four, sum_of_four
    return sum_of_two, sum_of_four, multiply_add(shuffle_two(four, sum_of_four, BACK_4), by[2], sum_of_four)


@hot
def add_up(now, earlier, two, four):
    """Return what `weigh` does with a decay of 1."""
    sum_of_two = now + earlier
    if LANES == 2:
        return sum_of_two, sum_of_two, sum_of_two
    sum_of_four = sum_of_two + shuffle_two(two, sum_of_two, BACK_2)
    if LANES == 4:
        return sum_of_two, sum_of_four, sum_of_four
    return sum_of_two, sum_of_four, sum_of_four + shuffle_two(four, sum_of_four, BACK_4)


@hot
def finite(values):
    """Return the mask of the lanes that are neither NaN nor infinite."""
    return absolute(values) <= _LARGEST


@hot
def all_finite(values):
    """Return whether no lane is NaN or infinite."""
    return all_lanes(finite(values))
