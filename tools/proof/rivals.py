"""What other tools would say of the same samples: the decision rules of five of them, written anew from their sources.

Each rule takes the samples of the baseline and of the candidate, ns per operation of one timed run each, by process in
order of time, and answers whether it would report a slowdown. None of these tools runs its two sides in turns: each
measures the baseline first and the candidate afterwards. So a rule takes the baseline's samples from earlier processes
and the candidate's from later ones, as many processes as the tool starts by default, where we have as many.

| tool | a sample there | processes there | here |
| --- | --- | --- | --- |
| pytest-benchmark | one round | 1 a side | baseline: process 1, candidate: process 2 |
| pyperf | one value | 20 a side | baseline: the first half of the processes, candidate: the second half |
| asv | one repeat | 2 a side | baseline: processes 1 and 2, candidate: processes 3 and 4 |
| criterion | one of 100 samples | 1 a side | baseline: process 1, candidate: process 2 |
| Otava | one run of a benchmark | one a point | six points of the baseline, then six of the candidate |

A sample is one timed run of some thousand operations, which is what a round, value or repeat of such a benchmark is.
Where a tool would have taken more of them, it would have seen the same process for longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain, pairwise

import numpy as np
from scipy import stats

Samples = Sequence[Sequence[float]]  # one sequence for each process

RESAMPLES = 10_000  # criterion draws 100,000: ten times as long, for a tenth of the rounding of its p-value


def pytest_benchmark(base: Samples, candidate: Samples, percent: float = 5.0) -> bool:
    """Return whether ``--benchmark-compare-fail=min:5%`` fails: the fastest round is more than 5 % slower.

    Source: pytest-benchmark, `utils.py`, class PercentageRegressionCheck.
    """
    return min(candidate[1]) / min(base[0]) * 100 - 100 > percent


def pyperf(base: Samples, candidate: Samples) -> bool:
    """Return whether ``compare_to`` calls the candidate significantly slower: Student's t at 95 %, pooled variance.

    Source: pyperf, `_utils.py`, functions tscore and is_significant. It has no margin unless ``--min-speed`` gives one.
    """
    half = len(base) // 2
    first, second = list(chain(*base[:half])), list(chain(*candidate[half : 2 * half]))
    freedom = len(first) + len(second) - 2
    squares = sum((value - np.mean(group)) ** 2 for group in (first, second) for value in group)
    difference = float(np.mean(second) - np.mean(first))
    error = math.sqrt(2 * squares / freedom / len(first))
    return difference > 0 and (error == 0 or difference / error >= stats.t.ppf(0.975, freedom))


def asv(base: Samples, candidate: Samples, factor: float = 1.1, threshold: float = 0.002) -> bool:
    """Return whether ``asv continuous`` reports it: medians differ by the factor, and Mann and Whitney's p < 0.002.

    Source: asv, `statistics.py`, function is_different, and `commands/compare.py`, function _is_result_better. Up to 20
    samples a side the test is exact, beyond it is the normal approximation without a correction, as there.
    """
    first, second = list(chain(*base[:2])), list(chain(*candidate[2:4]))
    if max(len(first), len(second)) <= 20:
        p = float(stats.mannwhitneyu(first, second, method="exact").pvalue)
    else:
        pairs = len(first) * len(second)
        u = sum(a > b for a in first for b in second)
        deviation = math.sqrt(pairs * (len(first) + len(second) + 1) / 12)
        p = 2 * float(stats.norm.cdf((min(u, pairs - u) - pairs / 2) / deviation))
    return p < threshold and float(np.median(first)) < float(np.median(second)) / factor


def criterion(base: Samples, candidate: Samples, noise: float = 0.01, significance: float = 0.05) -> bool:
    """Return whether criterion says "Performance has regressed".

    A bootstrap of Welch's t over the mixed samples must give p < 0.05, and the bootstrapped 95 % interval of the change
    of the mean must lie above the noise threshold of 1 %. Source: criterion.rs, `analysis/compare.rs` and
    `stats/univariate/mixed.rs`.
    """
    draw = np.random.default_rng(1)
    first, second = np.asarray(base[0], float), np.asarray(candidate[1], float)
    mixed = draw.choice(np.concatenate([first, second]), (RESAMPLES, len(first) + len(second)))
    seen = _welch_t(second[None], first[None])[0]
    hits = int((_welch_t(mixed[:, : len(second)], mixed[:, len(second) :]) < seen).sum())
    if 2 * min(hits, RESAMPLES - hits) / RESAMPLES >= significance:
        return False
    changes = _means(second, draw) / _means(first, draw) - 1
    return float(np.quantile(changes, 0.025)) > noise


def _means(values: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return draw.choice(values, (RESAMPLES, len(values))).mean(axis=1)


def _welch_t(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    error = np.sqrt(first.var(axis=1, ddof=1) / first.shape[1] + second.var(axis=1, ddof=1) / second.shape[1])
    difference = first.mean(axis=1) - second.mean(axis=1)
    return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)


def otava(base: Samples, candidate: Samples, p_value: float = 0.001, magnitude: float = 0.0) -> bool:
    """Return whether Otava finds a change point to higher values in the points of the baseline, then the candidate's.

    A point is the mean of one process: one run of the benchmark. Source: Apache Otava, `analysis.py` (split and merge,
    Fleming et al. 2023) and `change_point_divisive` (Matteson and James 2014), with its defaults. Its t-test takes
    standard deviations with ddof = 0, which makes it a little too sure; so does this.
    """
    series = np.array([np.mean(process) for process in (*base, *candidate)])
    points = _split(series, 10 * p_value)
    while points:
        found = {point: _sides(series, points, point) for point in points}
        weakest = max(points, key=lambda point: _t_test(*found[point]))
        if _t_test(*found[weakest]) < p_value:
            weakest = min(points, key=lambda point: _size(*found[point]))
            if _size(*found[weakest]) > magnitude:
                return any(right.mean() > left.mean() for left, right in found.values())
        points.remove(weakest)
    return False


def _split(series: np.ndarray, p_value: float) -> list[int]:
    """Return where the series is cut, until the strongest candidate is not significant."""
    points: list[int] = []
    while True:
        edges = [0, *points, len(series)]
        found = [_candidate(series, begin, end) for begin, end in pairwise(edges) if end - begin > 1]
        if not found:
            return points
        _, place = max(found)
        trial = sorted([*points, place])
        if _t_test(*_sides(series, trial, place)) > p_value:
            return points
        points = trial


def _candidate(series: np.ndarray, begin: int, end: int) -> tuple[float, int]:
    """Return the largest energy statistic of a cut of ``series[begin:end]``, and where that cut is."""
    best = (-math.inf, begin + 1)
    for last in range(begin + 2, end + 1):
        for place in range(begin + 1, last):
            best = max(best, (_energy(series[begin:place], series[place:last]), place))
    return best


def _energy(left: np.ndarray, right: np.ndarray) -> float:
    n, m = len(left), len(right)
    between = np.abs(left[:, None] - right[None]).sum()
    within_left = np.abs(left[:, None] - left[None]).sum() / 2
    within_right = np.abs(right[:, None] - right[None]).sum() / 2
    energy = 2 / (m + n) * between
    if n > 1:
        energy -= 2 * m / (m + n) / (n - 1) * within_left
    if m > 1:
        energy -= 2 * n / (m + n) / (m - 1) * within_right
    return float(energy)


def _sides(series: np.ndarray, points: Sequence[int], point: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what lies between the change point before `point` and it, and between it and the next."""
    before = max((each for each in points if each < point), default=0)
    after = min((each for each in points if each > point), default=len(series))
    return series[before:point], series[point:after]


def _t_test(left: np.ndarray, right: np.ndarray) -> float:
    if len(left) + len(right) < 3:
        return 1.0
    if left.std() == right.std() == 0:
        return float(left.mean() == right.mean())
    told = (left.mean(), left.std(), len(left), right.mean(), right.std(), len(right))
    return float(stats.ttest_ind_from_stats(*told).pvalue)


def _size(left: np.ndarray, right: np.ndarray) -> float:
    ratio = float(right.mean() / left.mean())
    return max(abs(ratio - 1), abs(1 / ratio - 1))


RULES: dict[str, Callable[[Samples, Samples], bool]] = {
    "pytest-benchmark min:5%": pytest_benchmark,
    "pyperf t-test": pyperf,
    "asv factor 1.1": asv,
    "criterion": criterion,
    "Apache Otava": otava,
}

PROCESSES = {
    "pytest-benchmark min:5%": 2,
    "pyperf t-test": 6,
    "asv factor 1.1": 4,
    "criterion": 2,
    "Apache Otava": 12,
}
"""How many of our processes each rule looks at."""
