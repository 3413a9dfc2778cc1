"""Random steps in pools of all sizes: with bounds checks, and for each target; the peers; the orders of a real hour."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pool_fuzz
import pytest
from pool_model import KERNEL, OURS, random_churn

from workbench import workloads

ROOT = Path(__file__).parents[3]
STEPS = int(float(os.environ.get("WORKBENCH_FUZZ", "20000")))
PEERS = [variant for variant in KERNEL.variants.values() if variant.peer]


def in_a_process(**settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    command = [sys.executable, pool_fuzz.__file__, str(STEPS), "5"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_fuzzed_steps():
    assert pool_fuzz.main(STEPS, 4) >= STEPS


@pytest.mark.slow
@pytest.mark.timeout(900 + STEPS // 100)
def test_fuzzed_steps_with_bounds_checks_on():
    first, count = in_a_process(NUMBA_BOUNDSCHECK="1")
    assert first == "IndexError" and int(count) >= STEPS


@pytest.mark.slow
@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="the targets are those of x86-64")
@pytest.mark.parametrize("target", ["x86-64", "x86-64-v3"])
def test_fuzzed_steps_for_every_target(target):
    assert int(in_a_process(NUMBA_CPU_NAME=target, NUMBA_CPU_FEATURES="")[0]) >= STEPS


@pytest.mark.slow
@pytest.mark.parametrize("variant", PEERS, ids=lambda variant: variant.name)
def test_peers_do_the_same_steps(variant):
    if variant.missing():
        pytest.skip(f"{variant.full_name} cannot run here: {variant.missing()}")
    churn = random_churn(3, 600, 400)
    instance = variant.build(slots=400)
    for _ in range(2):  # what nobody gives back stays with the peer, as it would in a program that forgets it
        assert np.array_equal(variant.replay(instance, churn), KERNEL.reference(slots=400).replay(churn))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("pattern", ["pairs", "events"])
def test_the_orders_of_a_real_hour(real_data, pattern):
    events = workloads.load(real_data / "AAPL_2012-06-21_34200000_37800000_message_50.csv.gz").events
    parameters = KERNEL.check_parameters({**KERNEL.parameters_for(events), "pattern": pattern})
    churn = KERNEL.prepare(events, parameters)
    assert KERNEL.count_operations(churn) > 40_000
    expected = KERNEL.reference(**parameters).replay(churn)
    for variant in OURS:
        instance = variant.build(**parameters)
        assert np.array_equal(variant.replay(instance, churn), expected)
        assert not instance.export_state()["taken"].size and not instance.state.told.any()
