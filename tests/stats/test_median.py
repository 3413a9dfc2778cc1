import math

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from workbench.stats.median import (
    EXACT_COUNT,
    Interval,
    _large_sign_rank,
    median,
    process_interval,
    sign_interval,
    sign_rank,
    t_interval,
)


@pytest.mark.parametrize(("count", "rank"), [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (20, 6), (100, 40)])
def test_ranks_are_those_of_the_printed_tables(count, rank):
    assert sign_rank(count, 0.05) == rank


@given(st.integers(1, 400), st.sampled_from([0.01, 0.05, 0.2]))
def test_rank_is_the_largest_that_keeps_the_level(count, alpha):
    rank = sign_rank(count, alpha)
    assert 2 * scipy.stats.binom.cdf(rank - 1, count, 0.5) <= alpha * (1 + 1e-9)
    assert 2 * scipy.stats.binom.cdf(rank, count, 0.5) > alpha * (1 - 1e-9)


@pytest.mark.parametrize("count", [1_023, 1_024, 3_000, 4_000, 4_001, 100_000])
def test_ranks_of_very_many_values_keep_the_level(count):
    rank = sign_rank(count, 0.05)
    assert 2 * scipy.stats.binom.cdf(rank - 1, count, 0.5) <= 0.05 < 2 * scipy.stats.binom.cdf(rank, count, 0.5)
    interval = sign_interval([float(value) for value in range(count)], 0.05)
    assert interval == Interval(rank - 1, count - rank)


def test_whole_numbers_and_the_beta_function_give_the_same_ranks():
    counts = [*range(3_900, EXACT_COUNT + 1, 7), 1, 2, 5, 6, 9]
    assert [sign_rank(count, 0.05) for count in counts] == [_large_sign_rank(count, 0.05) for count in counts]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_median_is_numpys(values):
    assert median(values) == pytest.approx(float(scipy.stats.scoreatpercentile(values, 50)), rel=1e-9, abs=1e-9)


def test_t_interval_is_scipys():
    values = [1.0, 2.0, 4.0, 3.5]
    low, high = scipy.stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=scipy.stats.sem(values))
    assert t_interval(values, 0.05) == (pytest.approx(low), pytest.approx(high))


def test_few_processes_give_students_interval_and_one_gives_none():
    assert process_interval([1.0], 0.05) is None
    two = process_interval([1.0, 1.1], 0.05)
    assert two is not None and two.high - two.low > 1  # 12.7 standard errors
    six = [1.0, 1.1, 1.2, 1.3, 1.4, 9.0]
    assert process_interval(six, 0.05) == Interval(1.0, 9.0) == sign_interval(six, 0.05)


def test_union_holds_both():
    assert Interval(1, 3).union(Interval(2, 5)) == (1, 5)
    assert math.isinf(Interval(1, math.inf).union(Interval(2, 5)).high)
