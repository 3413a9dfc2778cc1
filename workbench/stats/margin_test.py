"""One-sided p-values against a margin: how surprising are these processes, if nothing changed by more than it?

By Student's t on one value a process (the median of its blocks), since a sign test over six processes cannot go below
1/64, which is too coarse where many cells are judged together. It assumes that the medians of processes are roughly
normal; so what it finds is confirmed elsewhere, by intervals that assume less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def slower_p(medians: Sequence[float], margin: float) -> float:
    """Return the p-value of "slower by at most `margin`" for log differences, one a process.

    `margin` is relative: 0.03 is 3 %. 1.0 with fewer than two processes: they say nothing.
    """
    return _upper_tail(medians, math.log1p(margin))


def faster_p(medians: Sequence[float], margin: float) -> float:
    """Return the p-value of "faster by at most `margin`"; else as `slower_p`."""
    return _upper_tail([-value for value in medians], math.log1p(margin))


def moved_p(medians: Sequence[float], margin: float) -> float:
    """Return the p-value of "moved by at most `margin` either way"."""
    return min(1.0, 2 * min(slower_p(medians, margin), faster_p(medians, margin)))


def shift_p(first: Sequence[float], second: Sequence[float], margin: float) -> float:
    """Return the p-value of "`second` is slower than `first` by at most `margin`", by Welch's t without pairs.

    Each holds one logarithm a process. 1.0 with fewer than two processes on either side.
    """
    if len(first) < 2 or len(second) < 2:
        return 1.0
    (mean_a, square_a), (mean_b, square_b) = _mean_and_square(first), _mean_and_square(second)
    room = mean_b - mean_a - math.log1p(margin)
    square = square_a + square_b
    if square == 0:
        return 0.0 if room > 0 else 1.0
    freedom = square**2 / (square_a**2 / (len(first) - 1) + square_b**2 / (len(second) - 1))
    return _student(room / math.sqrt(square), freedom)


def _upper_tail(values: Sequence[float], reach: float) -> float:
    if len(values) < 2:
        return 1.0
    mean, square = _mean_and_square(values)
    if square == 0:
        return 0.0 if mean > reach else 1.0
    return _student((mean - reach) / math.sqrt(square), len(values) - 1)


def _mean_and_square(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the square of its standard error, from the sample's deviation (ddof 1)."""
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def _student(t: float, freedom: float) -> float:
    from scipy.special import stdtr  # 0.4 s to import

    return float(stdtr(freedom, -t))
