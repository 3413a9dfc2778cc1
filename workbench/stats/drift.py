"""Whether a series creeps: Mann and Kendall's test for a trend, Theil and Sen's slope with its interval.

**Resemblance.** The test takes nights for independent. Where one resembles the next the variance of its statistic is
larger, and so it is multiplied by Hamed and Rao's factor (Journal of Hydrology 204, 1998), from the autocorrelation of
the ranks after the slope is taken out: of the lags up to the first that is not above zero at 95 %. The slope's
interval (Sen, 1968) uses the same variance. With fewer than `LEAST_CORRECTED` nights autocorrelation cannot be
estimated and is not corrected for.

**Size.** All pairs of 10,000 nights are 50 million. A series longer than `MOST_POINTS` is taken as the medians of that
many or fewer blocks of consecutive nights: of nights that can be exchanged the medians can be too, so the test stays
honest, it loses little power, and blocks resemble each other less than nights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_NIGHTS = 10
"""With fewer nights no trend is told: eight would do for a p-value, not for a slope that anybody should act on."""

MOST_POINTS = 400
"""Longer series are taken as medians of blocks: 80,000 pairs, two milliseconds."""

LEAST_CORRECTED = 20
"""Autocorrelation from fewer nights is noise."""


@dataclass(frozen=True)
class Drift:
    """A trend: `slope` per unit of time with its interval, the p-value of "there is none", and what was assumed.

    `inflation` is by how much the variance was multiplied because nights resemble their neighbours; `points` is how
    many values entered, fewer than the nights where blocks were taken.
    """

    slope: float
    low: float
    high: float
    p: float
    points: int
    inflation: float


def find_drift(times: Sequence[float] | Floats, values: Sequence[float] | Floats, alpha: float = 0.05) -> Drift | None:
    """Return the trend of `values` over `times` (ascending; any unit), None with fewer than ten nights.

    Raises ValueError where a number is not finite, the lengths differ, or times descend.
    """
    t, x = np.ascontiguousarray(times, dtype=np.float64), np.ascontiguousarray(values, dtype=np.float64)
    if t.shape != x.shape or t.ndim != 1:
        raise ValueError("times and values differ in length")
    if not (np.isfinite(t).all() and np.isfinite(x).all()):
        raise ValueError("a night's time or value is not finite")
    if (np.diff(t) < 0).any():
        raise ValueError("times are not in order")
    if len(x) < LEAST_NIGHTS:
        return None
    t, x = _blocks(t), _blocks(x)
    i, j = np.triu_indices(len(x), 1)
    rise, run = x[j] - x[i], t[j] - t[i]
    apart = run > 0
    rise, run = rise[apart], run[apart]
    if not len(run):
        return None
    slopes = rise / run
    score = float(np.sign(rise).sum())
    slope = float(np.median(slopes))
    inflation = _inflation(x - slope * t)
    variance = _variance(x) * inflation
    z = max(0.0, abs(score) - 1) / math.sqrt(variance) if variance > 0 else 0.0
    low, high = _interval(slopes, variance, alpha)
    return Drift(slope, min(low, slope), max(high, slope), math.erfc(z / math.sqrt(2)), len(x), inflation)


def autocorrelation(values: Sequence[float] | Floats) -> float:
    """Return how much a night resembles the one before: the lag-1 autocorrelation of ranks; 0 for a constant series."""
    return float(_autocorrelations(np.asarray(values, dtype=np.float64))[1]) if len(values) > 2 else 0.0


def _blocks(data: Floats) -> Floats:
    """Return the medians of blocks of equal size; the oldest values that fill no block are left out."""
    if len(data) <= MOST_POINTS:
        return data
    size = math.ceil(len(data) / MOST_POINTS)
    kept = len(data) // size * size
    return np.median(data[len(data) - kept :].reshape(-1, size), axis=1)


def _variance(x: Floats) -> float:
    """Return the variance of Kendall's score without a trend, with the correction for ties."""
    n = len(x)
    _, ties = np.unique(x, return_counts=True)
    tied = float((ties * (ties - 1.0) * (2 * ties + 5.0)).sum())
    return (n * (n - 1.0) * (2 * n + 5.0) - tied) / 18


def _inflation(residuals: Floats) -> float:
    """Return Hamed and Rao's factor: how many times larger the variance is than that of independent nights."""
    n = len(residuals)
    if n < LEAST_CORRECTED:
        return 1.0
    lags = np.arange(1, n // 2)
    rho = _autocorrelations(residuals)[1 : n // 2]
    rho = rho * np.logical_and.accumulate(rho > 1.96 / math.sqrt(n))
    weights = (n - lags) * (n - lags - 1.0) * (n - lags - 2.0)
    return 1 + 2 * float((weights * rho).sum()) / (n * (n - 1.0) * (n - 2.0))


def _autocorrelations(values: Floats) -> Floats:
    """Return the autocorrelation of the mid-ranks of `values` by lag, by the fast Fourier transform."""
    ordered = np.sort(values)
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    centred = ranks - ranks.mean()
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(values))) ** 2
    covariances = np.fft.irfft(spectrum)[: len(values)]
    if covariances[0] <= 0:
        return np.zeros(len(values))
    return np.asarray(covariances / covariances[0], dtype=np.float64)


def _interval(slopes: Floats, variance: float, alpha: float) -> tuple[float, float]:
    """Return Sen's interval: the slopes whose ranks lie the score's normal quantile from the middle."""
    from statistics import NormalDist

    reach = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(max(variance, 0.0))
    count = len(slopes)
    below = max(0, min(count - 1, math.floor((count - reach) / 2) - 1))
    above = max(0, min(count - 1, math.ceil((count + reach) / 2)))
    found = np.partition(slopes, [below, above])
    return float(found[below]), float(found[above])
