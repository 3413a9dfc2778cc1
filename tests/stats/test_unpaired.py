import itertools
import math
import random

import pytest

from workbench.record import Verdict
from workbench.stats import unpaired


@pytest.mark.parametrize(("first", "second", "rank"), [(3, 3, 0), (4, 4, 1), (6, 6, 6), (5, 8, 7), (10, 10, 24)])
def test_ranks_are_those_of_the_printed_tables(first, second, rank):
    assert unpaired.shift_rank(first, second, 0.05) == rank


def test_the_null_distribution_is_that_of_all_orderings():
    counts = [0] * 13
    for places in itertools.combinations(range(7), 3):
        others = [place for place in range(7) if place not in places]
        counts[sum(a > b for a in places for b in others)] += 1
    assert list(unpaired._orderings(3, 4)) == counts


def test_interval_covers_the_shift():
    random_ = random.Random(4)
    trials, hits = 800, 0
    for _ in range(trials):
        first = [random_.gauss(3.0, 0.02) for _ in range(6)]
        second = [random_.gauss(3.05, 0.02) for _ in range(6)]
        found = unpaired.judge(first, second, 0.03)
        hits += found.low <= 0.05 <= found.high
    assert hits / trials >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / trials)


def test_verdicts():
    near = [1.000, 1.001, 1.002, 1.003, 1.004, 1.005]
    assert unpaired.judge(near, [value + 0.2 for value in near], 0.03).verdict is Verdict.SLOWER
    assert unpaired.judge(near, [value - 0.2 for value in near], 0.03).verdict is Verdict.FASTER
    assert unpaired.judge(near, near, 0.03).verdict is Verdict.UNCHANGED
    assert unpaired.judge(near[:3], near[:3], 0.03).verdict is Verdict.UNRESOLVED
    with pytest.raises(ValueError, match="nothing to compare"):
        unpaired.judge([], near, 0.03)
