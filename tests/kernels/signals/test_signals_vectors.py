"""The vector variants: every path of theirs against the reference or the plain loops, on every target."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from signal_cases import KERNEL, assert_agrees, cut, expected_of, random_bars, run

from kernels.machine.memory import aligned
from kernels.signals import NAMES
from kernels.signals._lanes import LANES, SPAN, WIDE, started_after
from kernels.signals._lanes_loops import STREAMED
from kernels.signals._scan import CHUNK
from kernels.signals._state import named

BASELINE, SIMD, ALIGNED = (KERNEL.variants[name] for name in ("baseline", "simd", "aligned"))
QUICK = ("ema",)
each_name = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NAMES]
)
# One series; fewer symbols than lanes; one wide group exactly; wide groups, whole groups of lanes and a part of one.
WIDTHS = (1, 3, WIDE, 2 * WIDE + LANES + 3)


def with_bad(bars, name, row, symbol, value=np.nan):
    """Make one bar bad in the last column that the indicator reads."""
    getattr(bars, named(name).reads[-1])[row, symbol] = value
    return bars


@each_name
@pytest.mark.parametrize("window", [1, 2, 7, 20])
def test_long_enough_for_every_block(name, window):
    """Against the plain loops, which the reference vouches for: with bad bars before, in and at the edges of blocks."""
    edge = max(window, 34) + 3 * LANES  # the first bar that vectors may take
    for symbols in WIDTHS:
        rows = edge + 2 * max(SPAN, CHUNK) + 5
        bars = random_bars(symbols, rows, symbols)
        for i, row in enumerate((0, edge - 1, edge, edge + LANES, edge + SPAN, edge + CHUNK - 1, rows - 1)):
            with_bad(bars, name, row, i % symbols, (np.nan, np.inf, -np.inf)[i % 3])
        assert_agrees(run(SIMD, name, bars, window), run(BASELINE, name, bars, window), name, bars, 1e-12)


@each_name
def test_one_bad_bar_anywhere_near_a_block(name):
    """A NaN at each of the bars around the first block of one series: the output is the plain loops' every time."""
    window, rows = 5, 34 + 8 * LANES
    for row in range(34 + LANES, rows):
        bars = with_bad(random_bars(row, rows + 60, 1), name, row, 0)
        assert_agrees(run(SIMD, name, bars, window), run(BASELINE, name, bars, window), name, bars, 1e-12)


@each_name
def test_every_length_of_one_series(name):
    whole = random_bars(4, 60 + 4 * LANES, 1)
    expected = expected_of(name, whole, 6)
    for rows in range(len(whole.close) + 1):
        bars = cut(whole, 0, rows)
        assert_agrees(run(SIMD, name, bars, 6), expected[:, :rows], name, whole, 1e-12)


@each_name
def test_pieces_that_reach_into_blocks(name):
    for symbols in WIDTHS:
        bars = random_bars(9, 900, symbols)
        instance = SIMD.build(symbols=symbols, window=20, indicator=name)
        edges = (0, 1, 90, 500, 503, 900)
        pieces = [SIMD.replay(instance, cut(bars, a, b)) for a, b in pairwise(edges)]
        assert_agrees(np.concatenate(pieces, axis=1), run(SIMD, name, bars, 20), name, bars, 2e-12)


@each_name
def test_streamed_outputs_are_the_same(name):
    """Past the caches, and where the output does not begin at a cache line or its rows do not."""
    for symbols, rows, shift in (
        (1, STREAMED + 8, 0),
        (1, STREAMED + 8, 3),
        (1, 999, 0),
        (64, 700, 0),
        (64, 700, 1),
        (9, 700, 0),
    ):
        bars = random_bars(2, rows, symbols)
        lines = len(named(name).lines)
        out = aligned(lines * rows * symbols + shift, np.float64)[shift:].reshape(lines, rows, symbols)
        instance = ALIGNED.build(symbols=symbols, window=20, indicator=name)
        ALIGNED.replay(instance, bars, out)
        plain = run(SIMD, name, bars, 20)
        assert np.array_equal(np.isnan(out), np.isnan(plain))
        assert_agrees(out, plain, name, bars, 2e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sma", "std", "max"])
@pytest.mark.parametrize("symbols", [1, 9])
def test_windows_longer_than_a_block(name, symbols):
    for window in (SPAN + 1, 1500):
        bars = random_bars(6, 2 * window + 3000, symbols)
        assert_agrees(run(SIMD, name, bars, window), run(BASELINE, name, bars, window), name, bars, 1e-12)


@pytest.mark.slow  # compiles with the probe
@pytest.mark.parametrize("name", ["ema", "bollinger", "flow"])
def test_a_single_series_is_timed_bar_by_bar(name):
    bars = random_bars(1, 200, 1)
    instance = SIMD.build(symbols=1, window=5, indicator=name, instrumented=True)
    assert_agrees(SIMD.replay(instance, bars), run(SIMD, name, bars, 5), name, bars, 2e-12)
    assert instance.probe.histogram.sum() == 200


def test_vectors_take_a_symbol_when_its_average_has_converged_to_nothing_of_before():
    """What vectors look back on must be good bars of this call: three vectors more than the longest start."""
    for window in (1, 20, 100):
        state = SIMD.allocate(KERNEL.check_parameters({"window": window, "symbols": 1}))
        assert started_after.py_func(state) >= max(window, 34) + 3 * LANES


def test_more_threads_are_refused_by_name():
    for variant in (SIMD, ALIGNED):
        assert "lock_free" in variant.refuses(KERNEL.check_parameters({"threads": 2}))


TARGET_SCRIPT = """
import re, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from signal_cases import KERNEL, assert_agrees, expected_of, random_bars, run
from kernels.signals._scan import LANES
simd = KERNEL.variants["simd"]
for name in sys.argv[2:]:
    for symbols, window in ((1, 1), (1, 20), (7, 5), (70, 3)):
        bars = random_bars(symbols, 200, symbols, 0.0005)
        assert_agrees(run(simd, name, bars, window), expected_of(name, bars, window), name, bars, 1e-12)
assembly = "".join(simd.replay_from.inspect_asm().values())
widest = [kind for kind in "xyz" if re.search(rf"v?(addpd|mulpd)[^\\n]*%{kind}mm", assembly)]
print(LANES, widest[-1])
"""
V3 = "+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+f16c,+popcnt,+sse4.2"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpu", "features", "expected"),
    [("x86-64", "", "2 x"), ("x86-64-v3", V3, "4 y"), (None, None, None)],
    ids=["x86-64", "x86-64-v3", "host"],
)
def test_every_target_agrees_and_uses_its_whole_registers(tmp_path, cpu, features, expected):
    settings = {} if cpu is None else {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    environment = {**os.environ, **settings, "WORKBENCH_CACHE": str(tmp_path)}  # a cached function shows no assembly
    names = (
        ("ema", "rsi", "macd", "std", "vwap", "max", "flow") if cpu else ("ema", "std")
    )  # of the host all are tested
    command = [sys.executable, "-W", "error", "-c", TARGET_SCRIPT, str(Path(__file__).parent), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    lanes, register = done.stdout.split()
    assert {"2": "x", "4": "y", "8": "z"}[lanes] == register
    assert expected is None or done.stdout.strip() == expected
