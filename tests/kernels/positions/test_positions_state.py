"""The state of the positions: moved between variants, refused where it does not fit, and no memory on the way."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from test_positions import KERNEL, SMALL, VARIANTS, each_variant, fills_of, random_fills

from kernels._jit import OPTIONS
from kernels.messages import MAX_PRICE_TICKS
from kernels.positions._rules import MARK

ROOT = Path(__file__).parents[3]
MANY = {"accounts": 90, "symbols": 5}


def halves():
    fills = random_fills(4, 1200, **MANY)
    return [type(fills)(*(column[part] for column in fills)) for part in (slice(700), slice(700, None))]


@each_variant
@pytest.mark.parametrize("other", VARIANTS, ids=lambda variant: variant.name)
def test_positions_move_to_any_variant(variant, other):
    first, second = halves()
    reference = KERNEL.reference(**MANY)
    reference.replay(first)
    giver, taker = variant.build(**MANY), other.build(**MANY, positions=1)
    variant.replay(giver, first)
    taker.import_state(giver.export_state())
    assert np.array_equal(other.replay(taker, second), reference.replay(second))
    for name, array in reference.export_state().items():
        assert np.array_equal(taker.export_state()[name], array), name


@each_variant
def test_reset_snapshot_and_restore(variant):
    first, second = halves()
    instance = variant.build(**MANY)
    answers = variant.replay(instance, first)
    saved = instance.snapshot()
    later = variant.replay(instance, second)
    instance.restore(saved)
    assert np.array_equal(variant.replay(instance, second), later)
    instance.reset()
    assert not len(instance.export_state()["positions"]) and not instance.export_state()["marks"].any()
    assert np.array_equal(variant.replay(instance, first), answers)


@each_variant
def test_positions_that_do_not_fit_change_nothing(variant):
    first, _ = halves()
    instance = variant.build(**MANY)
    variant.replay(instance, first)
    before = instance.export_state()
    cases = [
        ({"positions": np.zeros(3)}, "must be of HELD"),
        ({"marks": np.zeros(4, np.int64)}, "with 5 marks"),
        ({"marks": None}, "no 'marks'"),
        ({"marks": np.full(5, MAX_PRICE_TICKS + 1)}, "out of range"),
        ({"bad": np.full(8, -1)}, "out of range"),
        ({"positions": np.repeat(before["positions"][:1], 2)}, "same account and symbol"),
    ]
    for name, value in (("account", 90), ("symbol", 5), ("quantity", 2**31), ("cost", -1), ("realised", 2**62 + 1)):
        rows = before["positions"].copy()
        rows[name][7] = value
        cases.append(({"positions": rows}, "out of range, or of no account"))
    for change, sentence in cases:
        bad = {name: array for name, array in {**before, **change}.items() if array is not None}
        with pytest.raises(ValueError, match=sentence):
            instance.import_state(bad)
    after = instance.export_state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@each_variant
def test_the_probe_counts_and_times_each_operation(variant):
    fills = fills_of([*zip(*(column.tolist() for column in random_fills(6, 500)), strict=True), (9, 0, 5, 5, 0)])
    plain = variant.replay(variant.build(**SMALL), fills)
    instance = variant.build(instrumented=True, **SMALL)
    assert np.array_equal(variant.replay(instance, fills), plain)
    counters, good = instance.counters(), int(np.sum(fills.action != MARK)) - 1
    assert instance.probe.histogram.sum() == 501 and counters["refused"] == 1
    assert good <= counters["probes"] + 6 < 3 * good and good < counters["lines_touched"] < 8 * good
    assert counters["cas_retries"] == counters["spins"] == 0


def test_a_position_of_the_sharded_variants_is_one_line():
    for name in ("aligned", "simd"):
        state = KERNEL.variants[name].build(**MANY).state
        assert state.rows.ctypes.data % 64 == state.live.ctypes.data % 64 == 0
        assert state.rows.strides[0] == state.live.strides[0] == 64


@each_variant
def test_applying_fills_allocates_nothing(variant):
    fills = random_fills(6, 300)
    instance = variant.build(**SMALL)
    out = variant.replay(instance, fills)
    function = numba.njit(**{**OPTIONS, "_nrt": False})(variant.replay_from.py_func)
    function(instance.state, fills, out, 0, None)
    code = function.inspect_asm(function.signatures[0])
    assert "NRT_" not in code and "replay" in code
    counts = [sys.getrefcount(array) for array in instance.state]
    for _ in range(20):
        variant.replay_from(instance.state, fills, out, 0, None)
    assert [sys.getrefcount(array) for array in instance.state] == counts


@pytest.mark.slow
@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="the targets are those of x86-64")
@pytest.mark.parametrize("target", ["x86-64", "x86-64-v3"])
def test_other_targets_hold_the_same_positions(target):
    """In a process of its own: all variants against the reference, with the instructions that the target has."""
    program = "import test_positions as t; [t.test_tables_that_grow_many_times(v, 200, 40) for v in t.VARIANTS]"
    paths = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_CPU_NAME": target, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
