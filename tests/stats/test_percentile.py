import random

import pytest
import scipy.stats

from workbench.stats.percentile import interval_ranks, samples_needed


@pytest.mark.parametrize(("fraction", "needed"), [(0.99, 368), (0.999, 3_688), (0.9999, 36_887)])
def test_floors(fraction, needed):
    assert samples_needed(fraction, 0.05) == needed
    assert interval_ranks(needed - 1, fraction, 0.05).high is None
    assert interval_ranks(needed, fraction, 0.05).high == needed


@pytest.mark.parametrize("samples", [6, 50, 400, 12_345])
@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.99])
def test_ranks_keep_each_tail_below_half_of_alpha_and_are_the_tightest(samples, fraction):
    low, high = interval_ranks(samples, fraction, 0.05)
    below = scipy.stats.binom(samples, fraction)
    if low is not None:
        assert below.cdf(low - 1) <= 0.025 < below.cdf(low)
    if high is not None:
        assert below.sf(high - 1) <= 0.025 < below.sf(high - 2)


def test_interval_covers_the_true_percentile():
    random_ = random.Random(11)
    low, high = interval_ranks(800, 0.99, 0.05)
    hits = 0
    for _ in range(1000):
        values = sorted(random_.random() for _ in range(800))
        hits += values[low - 1] <= 0.99 <= values[high - 1]
    assert hits >= 935  # 0.95 less two standard errors
