"""When operations are due: at the asked rate, in order, from 0, and never for a rate that makes no sense."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.measure import schedule


@given(rate=st.floats(1, 1e9), count=st.integers(0, 500), seed=st.integers(0, 9))
def test_schedules_begin_at_0_and_never_go_back(rate, count, seed):
    for due in (
        schedule.fixed(rate, count),
        schedule.poisson(rate, count, seed),
        schedule.burst(rate, count, 7.0, count // 3, count // 4),
    ):
        assert due.dtype == np.int64 and len(due) == count
        assert not count or due[0] == 0
        assert (np.diff(due) >= 0).all()


def test_the_rate_is_the_one_that_was_asked_for():
    assert schedule.fixed(1e6, 5).tolist() == [0, 1000, 2000, 3000, 4000]
    assert schedule.rate_of(schedule.fixed(2e5, 1001)) == pytest.approx(2e5)
    gaps = np.diff(schedule.poisson(1e6, 100_001, 1))
    assert gaps.mean() == pytest.approx(1000, rel=0.02)
    assert gaps.std() == pytest.approx(1000, rel=0.02), "as much as the mean: they know nothing of one another"


def test_random_moments_come_again_with_their_seed():
    assert (schedule.poisson(1e6, 50, 3) == schedule.poisson(1e6, 50, 3)).all()
    assert (schedule.poisson(1e6, 50, 3) != schedule.poisson(1e6, 50, 4)).any()


def test_a_burst_is_so_much_closer_together():
    gaps = np.diff(schedule.burst(1e6, 100, 10.0, 40, 20))
    assert set(gaps[:40]) == {1000} and set(gaps[40:60]) == {100} and set(gaps[60:]) == {1000}


def test_a_recording_keeps_its_pauses_and_mends_what_goes_back():
    assert schedule.recorded(np.array([50, 60, 55, 100]), 2.0).tolist() == [0, 5, 5, 25]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: schedule.fixed(0, 5), "cannot come 0 times a second"),
        (lambda: schedule.poisson(float("nan"), 5), "give a rate above 0"),
        (lambda: schedule.fixed(1e-9, 10**6), "take too long"),
        (lambda: schedule.recorded(np.array([1, 2]), -1.0), "speed -1.0"),
        (lambda: schedule.recorded(np.array([], np.int64)), "there is no event"),
        (lambda: schedule.burst(1e6, 5, 0.0, 1, 1), "a burst cannot be"),
    ],
)
def test_what_makes_no_schedule_is_told(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
