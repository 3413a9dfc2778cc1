import math

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from workbench.stats.margin_test import faster_p, moved_p, shift_p, slower_p

VALUES = st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda values: max(values) - min(values) > 1e-6)


@given(VALUES, st.sampled_from([0.01, 0.03, 0.1]))
def test_p_values_are_those_of_scipys_one_sample_test(values, margin):
    expected = scipy.stats.ttest_1samp(values, math.log1p(margin), alternative="greater").pvalue
    assert slower_p(values, margin) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    opposite = scipy.stats.ttest_1samp(values, -math.log1p(margin), alternative="less").pvalue
    assert faster_p(values, margin) == pytest.approx(opposite, rel=1e-6, abs=1e-12)


@given(VALUES, VALUES)
def test_p_values_of_a_shift_are_those_of_scipys_welch_test(first, second):
    shifted = [value - math.log1p(0.03) for value in second]
    expected = scipy.stats.ttest_ind(shifted, first, equal_var=False, alternative="greater").pvalue
    assert shift_p(first, second, 0.03) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_change_of_exactly_the_margin_is_as_likely_above_as_below():
    reach = math.log1p(0.03)
    assert slower_p([reach - 0.01, reach, reach + 0.01], 0.03) == pytest.approx(0.5)


def test_either_way_is_twice_the_nearer_way():
    values = [0.2, 0.21, 0.19]
    assert moved_p(values, 0.03) == pytest.approx(2 * slower_p(values, 0.03))
    assert moved_p([-value for value in values], 0.03) == pytest.approx(moved_p(values, 0.03))
    assert moved_p([0.0, 0.001, -0.001], 0.03) == 1.0


def test_one_process_says_nothing_and_no_scatter_is_certain():
    assert slower_p([5.0], 0.03) == slower_p([], 0.03) == shift_p([0.0], [5.0, 5.1], 0.03) == 1.0
    assert slower_p([0.5, 0.5], 0.03) == shift_p([0.0, 0.0], [0.5, 0.5], 0.03) == 0.0
    assert slower_p([0.0, 0.0], 0.03) == shift_p([0.0, 0.0], [0.0, 0.0], 0.03) == 1.0
