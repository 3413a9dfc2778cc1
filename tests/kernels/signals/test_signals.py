"""Every variant of the signals against the reference, its state, and its memory."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys

import kernels
from kernels.messages import EVENT, Kind

KERNEL = kernels.get("signals")
VARIANTS = [variant for variant in KERNEL.variants.values() if not variant.peer]
SHAPES = st.tuples(st.sampled_from([1, 2, 3, 7, 8, 9, 16, 23]), st.sampled_from([1, 2, 3, 5, 20]), st.integers(0, 90))

each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)


def random_prices(seed, rows, symbols, bad_share=0.0):
    random = np.random.default_rng(seed)
    start = 10.0 ** random.uniform(-3, 6, symbols)
    prices = start * np.exp(np.cumsum(random.normal(0, 0.01, (rows, symbols)), axis=0))
    prices[random.random(prices.shape) < bad_share] = random.choice([np.nan, np.inf, -np.inf])
    return prices


def assert_agrees(out, expected, prices, variant):
    """Compare with the tolerance that the card states: relative to the largest price of the symbol."""
    assert np.array_equal(np.isnan(out), np.isnan(expected))
    largest = np.nanmax(np.where(np.isfinite(prices), np.abs(prices), 0), axis=0, initial=0)
    difference = np.nan_to_num(np.abs(out - expected))
    assert np.all(difference <= variant.relative_tolerance * largest)


@each_variant
@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**32), bad_share=st.sampled_from([0, 0, 0.01, 0.2]))
def test_every_output_equals_the_references(variant, shape, seed, bad_share):
    symbols, window, rows = shape
    prices = random_prices(seed, rows, symbols, bad_share)
    out = variant.replay(variant.build(symbols=symbols, window=window), prices)
    expected = KERNEL.reference(symbols=symbols, window=window).replay(prices)
    assert_agrees(out, expected, prices, variant)


@each_variant
def test_known_numbers(variant):
    out = variant.replay(variant.build(symbols=1, window=3), np.array([[1.0], [2.0], [6.0], [4.0], [8.0]]))
    assert np.allclose(out[0, :, 0], [np.nan, np.nan, 3, 4, 6], equal_nan=True, rtol=1e-14)
    assert np.allclose(out[1, :, 0], [np.nan, np.nan, 3, 3.5, 5.75], equal_nan=True, rtol=1e-14)


@each_variant
def test_a_bad_price_concerns_its_own_symbol_only_and_is_forgotten(variant):
    prices = random_prices(3, 60, 9)
    clean = variant.replay(variant.build(symbols=9, window=5), prices)
    prices[20, 4] = np.nan
    out = variant.replay(variant.build(symbols=9, window=5), prices)
    others = np.arange(9) != 4
    assert np.array_equal(out[:, :, others], clean[:, :, others], equal_nan=True)
    assert np.all(np.isnan(out[:, 20:25, 4])) and not np.any(np.isnan(out[:, 25:, 4]))
    assert np.allclose(out[0, 25:, 4], clean[0, 25:, 4], rtol=1e-12)


@each_variant
def test_the_sum_does_not_drift(variant):
    """A plain running sum is off by far more than this after a large price has passed."""
    prices = np.full((60_000, 2), 0.1)
    prices[::7] += 1e-3
    prices[1000] = 1e9
    out = variant.replay(variant.build(symbols=2, window=20), prices)
    exact = [np.mean(prices[row - 19 : row + 1, 0]) for row in (50_000, 59_999)]
    assert np.allclose(out[0, [50_000, 59_999], 0], exact, rtol=1e-14, atol=0)


@each_variant
@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, cuts=st.lists(st.integers(0, 90), max_size=4), seed=st.integers(0, 1000))
def test_bars_in_pieces_give_the_same_bits(variant, shape, cuts, seed):
    symbols, window, rows = shape
    prices = random_prices(seed, rows, symbols, 0.02)
    whole = variant.replay(variant.build(symbols=symbols, window=window), prices)
    instance = variant.build(symbols=symbols, window=window)
    edges = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    pieces = [variant.replay(instance, prices[a:b]) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(pieces, axis=1), whole, equal_nan=True)


@each_variant
@pytest.mark.parametrize("other", VARIANTS, ids=lambda variant: variant.name)
def test_a_state_moves_to_any_variant(variant, other):
    prices = random_prices(5, 80, 11, 0.02)
    first, second = variant.build(symbols=11, window=6), other.build(symbols=11, window=6)
    variant.replay(first, prices[:47])
    second.import_state(first.export_state())
    out = other.replay(second, prices[47:])
    expected = KERNEL.reference(symbols=11, window=6).replay(prices)[:, 47:]
    assert_agrees(out, expected, prices, other)
    third = variant.build(symbols=11, window=6)
    third.import_state(second.export_state())
    exported, again = second.export_state(), third.export_state()
    assert all(np.array_equal(exported[name], again[name], equal_nan=True) for name in exported)


@each_variant
def test_snapshot_restore_and_reset(variant):
    prices = random_prices(6, 50, 5)
    instance = variant.build(symbols=5, window=4)
    whole = variant.replay(instance, prices)
    saved = instance.snapshot()
    later = variant.replay(instance, prices)
    instance.restore(saved)
    assert np.array_equal(variant.replay(instance, prices), later, equal_nan=True)
    assert not np.array_equal(later, whole, equal_nan=True)
    instance.reset()
    assert np.array_equal(variant.replay(instance, prices), whole, equal_nan=True)


@each_variant
def test_a_state_that_does_not_fit_changes_nothing(variant):
    instance = variant.build(symbols=5, window=4)
    variant.replay(instance, random_prices(6, 50, 5))
    before = instance.export_state()
    good = variant.build(symbols=5, window=4).export_state()
    for change, expected in [
        ({"ring": None}, "'ring' is not there"),
        ({"sum": np.zeros(6)}, "canonical 'sum' must have the shape"),
        ({"ema": np.zeros(5, np.int64)}, "canonical 'ema' must have"),
        ({"bars": np.array([-1])}, "must not be negative"),
    ]:
        bad = {name: array for name, array in {**good, **change}.items() if array is not None}
        with pytest.raises(ValueError, match=expected):
            instance.import_state(bad)
    after = instance.export_state()
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)


@each_variant
def test_prices_that_do_not_fit_are_told(variant):
    instance = variant.build(symbols=5)
    for prices in (np.zeros((3, 4)), np.zeros(5), np.zeros((3, 5), np.float32), np.zeros((5, 3)).T, [1.0]):
        with pytest.raises((ValueError, AttributeError)):
            variant.replay(instance, prices)
    with pytest.raises(ValueError, match="as many columns"):  # also where the caller brings the output
        variant.replay(instance, np.zeros((3, 4)), np.zeros((2, 3, 4)))


@each_variant
def test_nothing_is_written_beyond_the_output(variant):
    for symbols in (1, 5, 8, 13):
        prices, room = random_prices(1, 40, symbols), np.full((4, 40, symbols), 123.0)
        variant.replay(variant.build(symbols=symbols, window=3), prices, room[1:3])
        assert np.all(room[[0, 3]] == 123.0) and not np.any(room[1:3] == 123.0)


@each_variant
def test_the_probe_records_each_row_once(variant):
    instance = variant.build(symbols=5, instrumented=True)
    plain = variant.replay(variant.build(symbols=5), random_prices(1, 70, 5))
    assert np.array_equal(variant.replay(instance, random_prices(1, 70, 5)), plain, equal_nan=True)
    assert instance.probe.histogram.sum() == 70
    assert KERNEL.operations_per_sample(instance.parameters) == 5
    instance.reset()
    assert instance.probe.histogram.sum() == 0


@each_variant
def test_no_memory_is_allocated_per_bar(variant):
    instance = variant.build(symbols=16)
    prices = [random_prices(1, rows, 16) for rows in (1, 500)]
    outs = [np.empty((2, *p.shape)) for p in prices]
    variant.replay(instance, prices[0], outs[0])
    was = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        counts = []
        for p, out in zip(prices, outs, strict=True):
            before = rtsys.get_allocation_stats().alloc
            variant.replay(instance, p, out)
            counts.append(rtsys.get_allocation_stats().alloc - before)
    finally:
        if not was:
            _nrt_python.memsys_disable_stats()
    assert counts[0] == counts[1]  # what the call from Python wraps, whatever the number of bars


def trades(*rows):
    events = np.zeros(len(rows), EVENT)
    for i, (kind, symbol, price) in enumerate(rows):
        events[i]["kind"], events[i]["symbol"], events[i]["price_ticks"] = kind, symbol, price
    return events


def test_bars_hold_the_last_price_of_each_symbol():
    events = trades(
        (Kind.ADD, 0, 99),
        (Kind.EXECUTE, 0, 10),
        (Kind.TRADE, 0, 11),  # first bar: two trades, the later counts; symbol 1 shows its first bar's
        (Kind.EXECUTE, 1, 20),
        (Kind.EXECUTE, 1, 0),  # without a price: left out
        (Kind.EXECUTE, 1, 21),  # second bar: symbol 0 keeps its price
        (Kind.TRADE, 0, 12),
        (Kind.DELETE, 1, 77),
    )
    bars = KERNEL.prepare(events, {"symbols": 2, "window": 20})
    assert bars.shape == (4096, 2) and bars.flags.c_contiguous and bars.dtype == np.float64
    assert bars[:7].tolist() == [[11, 21], [11, 21], [12, 21], [12, 21], [11, 21], [11, 21], [11, 21]]  # to and fro
    wide = KERNEL.prepare(events, {"symbols": 5, "window": 20})
    assert np.array_equal(wide[:, :2], bars) and np.array_equal(wide[:-101, 2:4], bars[101:])
    assert KERNEL.parameters_for(events) == {"symbols": 64}


def test_a_symbol_that_never_trades_is_nan_and_long_markets_are_cut():
    many = trades(*[(Kind.EXECUTE, 0, 5 + i) for i in range(20_000)], (Kind.ADD, 1, 5))
    bars = KERNEL.prepare(many, {"symbols": 2, "window": 20})
    assert np.all(np.isnan(bars[:, 1])) and bars[:2, 0].tolist() == [6, 8]
    single = KERNEL.prepare(many[:-1], {"symbols": 1, "window": 20})
    assert single.shape == (16_384, 1) and single[-1, 0] == 5 + 16_383


def test_events_that_give_no_bars_are_told():
    with pytest.raises(ValueError, match="no execution or trade"):
        KERNEL.prepare(trades((Kind.ADD, 0, 5)), {"symbols": 1})
    with pytest.raises(ValueError, match="build it with symbols=3"):
        KERNEL.prepare(trades((Kind.TRADE, 2, 5)), {"symbols": 2})
    with pytest.raises(ValueError, match="must be a one-dimensional array"):
        KERNEL.prepare(np.zeros(3), {"symbols": 1})


TARGET_SCRIPT = """
import re, sys
import numpy as np
import kernels
from kernels.signals.simd import LANES
signals = kernels.get("signals")
random = np.random.default_rng(1)
for symbols, window in ((1, 1), (7, 5), (24, 20), (65, 3)):
    prices = 100 + np.cumsum(random.normal(size=(200, symbols)), axis=0)
    prices[50, symbols // 2] = np.nan
    expected = signals.reference(symbols=symbols, window=window).replay(prices)
    for variant in signals.variants.values():
        out = variant.replay(variant.build(symbols=symbols, window=window), prices)
        assert np.array_equal(np.isnan(out), np.isnan(expected)), (variant.name, symbols, window)
        assert np.nanmax(np.abs(out - expected), initial=0) <= variant.relative_tolerance * np.nanmax(prices)
assembly = "".join(signals.variants["simd"].replay_from.inspect_asm().values())
add, = re.findall(r"v?addpd[^\\n]*%([xyz]mm)", assembly)[:1]
print(LANES, add)
"""


@pytest.mark.parametrize(
    ("cpu", "features", "expected"),
    [
        ("x86-64", "", "2 xmm"),
        ("x86-64-v3", "+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+f16c,+popcnt,+sse4.2", "4 ymm"),
        (None, None, None),
    ],
    ids=["x86-64", "x86-64-v3", "host"],
)
def test_every_target_gives_the_same_and_uses_its_whole_registers(tmp_path, cpu, features, expected):
    settings = {} if cpu is None else {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    environment = {**os.environ, **settings, "WORKBENCH_CACHE": str(tmp_path)}  # a cached function shows no assembly
    command = [sys.executable, "-W", "error", "-c", TARGET_SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    lanes, register = done.stdout.split()
    assert {"2": "xmm", "4": "ymm", "8": "zmm"}[lanes] == register
    assert expected is None or done.stdout.strip() == expected
