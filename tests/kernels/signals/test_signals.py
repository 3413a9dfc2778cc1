"""Every variant of the signals against the reference, its state, and its memory."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys
from signal_cases import (
    KERNEL,
    NAMES,
    OURS,
    assert_agrees,
    can,
    cut,
    each_pair,
    each_variant,
    expected_of,
    first_bar,
    index,
    random_bars,
    run,
    slow_beyond_baseline,
    tried,
)

from kernels.signals import make_bars
from kernels.signals._state import named

SHAPES = st.tuples(st.sampled_from([1, 2, 3, 7, 8, 9, 16, 23]), st.sampled_from([1, 2, 3, 5, 20]), st.integers(0, 90))


@each_pair
@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**32), bad_share=st.sampled_from([0, 0, 0.005, 0.1]))
def test_every_output_equals_the_references(variant, name, shape, seed, bad_share):
    symbols, window, rows = shape
    bars = random_bars(seed, rows, symbols, bad_share)
    out = run(variant, name, bars, window)
    assert_agrees(out, expected_of(name, bars, window), name, bars, variant.relative_tolerance)


@each_pair
def test_a_long_series_equals_the_references(variant, name):
    """Long enough for every block that a variant may work in, and for a large price to have passed."""
    bars = random_bars(11, 3000, 2)
    bars.close[1000, 0] *= 50
    out = run(variant, name, bars, 20)
    expected = expected_of(name, bars, 20)
    assert_agrees(out, expected, name, bars, variant.relative_tolerance)
    later = cut(bars, 1100, 3000)  # two windows behind the large price nothing is left of its rounding
    if name not in ("flow", "imbalance", "rsi"):
        assert_agrees(out[:, 1100:], expected[:, 1100:], name, later, max(variant.relative_tolerance, 1e-11))


@each_pair
@settings(max_examples=15, deadline=None)
@given(shape=SHAPES, cuts=st.lists(st.integers(0, 90), max_size=4), seed=st.integers(0, 1000))
def test_bars_in_pieces_equal_all_at_once(variant, name, shape, cuts, seed):
    symbols, window, rows = shape
    bars = random_bars(seed, rows, symbols, 0.01)
    whole = run(variant, name, bars, window)
    instance = variant.build(symbols=symbols, window=window, indicator=name)
    edges = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    pieces = np.concatenate([variant.replay(instance, cut(bars, a, b)) for a, b in pairwise(edges)], axis=1)
    if variant.name == "baseline":
        assert np.array_equal(pieces, whole, equal_nan=True)
    assert_agrees(pieces, whole, name, bars, 2 * variant.relative_tolerance)


@each_pair
def test_a_bad_bar_concerns_its_own_symbol_only_and_is_forgotten(variant, name):
    bars = random_bars(3, 120, 9)
    clean = run(variant, name, bars, 5)
    for column in named(name).reads[:1]:
        getattr(bars, column)[50, 4] = np.nan
    out = run(variant, name, bars, 5)
    others = np.arange(9) != 4
    assert np.array_equal(out[:, :, others], clean[:, :, others], equal_nan=True)
    started = 51 + first_bar(name, 5)
    assert np.all(np.isnan(out[:, 50:started, 4]))
    assert np.array_equal(np.isnan(out[:, started:, 4]), np.isnan(clean[:, started:, 4]))


@pytest.mark.slow  # compiles all others
@each_pair
def test_a_state_moves_to_any_variant(variant, name):
    bars = random_bars(5, 120, 11, 0.005)
    expected = expected_of(name, bars, 6)[:, 67:]
    first = variant.build(symbols=11, window=6, indicator=name)
    variant.replay(first, cut(bars, 0, 67))
    exported = first.export_state()
    for other in (other for other in OURS if tried(other, name)):
        second = other.build(symbols=11, window=6, indicator=name)
        second.import_state(exported)
        again = second.export_state()
        assert list(again) == list(exported)
        assert all(np.array_equal(exported[field], again[field]) for field in exported), other.name
        out = other.replay(second, cut(bars, 67, 120))
        assert_agrees(out, expected, name, bars, 2 * other.relative_tolerance)


@each_pair
def test_the_exported_state_is_the_references(variant, name):
    bars = random_bars(8, 50, 7, 0.01)
    for rows in (0, 1, 4, 30, 50):
        instance = variant.build(symbols=7, window=5, indicator=name)
        variant.replay(instance, cut(bars, 0, rows))
        reference = KERNEL.reference(symbols=7, window=5, indicator=index(name))
        reference.replay(cut(bars, 0, rows))
        exported, expected = instance.export_state(), reference.export_state()
        assert list(exported) == list(expected)
        for field, values in expected.items():
            largest = np.max(np.abs(values), axis=0, initial=np.nanmax(np.where(np.isfinite(bars.high), bars.high, 0)))
            assert np.all(np.abs(exported[field] - values) <= 1e-10 * largest), field


@each_variant
def test_snapshot_restore_and_reset(variant):
    bars = random_bars(6, 50, 5)
    instance = variant.build(symbols=5, window=4)
    whole = variant.replay(instance, bars)
    saved = instance.snapshot()
    later = variant.replay(instance, bars)
    instance.restore(saved)
    assert np.array_equal(variant.replay(instance, bars), later, equal_nan=True)
    assert not np.array_equal(later, whole, equal_nan=True)
    instance.reset()
    assert np.array_equal(variant.replay(instance, bars), whole, equal_nan=True)


@each_variant
def test_a_state_that_does_not_fit_changes_nothing(variant):
    instance = variant.build(symbols=5, window=4, indicator="ema")
    variant.replay(instance, random_bars(6, 50, 5))
    before = instance.export_state()
    good = variant.build(symbols=5, window=4, indicator="ema").export_state()
    for change, expected in [
        ({"count": None}, "'count' is not there"),
        ({"ema": np.zeros(6)}, "canonical 'ema' must have the shape"),
        ({"ema": np.zeros(5, np.int64)}, "canonical 'ema' must have"),
        ({"count": np.full(5, -1.0)}, "must not be negative"),
    ]:
        bad = {name: array for name, array in {**good, **change}.items() if array is not None}
        with pytest.raises(ValueError, match=expected):
            instance.import_state(bad)
    after = instance.export_state()
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)


@each_variant
def test_bars_that_do_not_fit_are_told(variant):
    instance = variant.build(symbols=5)
    good = make_bars(np.zeros((3, 5)))
    narrow = make_bars(np.zeros((3, 4)))
    for bars, expected in (
        (narrow, r"high must be float64\[rows, 5\] in C order, not float64\[3, 4\]"),
        (good._replace(close=np.zeros((3, 5), np.float32)), "close must be"),
        (good._replace(bid_size=np.zeros((5, 3)).T), "bid_size must be"),
        (good._replace(volume=[1.0]), "volume must be .* not list"),
        (good._replace(ask_price=np.zeros((4, 5))), "ask_price must be"),
        (np.zeros((3, 5)), "must be kernels.signals.Bars or events, not ndarray"),
    ):
        with pytest.raises(ValueError, match=expected):
            variant.replay(instance, bars)
    with pytest.raises(ValueError, match="as many columns"):  # also where the caller brings the output
        variant.replay(instance, narrow, np.zeros((1, 3, 4)))


@each_pair
def test_nothing_is_written_beyond_the_output(variant, name):
    lines = len(named(name).lines)
    for symbols in (1, 5, 8, 13):
        bars, room = random_bars(1, 40, symbols), np.full((lines + 2, 40, symbols), 123.0)
        variant.replay(variant.build(symbols=symbols, window=3, indicator=name), bars, room[1:-1])
        assert np.all(room[[0, -1]] == 123.0) and not np.any(room[1:-1] == 123.0)


@pytest.mark.parametrize("variant", [pytest.param(v, id=v.name, marks=slow_beyond_baseline(v)) for v in OURS])
def test_the_probe_records_each_row_once(variant):
    instance = variant.build(symbols=5, instrumented=True)
    plain = run(variant, "ema", random_bars(1, 70, 5))
    assert np.array_equal(variant.replay(instance, random_bars(1, 70, 5)), plain, equal_nan=True)
    assert instance.probe.histogram.sum() == 70
    assert KERNEL.operations_per_sample(instance.parameters) == 5
    instance.reset()
    assert instance.probe.histogram.sum() == 0


@each_pair
def test_no_memory_is_allocated_per_bar(variant, name):
    instance = variant.build(symbols=16, indicator=name)
    bars = [random_bars(1, rows, 16) for rows in (1, 500)]
    outs = [KERNEL.output(each, instance.parameters) for each in bars]
    variant.replay(instance, bars[0], outs[0])
    was = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        counts = []
        for each, out in zip(bars, outs, strict=True):
            before = rtsys.get_allocation_stats().alloc
            variant.replay(instance, each, out)
            counts.append(rtsys.get_allocation_stats().alloc - before)
    finally:
        if not was:
            _nrt_python.memsys_disable_stats()
    assert counts[0] == counts[1]  # what the call from Python wraps, whatever the number of bars


TARGET_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from signal_cases import OURS, assert_agrees, expected_of, random_bars, run
for name in sys.argv[2:]:
    for symbols, window in ((1, 1), (7, 5), (24, 20), (65, 3)):
        bars = random_bars(symbols, 200, symbols, 0.001)
        expected = expected_of(name, bars, window)
        for variant in OURS:
            if variant.name == "baseline":
                assert_agrees(run(variant, name, bars, window), expected, name, bars, variant.relative_tolerance)
print("all agree")
"""
TARGETS = {
    "x86-64": ("x86-64", ""),
    "x86-64-v3": ("x86-64-v3", "+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+f16c,+popcnt,+sse4.2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_every_target_gives_the_same(tmp_path, target):
    """Of the plain loops; the vectors, which are what targets differ in, have their own."""
    cpu, features = TARGETS[target]
    environment = {**os.environ, "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    environment["WORKBENCH_CACHE"] = str(tmp_path)
    names = ("ema", "rsi", "bollinger", "vwap")  # a recursion, a division, a root, two rings
    command = [sys.executable, "-W", "error", "-c", TARGET_SCRIPT, str(Path(__file__).parent), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "all agree"


def test_every_indicator_is_of_the_baseline():
    assert all(can(OURS[0], name) for name in NAMES) and OURS[0].name == "baseline"
