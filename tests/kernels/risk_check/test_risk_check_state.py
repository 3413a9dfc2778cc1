"""The state of the risk check: moved between variants, refused where it does not fit, and no memory on the way."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from test_risk_check import KERNEL, SMALL, VARIANTS, each_variant, random_orders

from kernels._jit import OPTIONS
from kernels.risk_check._batch import BATCH
from kernels.risk_check._rules import REASONS, Reason


def halves(seed=4, length=600):
    orders = random_orders(seed, length, **SMALL)
    cut = length // 2 + 3
    return [type(orders)(*(column[part] for column in orders)) for part in (slice(cut), slice(cut, None))]


@each_variant
@pytest.mark.parametrize("other", VARIANTS, ids=lambda variant: variant.name)
def test_a_state_moves_to_any_variant(variant, other):
    first, second = halves()
    reference = KERNEL.reference(**KERNEL.check_parameters(SMALL))
    reference.replay(first)
    giver, taker = variant.build(**SMALL), other.build(**SMALL)
    variant.replay(giver, first)
    taker.import_state(giver.export_state())
    assert np.array_equal(other.replay(taker, second), reference.replay(second))
    for name, array in reference.export_state().items():
        assert np.array_equal(taker.export_state()[name], array), name


@each_variant
def test_reset_snapshot_and_restore(variant):
    first, second = halves()
    instance = variant.build(**SMALL)
    answers = variant.replay(instance, first)
    saved = instance.snapshot()
    later = variant.replay(instance, second)
    instance.restore(saved)
    assert np.array_equal(variant.replay(instance, second), later)
    instance.reset()
    assert instance.export_state()["refused"].sum() == 0
    assert np.array_equal(variant.replay(instance, first), answers)


@each_variant
def test_limits_come_with_the_state(variant):
    """Each account has limits of its own, up to the largest that a word holds."""
    instance = variant.build(**SMALL)
    given = instance.export_state()
    most = {"size_limit": 2**30, "position_limit": 2**30, "notional_limit": 2**43 - 1, "open_limit": 2**20 - 1}
    for name, limit in most.items():
        given["accounts"][name][1] = limit
    given["accounts"]["long"][1], given["accounts"]["short"][1] = -(2**30), 2**30
    instance.import_state(given)
    back = instance.export_state()["accounts"]
    assert np.array_equal(back, given["accounts"])


@each_variant
def test_a_state_that_does_not_fit_changes_nothing(variant):
    first, _ = halves()
    instance = variant.build(**SMALL)
    variant.replay(instance, first)
    before, good = instance.export_state(), variant.build(**SMALL).export_state()
    cases = [
        ({"accounts": good["accounts"][:2]}, "must be 3 rows"),
        ({"refused": np.zeros(3, np.int64)}, f"{REASONS} counts"),
        ({"refused": np.full(REASONS, -1)}, "must not be negative"),
        ({"all_killed": None}, "no 'all_killed'"),
    ]
    for name, value in (("long", -1), ("notional", -1), ("orders", 2**20), ("killed", 2), ("next_ns", -1)):
        rows = good["accounts"].copy()
        rows[name][2] = value
        cases.append(({"accounts": rows}, "more open than its limits" if value == 2**20 else "no orders lead to"))
    for name in ("size_limit", "position_limit", "notional_limit", "open_limit", "burst_ns"):
        rows = good["accounts"].copy()
        rows[name][0] = 2**62
        cases.append(({"accounts": rows}, f"{name} of an account must lie in"))
    for change, sentence in cases:
        bad = {name: array for name, array in {**good, **change}.items() if array is not None}
        with pytest.raises(ValueError, match=sentence):
            instance.import_state(bad)
    after = instance.export_state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@each_variant
def test_the_probe_counts_refusals_by_reason_and_lines(variant):
    orders = random_orders(6, 5 * BATCH + 7, **SMALL)
    plain = variant.replay(variant.build(**SMALL), orders)
    instance = variant.build(instrumented=True, **SMALL)
    assert np.array_equal(variant.replay(instance, orders), plain)
    counters = instance.counters()
    for reason in Reason:
        if reason != Reason.ACCEPTED:
            assert counters[f"refused_{reason.name.lower()}"] == np.sum(plain == reason), reason
    assert counters["refused_accepted"] == counters["cas_retries"] == counters["spins"] == 0
    assert len(plain) < counters["lines_touched"] < 6 * len(plain)
    samples = 5 + 7 if variant.name == "simd" else len(plain)
    assert instance.probe.histogram.sum() == samples


def test_an_account_of_aligned_is_one_line():
    state = KERNEL.variants["aligned"].build(accounts=5).state
    assert state.accounts.ctypes.data % 64 == 0 and state.accounts.strides == (64, 8)


def test_simd_takes_requests_one_by_one_when_asked():
    orders = random_orders(6, 3 * BATCH, **SMALL)
    variant = KERNEL.variants["simd"]
    single = variant.build(instrumented=True, batches=0, **SMALL)
    assert np.array_equal(variant.replay(single, orders), variant.replay(variant.build(**SMALL), orders))
    assert single.probe.histogram.sum() == len(orders.action)


@each_variant
def test_replay_allocates_nothing(variant):
    orders = random_orders(6, 3 * BATCH, **SMALL)
    instance = variant.build(**SMALL)
    out = variant.replay(instance, orders)
    function = numba.njit(**{**OPTIONS, "_nrt": False})(variant.replay_from.py_func)
    function(instance.state, orders, out, 0, None)
    code = function.inspect_asm(function.signatures[0])
    assert "NRT_" not in code and "replay" in code
    counts = [sys.getrefcount(array) for array in instance.state]
    for _ in range(20):
        variant.replay_from(instance.state, orders, out, 0, None)
    assert [sys.getrefcount(array) for array in instance.state] == counts


@pytest.mark.slow
@pytest.mark.parametrize("target", ["x86-64", "x86-64-v3"])
def test_other_targets_give_the_same_answers(target):
    """In a process of its own: all variants against the reference, with the vectors that the target has."""
    program = (
        "from test_risk_check import *\nfor v in VARIANTS: test_long_streams_meet_every_reason(v, 3)\nprint('same')"
    )
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_CPU_NAME": target, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.strip() == "same", done.stderr[-2000:]
