"""Intervals for a median: from ranks where there are enough values, from Student's t where there are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

EXACT_COUNT = 4_000  # values up to which ranks come from whole numbers; a millisecond there


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float

    def union(self, other: Interval) -> Interval:
        """Return the smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))


def median(values: Sequence[float]) -> float:
    """Return the median of `values`, of which there must be at least one."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@cache
def sign_rank(count: int, alpha: float) -> int:
    """Return the rank k for which [k-th smallest, k-th largest] holds the median with probability 1 - `alpha`.

    0 when no rank does: with `count` values the best level is 2 / 2**count, so 95 % needs six. From the binomial
    distribution of the number of values below the median (Hahn, Meeker: Statistical Intervals, ch. 5): in whole numbers
    up to `EXACT_COUNT` values, from there on by the incomplete beta function, which is as good and takes no longer.
    """
    if count > EXACT_COUNT:
        return _large_sign_rank(count, alpha)
    part, whole = alpha.as_integer_ratio()  # 2**count is no float from 1,024 values on
    limit = part * 2**count
    below, ways, rank = 0, 1, 0
    while rank < count:
        below += ways
        if 2 * below * whole > limit:
            break
        ways = ways * (count - rank) // (rank + 1)
        rank += 1
    return rank


def _large_sign_rank(count: int, alpha: float) -> int:
    from scipy.special import bdtr  # 0.4 s to import, and only where values are many

    low, high = 0, count // 2
    while low < high:
        middle = (low + high + 1) // 2
        if 2 * float(bdtr(middle - 1, count, 0.5)) <= alpha:
            low = middle
        else:
            high = middle - 1
    return low


def sign_interval(values: Sequence[float], alpha: float) -> Interval | None:
    """Return the sign-test interval of the median, free of any assumption on shape; None with too few values."""
    rank = sign_rank(len(values), alpha)
    if rank == 0:
        return None
    ordered = sorted(values)
    return Interval(ordered[rank - 1], ordered[-rank])


def t_interval(values: Sequence[float], alpha: float) -> Interval | None:
    """Return Student's interval of the mean; None with fewer than two values. Assumes a normal distribution."""
    count = len(values)
    if count < 2:
        return None
    from scipy.special import stdtrit  # 0.4 s to import, and only where values are few

    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    reach = float(stdtrit(count - 1, 1 - alpha / 2)) * math.sqrt(variance / count)
    return Interval(mean - reach, mean + reach)


def process_interval(medians: Sequence[float], alpha: float) -> Interval | None:
    """Return the interval over the medians of processes: by signs from six on, by Student's t for two to five.

    None for one process: it says nothing about how the next one will be laid out in memory.
    """
    return sign_interval(medians, alpha) or t_interval(medians, alpha)
