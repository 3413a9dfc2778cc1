"""Threads that share the symbols of the signals: every variant that takes more than one gives what one thread gives."""

import threading

import numpy as np
import pytest
from threads import compiled

import kernels
from kernels.machine.locks import mutex_lock, mutex_unlock
from kernels.signals import make_bars
from kernels.signals._bars import NEXT

KERNEL = kernels.get("signals")


@compiled
def hold(lock):
    mutex_lock(lock)


@compiled
def release(lock):
    mutex_unlock(lock)


SHARED = [
    variant
    for variant in KERNEL.variants.values()
    if not variant.peer and variant.refuses(KERNEL.check_parameters({"threads": 2, "indicator": "ema"})) is None
]
each_shared = pytest.mark.parametrize("variant", SHARED, ids=lambda variant: variant.name)


def walk(seed, rows, symbols):
    return make_bars(100 + np.cumsum(np.random.default_rng(seed).normal(size=(rows, symbols)), axis=0))


def test_the_baseline_can_be_shared():
    assert "baseline" in [variant.name for variant in SHARED]


@pytest.mark.concurrency
@each_shared
@pytest.mark.parametrize(("threads", "symbols"), [(2, 64), (2, 1), (3, 13), (4, 200)])
def test_threads_give_what_one_gives(variant, threads, symbols):
    alone = variant.build(symbols=symbols, window=7, indicator="ema")
    shared = variant.build(symbols=symbols, window=7, indicator="ema", threads=threads)
    for piece in range(5):  # the state goes on, and so does the counter of each piece begin anew
        bars = walk(piece, 301, symbols)
        expected, out = variant.replay(alone, bars), np.full((1, 301, symbols), -1.0)
        variant.replay(shared, bars, out)
        assert np.array_equal(out, expected, equal_nan=True)
    exported, again = alone.export_state(), shared.export_state()
    assert all(np.array_equal(exported[name], again[name]) for name in exported)


@pytest.mark.slow  # compiles with the probe
@pytest.mark.concurrency
@each_shared
def test_each_threads_samples_are_added_up(variant):
    shared = variant.build(symbols=20, indicator="ema", threads=2, instrumented=True)
    variant.replay(shared, walk(1, 100, 20))
    assert shared.probe.histogram.sum() == 300  # 8, 8 and 4 symbols, 100 rows each
    assert KERNEL.operations_per_sample(shared.parameters) == 8


@pytest.mark.concurrency
def test_the_baselines_threads_take_symbols_under_the_mutex():
    """A held mutex stops them all; without it two could take the same symbols."""
    variant = KERNEL.variants["baseline"]
    shared, bars = variant.build(symbols=64, indicator="ema", threads=2), walk(1, 200, 64)
    out = np.full((1, 200, 64), -1.0)
    shares = KERNEL.shares(bars, out, shared.parameters)
    variant.replay(variant.build(symbols=64, indicator="ema"), bars)  # compiled before
    hold(shared.state.lock)
    runs = [
        threading.Thread(target=variant.replay_from, args=(shared.state, each, own, 0, None)) for each, own in shares
    ]
    for run in runs:
        run.start()
    runs[0].join(0.1)
    assert all(run.is_alive() for run in runs) and np.all(out == -1.0) and shares[0][0].work[NEXT] == 0
    release(shared.state.lock)
    for run in runs:
        run.join()
    assert not np.any(out == -1.0)
