"""A trend and its interval: SciPy is the oracle; ties, resemblance between nights, and long series."""

import numpy as np
import pytest
from scipy import stats

from workbench.stats.drift import MOST_POINTS, autocorrelation, find_drift


@pytest.mark.parametrize("digits", [9, 1])
@pytest.mark.parametrize("count", [10, 19])
def test_slope_interval_and_p_are_those_of_scipy(count, digits):
    """Below 20 nights nothing is corrected for resemblance: plain Mann-Kendall, Theil-Sen and Sen's interval."""
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.integers(1, 4, count)).astype(float)
    values = np.round(0.05 * times + rng.normal(0, 0.4, count), digits)
    drift = find_drift(times, values)
    oracle = stats.theilslopes(values, times, 0.95)
    assert drift.slope == pytest.approx(oracle.slope)
    assert drift.low <= oracle.low_slope + 1e-12 and oracle.high_slope - 1e-12 <= drift.high  # SciPy rounds inwards
    assert drift.high - drift.low < 1.5 * (oracle.high_slope - oracle.low_slope) and drift.inflation == 1.0
    n = count
    score = sum(np.sign(values[j] - values[i]) for i in range(n) for j in range(i + 1, n))
    ties = np.unique(values, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    z = max(0.0, abs(score) - 1) / np.sqrt(variance)
    assert drift.p == pytest.approx(2 * stats.norm.sf(z))


def test_the_interval_is_sens_own():
    values = np.random.default_rng(12).normal(0, 1, 15) + 0.1 * np.arange(15)
    drift = find_drift(np.arange(15.0), values)
    slopes = np.sort([(values[j] - values[i]) / (j - i) for i in range(15) for j in range(i + 1, 15)])
    reach = stats.norm.ppf(0.975) * np.sqrt(15 * 14 * 35 / 18)
    assert drift.low == slopes[int(np.floor((105 - reach) / 2)) - 1]
    assert drift.high == slopes[int(np.ceil((105 + reach) / 2))]


def test_ten_thousand_nights_are_taken_as_medians_of_blocks():
    rng = np.random.default_rng(3)
    times = np.arange(10_000.0)
    drift = find_drift(times, rng.normal(0, 0.01, 10_000) + 2e-6 * times)
    assert drift.points <= MOST_POINTS
    assert drift.low < 2e-6 < drift.high and drift.p < 1e-6
    assert drift.high - drift.low < 1e-6


def test_a_wild_night_does_not_move_the_slope():
    values = 0.01 * np.arange(50.0)
    values[20] = 1e9
    assert find_drift(np.arange(50.0), values).slope == pytest.approx(0.01)


def test_nights_that_resemble_each_other_widen_the_interval():
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 1, 300)
    alike = np.zeros(300)
    for night in range(1, 300):
        alike[night] = 0.7 * alike[night - 1] + noise[night]
    assert find_drift(np.arange(300.0), alike).inflation > 2
    assert find_drift(np.arange(300.0), noise).inflation < 1.5
    assert autocorrelation(alike) > 0.5 > 0.2 > abs(autocorrelation(noise))


def test_a_constant_series_and_one_moment_have_no_trend():
    drift = find_drift(np.arange(30.0), np.ones(30))
    assert (drift.slope, drift.low, drift.high, drift.p) == (0.0, 0.0, 0.0, 1.0)
    assert find_drift(np.zeros(30), np.arange(30.0)) is None
    assert find_drift(np.arange(9.0), np.arange(9.0)) is None
    assert autocorrelation(np.ones(5)) == autocorrelation([]) == 0.0


@pytest.mark.parametrize(
    ("times", "values", "says"),
    [
        ([0.0] * 9 + [float("inf")], [1.0] * 10, "not finite"),
        (range(10), [1.0] * 9 + [float("nan")], "not finite"),
        (range(10), [1.0] * 11, "length"),
        (range(10, 0, -1), [1.0] * 10, "order"),
    ],
)
def test_what_cannot_be_a_series_is_refused(times, values, says):
    with pytest.raises(ValueError, match=says):
        find_drift(list(times), values)


@pytest.mark.slow
@pytest.mark.parametrize("resemblance", [0.0, 0.5])
def test_false_trends_come_as_rarely_as_stated(resemblance):
    """Independent nights hold 5 %; nights with a correlation of 0.5 to the one before hold 10 %."""
    rng = np.random.default_rng(5)
    trials, found = 1500, 0
    for _ in range(trials):
        values = rng.standard_t(3, 120)
        for night in range(1, 120):
            values[night] += resemblance * values[night - 1]
        found += find_drift(np.arange(120.0), values).p <= 0.05
    alpha = 0.10 if resemblance else 0.05
    assert found <= trials * alpha + 3.1 * np.sqrt(trials * alpha * (1 - alpha))
