"""The subject of the proof: every variant does exactly the share of extra work that it is named for."""

import ast
import inspect

import numpy as np
import pytest
from proof.arms import CANDIDATES, SAME, SUBJECT
from proof.dosed_kernel import KERNEL
from proof.dosed_kernel._mean import LONG, LONG_SHARE_PPM, STALL, WINDOW

from kernels.messages import EVENT

COUNT = 2000


@pytest.fixture(scope="module")
def items():
    events = np.zeros(COUNT, EVENT)
    events["price_ticks"] = 10_000 + np.cumsum(np.random.default_rng(1).integers(-3, 4, COUNT))
    return KERNEL.prepare(events, {})


def rounds_of(name, items):
    instance = KERNEL.variants[name].build(instrumented=True)
    KERNEL.variants[name].replay(instance, items)
    return instance.counters()["rounds"]


def test_every_arm_has_its_variant_and_every_variant_its_arm():
    assert {each.selector.split("/")[1] for each in CANDIDATES.values()} == set(KERNEL.variants)
    assert CANDIDATES[SAME].selector == SUBJECT


def test_the_base_equals_the_reference(items):
    variant = KERNEL.variants["base"]
    out = variant.replay(variant.build(), items)
    np.testing.assert_array_equal(out[:1500], KERNEL.reference().replay(items[:1500]))


def test_a_dose_is_a_share_of_the_rounds(items):
    long = COUNT * LONG_SHARE_PPM // 1_000_000
    base = rounds_of("base", items)
    assert base == (COUNT - long) * WINDOW + long * LONG
    for percent in (1, 2, 3, 5, 10):
        assert rounds_of(f"dose_{percent}", items) == base + base * percent // 100
    assert rounds_of("stalled_2_percent", items) == base + COUNT // 50 * (STALL - WINDOW)
    assert rounds_of("stalled_half_percent", items) == base + COUNT // 200 * (STALL - WINDOW)
    assert rounds_of("longer_tail", items) == base + long * LONG // 5


def test_which_calls_are_stalled_has_no_period(items):
    stalled = np.flatnonzero(items["fate_ppm"] >= 980_000)
    assert len(stalled) == COUNT // 50
    gaps = np.diff(stalled)
    assert len(np.unique(gaps)) > 20 and gaps.min() < 20 < gaps.max()


def test_variants_differ_in_three_numbers_alone():
    def skeleton(name):
        module = inspect.getmodule(KERNEL.variants[name].replay_from.py_func)
        tree = ast.parse(inspect.getsource(module))
        return [ast.dump(node) for node in tree.body if not isinstance(node, (ast.Assign, ast.Expr, ast.ImportFrom))]

    assert all(skeleton(name) == skeleton("base") for name in KERNEL.variants)
