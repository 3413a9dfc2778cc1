"""Random and damaged messages on arrays that end at a forbidden page: here, with bounds checks, and for each target."""

import os
import subprocess
import sys
from pathlib import Path

import codec_fuzz
import llvmlite.binding as llvm
import numpy as np
import pytest
from codec_oracle import KERNEL, KINDS, messages_of, random_records

from kernels.messages import ORDER
from kernels.order_codec._messages import records
from workbench import workloads

ROOT = Path(__file__).parents[3]
MESSAGES = int(float(os.environ.get("WORKBENCH_FUZZ", "3000")))
PEERS = [variant for variant in KERNEL.variants.values() if variant.peer]


def in_a_process(**settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    command = [sys.executable, codec_fuzz.__file__, str(MESSAGES), "5"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.timeout(900 + MESSAGES // 100)
def test_fuzzed_messages():
    assert int(in_a_process()[0]) >= MESSAGES


@pytest.mark.slow
@pytest.mark.timeout(900 + MESSAGES // 100)
def test_fuzzed_messages_with_bounds_checks_on():
    first, count = in_a_process(NUMBA_BOUNDSCHECK="1")
    assert first == "IndexError" and int(count) >= MESSAGES


@pytest.mark.slow
@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="the targets are those of x86-64")
@pytest.mark.parametrize("target", ["x86-64", "x86-64-v3"])
def test_fuzzed_messages_for_every_target(target):
    assert int(in_a_process(NUMBA_CPU_NAME=target, NUMBA_CPU_FEATURES="")[0]) >= MESSAGES


def can_run(variant):
    if variant.missing():
        pytest.skip(f"{variant.full_name} cannot run here: {variant.missing()}")


@pytest.mark.slow
@pytest.mark.parametrize("variant", PEERS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("kind", list(KINDS))
def test_peers_decode_what_they_encoded(variant, kind):
    can_run(variant)
    made = random_records(3, 200, kind, 0)
    messages, instance = messages_of(made), variant.build(message=kind)
    for _ in range(2):
        instance.reset()
        out = variant.replay(instance, messages)
        if hasattr(instance.state, "decoded"):
            rows = [tuple(getattr(one, name) for name in made.dtype.names) if hasattr(one, "side")
                    else tuple(one.values()) if isinstance(one, dict) else one
                    for one in instance.state.decoded]  # fmt: skip
            assert rows == made.tolist()
        else:
            assert np.array_equal(out, messages.rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["peer_cpp_big_endian", "peer_cpp_copy"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_peers_in_cpp_refuse_what_ours_refuse(name, kind):
    variant = KERNEL.variants[name]
    can_run(variant)
    messages, reference = messages_of(random_records(4, 300, kind, 0.3)), KERNEL.reference()
    instance = variant.build(message=kind, batch=16)
    assert np.array_equal(variant.replay(instance, messages), reference.replay(messages))
    assert instance.state.refused == sum(reference.bad.values()) > 0


@pytest.mark.slow
@pytest.mark.data
def test_the_orders_behind_a_real_hour_come_back(real_data):
    events = workloads.load(real_data / "AAPL_2012-06-21_34200000_37800000_message_50.csv.gz").events
    for kind in KINDS:
        parameters = KERNEL.check_parameters({"message": kind})
        messages = KERNEL.prepare(events, parameters)
        assert len(messages.rows) > 80_000
        for variant in KERNEL.variants.values():
            if not variant.peer:
                instance = variant.build(**parameters)
                assert np.array_equal(variant.replay(instance, messages), messages.rows)
                assert not instance.export_state()["bad"].any()
    assert records(KERNEL.prepare(events, KERNEL.check_parameters({})).rows).dtype == ORDER
