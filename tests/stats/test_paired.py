import math
import random

import pytest

from workbench.record import Verdict
from workbench.stats import paired
from workbench.stats.median import Interval


def measured(random_, replicates, blocks, shift, between, within):
    """Differences as they come: each process has an offset of its own, and each block some more, with heavy tails."""
    groups = []
    for _ in range(replicates):
        offset = shift + random_.gauss(0, between)
        tails = (random_.gauss(0, within) * (8 if random_.random() < 0.05 else 1) for _ in range(blocks))
        groups.append([offset + tail for tail in tails])
    return groups


@pytest.mark.parametrize(
    ("replicates", "between", "within"), [(6, 0.0, 0.02), (6, 0.02, 0.01), (9, 0.01, 0.02), (3, 0.02, 0.005)]
)
def test_interval_covers_the_true_difference(replicates, between, within):
    random_ = random.Random(7)
    trials, hits = 600, 0
    for _ in range(trials):
        found = paired.judge(measured(random_, replicates, 12, 0.05, between, within), 0.03)
        hits += found.low <= 0.05 <= found.high
    assert hits / trials >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / trials)


def test_same_code_is_never_called_changed_when_processes_differ_by_less_than_the_margin():
    random_ = random.Random(3)
    verdicts = [paired.judge(measured(random_, 6, 12, 0.0, 0.01, 0.02), 0.03).verdict for _ in range(500)]
    assert Verdict.SLOWER not in verdicts and Verdict.FASTER not in verdicts
    assert verdicts.count(Verdict.UNCHANGED) > 400


def test_a_clear_change_is_found_in_both_directions():
    random_ = random.Random(5)
    groups = measured(random_, 6, 12, 0.10, 0.01, 0.01)
    assert paired.judge(groups, 0.03).verdict is Verdict.SLOWER
    turned = paired.judge([[-value for value in group] for group in groups], 0.03)
    assert turned.verdict is Verdict.FASTER
    assert turned.estimate == -paired.judge(groups, 0.03).estimate


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.031, 0.05, Verdict.SLOWER),
        (0.029, 0.05, Verdict.UNRESOLVED),
        (-0.02, 0.02, Verdict.UNCHANGED),
        (-0.05, 0.02, Verdict.UNRESOLVED),
        (-0.09, -0.031, Verdict.FASTER),
        (-0.09, 0.09, Verdict.UNRESOLVED),
    ],
)
def test_decide(low, high, verdict):
    assert paired.decide(Interval(low, high), 0.03) is verdict


def test_one_process_is_never_judged():
    found = paired.judge([[0.5] * 100], 0.03)
    assert found.verdict is Verdict.UNRESOLVED
    assert "two replicates" in found.reason


def test_few_processes_say_what_they_assume():
    found = paired.judge([[0.5] * 4, [0.51] * 4, [0.5] * 4], 0.03)
    assert found.verdict is Verdict.SLOWER
    assert "assumes" in found.reason


def test_too_few_blocks_are_unresolved():
    found = paired.judge([[0.5], [0.5]], 0.03)
    assert found.verdict is Verdict.UNRESOLVED
    assert "too few" in found.reason


def test_blocks_needed_settle_it():
    random_ = random.Random(2)
    found = paired.judge(measured(random_, 6, 4, 0.045, 0.015, 0.03), 0.03)
    assert found.verdict is Verdict.UNRESOLVED
    assert found.blocks_needed is not None and found.blocks_needed > found.blocks == 24
    quadruple = paired.blocks_needed(0.0, Interval(-0.06, 0.06), math.expm1(0.03), 100)
    assert quadruple == 400  # half the width takes four times the blocks
    assert paired.blocks_needed(math.log1p(0.03), Interval(0.0, 0.06), 0.03, 100) is None


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="no block"):
        paired.judge([[], []], 0.03)
    with pytest.raises(ValueError, match="not finite"):
        paired.judge([[math.inf]], 0.03)
