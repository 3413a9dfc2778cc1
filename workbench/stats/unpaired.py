"""Two sets that were *not* measured side by side, as two saved baselines: the shift between their processes.

Weaker than `paired`: whatever changed between the two measurements (load, temperature, memory layout) is part of the
difference. Only the medians of processes enter, because blocks of one process move together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from workbench.record import Verdict
from workbench.stats.median import Interval, median
from workbench.stats.paired import Judgement, decide


@cache
def _orderings(first: int, second: int) -> tuple[int, ...]:
    """Return how many orderings of `first` and `second` values have each U, the number of pairs the wrong way round."""
    if first == 0 or second == 0:
        return (1,)
    counts = [0] * (first * second + 1)
    for u, number in enumerate(_orderings(first - 1, second)):  # the largest value is of the first set
        counts[u + second] += number
    for u, number in enumerate(_orderings(first, second - 1)):
        counts[u] += number
    return tuple(counts)


def shift_rank(first: int, second: int, alpha: float) -> int:
    """Return the rank k for which [k-th smallest, k-th largest] difference of pairs holds the shift.

    From the exact distribution of Mann and Whitney's U when there is no shift (Hollander, Wolfe: Nonparametric
    Statistical Methods, ch. 4). 0 when no rank reaches 1 - `alpha`: four values a side are needed for 95 %.
    """
    total = math.comb(first + second, first)
    below = 0
    for rank, number in enumerate(_orderings(first, second)):
        below += number
        if 2 * below > alpha * total:
            return rank
    return 0


def judge(first: Sequence[float], second: Sequence[float], margin: float, alpha: float = 0.05) -> Judgement:
    """Judge the shift from `first` to `second`: each holds one logarithm per process (the median of its blocks).

    The estimate is the median difference of pairs (Hodges, Lehmann 1963). UNRESOLVED with fewer processes than an
    exact interval needs. Raises ValueError when either is empty.
    """
    if not first or not second:
        raise ValueError("there is nothing to compare: one side has no process")
    shifts = sorted(b - a for a in first for b in second)
    estimate = median(shifts)
    rank = shift_rank(len(first), len(second), alpha)
    processes = min(len(first), len(second))
    if rank == 0:
        reason = "fewer than four replicates a side: no interval without pairs"
        verdict, interval = Verdict.UNRESOLVED, Interval(shifts[0], shifts[-1])
    else:
        interval = Interval(shifts[rank - 1], shifts[-rank])
        verdict = decide(interval, margin)
        reason = "measured at different times, not side by side"
    return Judgement(estimate, interval.low, interval.high, verdict, len(shifts), processes, None, reason)
