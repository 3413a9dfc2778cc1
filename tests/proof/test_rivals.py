"""The rules of other tools, on samples whose answer is known beforehand."""

from itertools import chain

import numpy as np
import pytest
from proof import rivals
from scipy import stats


def made(shift=0.0, noise=0.002, between=0.0, processes=6, runs=16, seed=1):
    draw = np.random.default_rng(seed)
    levels = draw.normal(0, between, processes)
    return [list(1000 * np.exp(shift + level + draw.normal(0, noise, runs))) for level in levels]


@pytest.mark.parametrize("name", rivals.RULES)
def test_identical_samples_are_no_slowdown(name):
    base = made()
    assert not rivals.RULES[name](base, base)
    flat = [[1000.0] * 16 for _ in range(6)]
    assert not rivals.RULES[name](flat, flat)


@pytest.mark.parametrize("name", rivals.RULES)
def test_a_fifth_slower_is_a_slowdown_and_a_fifth_faster_is_none(name):
    base, slower = made(seed=1), made(np.log(1.2), seed=2)
    assert rivals.RULES[name](base, slower)
    assert not rivals.RULES[name](slower, base)


def test_the_thresholds_are_those_of_the_tools():
    base, five = made(noise=1e-6, seed=1), made(np.log(1.05), noise=1e-6, seed=2)
    assert not rivals.pytest_benchmark(base, made(np.log(1.049), noise=1e-6, seed=2))
    assert rivals.pytest_benchmark(base, made(np.log(1.051), noise=1e-6, seed=2))
    assert not rivals.asv(base, five), "asv's factor is 1.1"
    assert rivals.asv(base, made(np.log(1.11), noise=1e-6, seed=2))
    assert rivals.pyperf(base, made(np.log(1.0001), noise=1e-6, seed=2)), "pyperf has no margin"
    assert not rivals.criterion(base, made(np.log(1.009), noise=1e-6, seed=2)), "criterion's noise threshold is 1 %"
    assert rivals.criterion(base, made(np.log(1.012), noise=1e-6, seed=2))
    assert rivals.otava(base, made(np.log(1.0001), noise=1e-6, seed=2)), "Otava's least magnitude is 0"
    assert not rivals.otava(base, five, magnitude=0.06)


def test_pyperf_is_students_t_with_pooled_variance():
    for shift in np.linspace(-0.002, 0.004, 13):
        base, candidate = made(seed=3), made(shift, seed=4)
        first, second = list(chain(*base[:3])), list(chain(*candidate[3:]))
        test = stats.ttest_ind(second, first)
        assert rivals.pyperf(base, candidate) == (test.pvalue <= 0.05 and test.statistic > 0)


def test_asv_takes_the_exact_test_for_few_samples_and_the_normal_one_for_many():
    few, slow = made(runs=4, seed=5), made(0.2, runs=4, seed=6)
    assert rivals.asv(few, slow) and rivals.asv(made(seed=5), made(0.2, seed=6))
    scattered = made(0.2, noise=1.5, seed=6)
    first, second = list(chain(*made(seed=5)[:2])), list(chain(*scattered[2:4]))
    p = stats.mannwhitneyu(first, second, method="asymptotic", use_continuity=False).pvalue
    assert rivals.asv(made(seed=5), scattered) == (p < 0.002 and np.median(first) < np.median(second) / 1.1)


def test_the_energy_of_a_cut_is_that_of_its_definition():
    left, right = np.array([1.0, 2.0, 4.0]), np.array([7.0, 9.0])
    between = sum(abs(a - b) for a in left for b in right)
    expected = 2 / 5 * between - 2 * 2 / 5 / 2 * (1 + 3 + 2) - 2 * 3 / 5 / 1 * 2
    assert rivals._energy(left, right) == pytest.approx(expected)


def test_otava_finds_a_change_that_is_not_where_the_code_changed():
    steps = np.exp(np.array([0.0, 0, 0, 0.05, 0.05, 0.05]))
    drifting = [[1000 * step * (1 + 1e-5 * i) for i in range(16)] for step in steps]
    level = [[1051.0 + 1e-2 * i for i in range(16)] for _ in range(6)]
    assert rivals.otava(drifting, level), "a step among the runs of the base is a change point as well"


def test_each_tool_sees_the_processes_that_it_would_have_started():
    base, candidate = made(seed=7), made(seed=8)
    spoiled = [[value * 2 for value in group] for group in candidate]
    assert not rivals.pytest_benchmark(base, [spoiled[0], candidate[1], *spoiled[2:]])
    assert not rivals.criterion(base, [spoiled[0], candidate[1], *spoiled[2:]])
    assert not rivals.asv(base, [*spoiled[:2], *candidate[2:4], *spoiled[4:]])
    assert set(rivals.PROCESSES) == set(rivals.RULES)
