"""Many tests at once: which may be called findings, when at most a known part of the findings may be wrong.

Benjamini and Hochberg, Controlling the False Discovery Rate (J. R. Statist. Soc. B 57, 1995): with the p-values in
order, the k smallest are findings, where k is the largest rank with p(k) <= q k / m. Holds for independent tests and
for those that are positively dependent (Benjamini, Yekutieli 2001), as percentiles of the same operations are.
"""

from __future__ import annotations

from collections.abc import Sequence


def findings(p_values: Sequence[float], q: float) -> list[bool]:
    """Return for each p-value whether it is a finding at the false discovery rate `q`.

    Where no effect exists at all, any finding is a false one, and there is one with probability of at most `q`. Raises
    ValueError for a p-value outside 0 .. 1.
    """
    return [adjusted <= q for adjusted in adjust(p_values)]


def adjust(p_values: Sequence[float]) -> list[float]:
    """Return for each p-value the smallest false discovery rate at which it is a finding, 0 .. 1."""
    if not all(0 <= value <= 1 for value in p_values):
        raise ValueError("a p-value lies in 0 .. 1")
    count = len(p_values)
    adjusted = [1.0] * count
    smallest = 1.0
    for rank, place in sorted(enumerate(sorted(range(count), key=p_values.__getitem__), 1), reverse=True):
        smallest = min(smallest, p_values[place] * count / rank)
        adjusted[place] = smallest
    return adjusted
