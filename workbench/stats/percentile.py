"""How well a percentile is known from a number of samples: by order statistics, without any assumption on shape."""

from __future__ import annotations

import math
from typing import NamedTuple


class Ranks(NamedTuple):
    """The ranks, from 1, of the samples that bound a percentile. None: no sample bounds it on that side."""

    low: int | None
    high: int | None


def samples_needed(fraction: float, alpha: float) -> int:
    """Return how many samples give the percentile `fraction` a finite two-sided upper bound.

    The largest sample bounds it if ``fraction ** n <= alpha / 2``: 368 for p99 at 95 %, 3,688 for p99.9 and 36,887 for
    p99.99. Below this number a percentile is not judged.
    """
    return math.ceil(math.log(alpha / 2) / math.log(fraction))


def interval_ranks(samples: int, fraction: float, alpha: float) -> Ranks:
    """Return the ranks between which the percentile `fraction` lies with probability of at least 1 - `alpha`.

    The number of samples below the percentile is binomial; each side gets half of `alpha`. Holds for independent
    samples: those of one process are not, so a caller joins this interval with the one over processes.
    """
    from scipy.special import bdtr  # 0.4 s to import

    def at_most(rank: int) -> float:
        return float(bdtr(rank, samples, fraction)) if rank >= 0 else 0.0

    low = _largest(lambda rank: at_most(rank - 1) <= alpha / 2, samples)
    beyond = _largest(lambda rank: at_most(rank - 1) < 1 - alpha / 2, samples)
    return Ranks(low or None, beyond + 1 if beyond < samples else None)


def _largest(holds, limit: int) -> int:  # type: ignore[no-untyped-def]
    """Return the largest rank in 0 .. `limit` for which `holds`, which is true up to some rank and false after it."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
