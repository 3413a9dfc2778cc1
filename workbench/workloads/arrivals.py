"""When the events of a synthetic market happen: a self-exciting (Hawkes) process, drawn as the family tree that it is.

Immigrants come at a constant rate. Every event, immigrant or not, has children, a Poisson number with mean `CHILDREN`,
each after a delay from a mixture of exponentials (A. G. Hawkes and D. Oakes, "A cluster process representation of a
self-exciting process", J. Appl. Prob. 11, 1974). Drawing the tree needs no intensity and no rejection, only tables, and
only integers: the same seed gives the same stream on every machine.
"""

from __future__ import annotations

import math

import numpy as np

from kernels._jit import kernel_jit

EXPONENTIAL_BITS = 12
_FRACTION_BITS = 20
EXPONENTIAL = np.array(
    [
        round(-math.log((step + 0.5) / (1 << EXPONENTIAL_BITS)) * (1 << _FRACTION_BITS))
        for step in range(1 << EXPONENTIAL_BITS)
    ],
    np.int64,
)
"""An exponential variable with mean 1, by its quantiles, in fixed point."""


@kernel_jit
def next_random(state):  # type: ignore[no-untyped-def]
    """Return 64 random bits (uint64) and advance ``state`` (uint64[1]): SplitMix64 (Steele et al., OOPSLA 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel_jit
def below(state, limit):  # type: ignore[no-untyped-def]
    """Return a random integer in 0 .. `limit` - 1 (int64), for limits below 2**31: Lemire's multiplication."""
    return np.int64(((next_random(state) >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32))


@kernel_jit
def choose(state, cumulative):  # type: ignore[no-untyped-def]
    """Return an index with the probabilities whose running sum, times 2**31, is `cumulative` (int64)."""
    point = below(state, 1 << 31)
    index = 0
    while index < cumulative.shape[0] - 1 and point >= cumulative[index]:
        index += 1
    return index


@kernel_jit
def exponential(state, mean):  # type: ignore[no-untyped-def]
    """Return an exponential variable (int64) with that mean, which lies below 2**39."""
    return (mean * EXPONENTIAL[below(state, 1 << EXPONENTIAL_BITS)]) >> _FRACTION_BITS


@kernel_jit
def arrivals(times, state, gap_ns, children, weights, delays_ns):  # type: ignore[no-untyped-def]
    """Fill `times` (int64, ns from 0) with the sorted moments of a Hawkes process.

    `gap_ns` is the mean time between immigrants, `children` and `weights` are cumulative (see `choose`) for the number
    of children and for the component of `delays_ns` that their delay is drawn from.
    """
    count, parent, immigrant = 0, 0, np.int64(0)
    while count < times.shape[0]:
        if parent == count:
            immigrant += exponential(state, gap_ns)
            times[count] = immigrant
            count += 1
            continue
        for _ in range(choose(state, children)):
            if count < times.shape[0]:
                times[count] = times[parent] + exponential(state, delays_ns[choose(state, weights)])
                count += 1
        parent += 1
    times.sort()
