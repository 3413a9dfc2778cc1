"""Steps are found where they are, not where they are not, whatever the noise; the fast search agrees with the exact."""

import numpy as np
import pytest

from workbench.stats import changepoint
from workbench.stats.changepoint import candidate_places, energy_of_split, find_changes, search

NOISES = {
    "normal": lambda rng, n: rng.normal(0, 0.01, n),
    "heavy-tailed": lambda rng, n: 0.01 * rng.standard_cauchy(n),
    "tied": lambda rng, n: np.round(rng.normal(0, 0.01, n), 2),
    "two values": lambda rng, n: rng.integers(0, 2, n).astype(float),
}


@pytest.mark.parametrize("noise", ["normal", "heavy-tailed", "tied"])
@pytest.mark.parametrize("count", [14, 60, 300])
def test_a_step_is_found_to_the_night(noise, count):
    values = NOISES[noise](np.random.default_rng(3), count)
    step = count * 2 // 3
    values[step:] += 0.5 if noise == "heavy-tailed" else 0.1
    (change,), p = find_changes(values)
    assert abs(change.index - step) <= (1 if noise == "heavy-tailed" else 0)
    assert change.size == pytest.approx(np.median(values[change.index :]) - np.median(values[: change.index]))
    assert p <= 0.01 and change.p <= 0.01


def test_several_steps_and_a_stretch_are_found():
    values = np.random.default_rng(4).normal(0, 0.01, 240)
    values[60:90] += 0.08
    values[200:] -= 0.04
    changes, _ = find_changes(values)
    assert [change.index for change in changes] == [60, 90, 200]
    assert [round(change.size, 2) for change in changes] == [0.08, -0.08, -0.04]


def test_a_short_stretch_in_the_middle_of_ten_thousand_nights():
    values = np.random.default_rng(5).normal(0, 0.01, 10_000)
    values[4000:4100] += 0.1
    assert [change.index for change in find_changes(values)[0]] == [4000, 4100]


def test_one_wild_night_is_no_step():
    values = np.random.default_rng(6).normal(0, 0.01, 60)
    values[30] = 50.0
    values[45:49] += 1.0  # four nights are no level yet
    assert find_changes(values)[0] == []


def test_the_newest_five_nights_are_enough():
    values = np.random.default_rng(7).normal(0, 0.01, 60)
    values[-5:] += 0.1
    assert [change.index for change in find_changes(values)[0]] == [55]


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 9, [1.0] * 40, [0.0, 1.0] * 20])
def test_nothing_to_find(values):
    assert find_changes(values)[0] == []


def test_a_value_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        find_changes([1.0] * 20 + [float("nan")])


def test_the_same_seed_gives_the_same_answer_and_shift_and_scale_do_not_matter():
    values = np.random.default_rng(8).normal(0, 0.01, 80)
    values[50:] += 0.02
    assert find_changes(values) == find_changes(values)
    moved, p = find_changes(7 + 4 * values)
    assert [change.index for change in moved] == [change.index for change in find_changes(values)[0]]
    assert p == find_changes(values)[1]


def exact_search(values):
    """The largest energy statistic of any split, by its definition."""
    places = range(changepoint.LEAST_SIDE, len(values) - changepoint.LEAST_SIDE + 1)
    return max((energy_of_split(values, place), place) for place in places)


@pytest.mark.parametrize("seed", range(6))
def test_the_levels_tell_nearly_what_the_definition_tells(seed):
    """Eight levels of ranks against the quadratic definition on mid-ranks."""
    values = np.random.default_rng(seed).normal(0, 1, 40)
    values[25:] += 1.0
    places = candidate_places(40)
    table = changepoint._counts(changepoint._levels(values, changepoint.LEVELS, 1), places, changepoint.LEVELS)
    splits, _ = changepoint._energies(table[None], places, 40)
    exact = np.array([energy_of_split(values, int(place)) for place in places])
    assert np.corrcoef(splits[0], exact)[0, 1] > 0.97
    assert splits[0].max() == pytest.approx(exact.max(), rel=0.25)


@pytest.mark.parametrize("shift", [0.0, 0.9, 1.3])
def test_the_p_value_is_that_of_the_exact_search(shift):
    """The oracle permutes the nights themselves and computes the definition of every split."""
    rng = np.random.default_rng(11)
    values = rng.normal(0, 1, 24)
    values[12:] += shift
    observed, _ = exact_search(values)
    exceeding = sum(exact_search(rng.permutation(values))[0] >= observed - 1e-12 for _ in range(199))
    exact = (exceeding + 1) / 200
    told = search(values, 4_999, epidemic=False).p
    assert told == pytest.approx(exact, abs=0.05, rel=0.5)


def test_random_tables_have_their_margins_and_the_hypergeometric_mean():
    rows, columns = np.array([5, 1, 9, 5]), np.array([6, 4, 10])
    tables = changepoint._random_tables(rows, columns, 4000, np.random.default_rng(2))
    assert (tables.sum(axis=2) == rows).all() and (tables.sum(axis=1) == columns).all()
    expected = rows[:, None] * columns[None, :] / 20
    variance = expected * (1 - rows[:, None] / 20) * (20 - columns[None, :]) / 19
    assert tables.mean(axis=0) == pytest.approx(expected, abs=0.1)
    assert tables.var(axis=0) == pytest.approx(variance, rel=0.15)


def test_candidate_places_keep_five_nights_a_side_and_stay_few():
    for count in (10, 11, 60, 61, 500, 10_000):
        places = candidate_places(count)
        assert places[0] == 5 and places[-1] == count - 5
        assert (np.diff(places) > 0).all() and len(places) <= 64


def test_ties_are_broken_by_lot_and_not_by_time():
    """Were equal values ordered by time, a series of two values would show steps."""
    flagged = 0
    for seed in range(60):
        values = NOISES["two values"](np.random.default_rng(seed), 50)
        flagged += search(values, 99, seed).p <= 0.05
    assert flagged <= 8


@pytest.mark.slow
@pytest.mark.parametrize("noise", list(NOISES))
@pytest.mark.parametrize(("count", "trials"), [(12, 4000), (40, 3000), (200, 1500)])
def test_false_changes_come_as_rarely_as_stated(noise, count, trials):
    """At 5 % and at 1 %: the bound is what chance exceeds once in a thousand, for a test that keeps its level.

    All trials share the 999 permutations of their length, and so the error that these make.
    """
    rng = np.random.default_rng([count, len(noise)])
    p_values = np.array([search(NOISES[noise](rng, count), 999).p for _ in range(trials)])
    for alpha in (0.05, 0.01):
        bound = trials * alpha + 3.1 * np.sqrt(trials * alpha * (1 - alpha) * (1 + trials / 1000))
        assert (p_values <= alpha).sum() <= bound
