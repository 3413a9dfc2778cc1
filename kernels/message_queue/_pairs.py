"""The median of repeated ratios and its interval, for the programs of this folder that measure by themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

ALPHA = 0.05


def median_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of `values` and its sign interval at 95 %, which assumes no distribution; at least 6 values."""
    ordered, n = sorted(values), len(values)
    if n < 6:
        raise ValueError(f"{n} values have no sign interval at {1 - ALPHA:.0%}: give 6 or more")
    outside, below = 0, 0.0
    while (below := below + math.comb(n, outside) / 2**n) <= ALPHA / 2:
        outside += 1
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return middle, ordered[outside - 1], ordered[n - outside]
