"""What is particular to `simd`: wide compares stay inside a row, searches are paid for, and every target agrees."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
import streams

import kernels
from kernels.order_book._wide_window import NEAR, SUMMARY
from kernels.order_book.reference import Reference

ROOT = Path(__file__).parents[3]
VARIANT = kernels.get("order_book").variants["simd"]
POISON = 12345


def test_wide_compares_and_stores_stay_inside_the_window():
    """A level outside would be found as the best one, or be emptied."""
    events = streams.walk(41, 4000, symbols=3)
    instance = VARIANT.build(symbols=3, window_ticks=64)
    totals = instance.state.window_total
    margin = np.full(len(totals) + 256, POISON, np.int32)
    within = margin[128 : 128 + len(totals)]
    within[:] = 0
    instance.state = instance.state._replace(window_total=within)
    assert np.array_equal(VARIANT.replay(instance, events), Reference(symbols=3).replay(events))
    assert instance.state.window_total is within
    instance.reset()
    assert (margin[:128] == POISON).all() and (margin[-128:] == POISON).all() and not within.any()


def test_a_row_is_as_its_totals_say():
    """The near word is that of its group, and the summary has at least the groups that hold a level."""
    events = streams.walk(42, 3000, symbols=2, step=5)
    instance = VARIANT.build(symbols=2, window_ticks=256)
    for part in np.array_split(events, 100):
        VARIANT.replay(instance, part)
        for row, hot in enumerate(instance.state.row_hot.reshape(-1, 4)):
            groups = instance.state.window_total[256 * row : 256 * (row + 1)].reshape(4, 64) != 0
            assert all(hot[SUMMARY] >> group & 1 for group in range(4) if groups[group].any())
            near = int(hot[0]) & 255
            word = sum(1 << bit for bit in np.flatnonzero(groups[near]).tolist()) if near < 4 else 0
            assert int(hot[NEAR]) % 2**64 == word
            assert near == 64 or not groups[near + 1 :].any()


def test_far_levels_do_not_make_searches_long():
    """Levels are set all over a window, and the best one comes and goes: each empty group is passed once only."""
    rows = [streams.add(1, 1000)]
    for i in range(2, 60):
        rows += [streams.add(i, 1000 + 64 * i), streams.delete(i)]
    for i in range(100, 1100):
        rows += [streams.add(i, 4000), streams.delete(i)]
    instance = VARIANT.build(instrumented=True)
    events = streams.make(rows)
    assert np.array_equal(VARIANT.replay(instance, events), Reference().replay(events))
    assert instance.counters()["words_scanned"] < 3 * len(events) / 2


@pytest.mark.slow
@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="the targets are those of x86-64")
@pytest.mark.parametrize("target", ["x86-64", "x86-64-v3"])
def test_every_target_gives_the_same(target):
    program = (
        "import sys, book_fuzz, streams; from test_features import sums; from kernels.order_book import features; "
        "from kernels.order_book.reference import Reference; one = streams.BOOK.variants['simd']; "
        "book_fuzz.main(40_000, 3, [one, streams.BOOK.variants['combined']]); "
        "book, right = one.build(), Reference(); events = streams.walk(5, 900); "
        "one.replay(book, events); right.replay(events); "
        "print(features.depth_sum(book.state, 0, 1, 20) == sums(right.depth(0, 1, 20)))"
    )
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_CPU_NAME": target, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "True"
