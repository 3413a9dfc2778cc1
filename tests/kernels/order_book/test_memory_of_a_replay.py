"""What a process takes that replays 64 symbols, 5.9 million messages about 2.8 million orders, Python and all."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import streams

from kernels.messages import Kind
from workbench import workloads

ROOT = Path(__file__).parents[3]
MOST_BYTES = 200_000_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    hour = workloads.load(streams.data_file("AAPL_2012-06-21_34200000_37800000_message_50.csv.gz")).events
    events = workloads.multiply(hour, 64)
    assert len(np.unique(events["order_id"][events["kind"] == Kind.ADD])) > 2_800_000
    path = tmp_path_factory.mktemp("market") / "64.npy"
    workloads.write_recording(path, events)
    return path


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_process_that_replays_64_symbols_stays_small(variant, recording):
    variant.replay(variant.build(), streams.walk(1, 50))  # compiled now: the process below loads it
    script = Path(__file__).with_name("replay_of_64_symbols.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, variant.name, recording]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert 50_000_000 < int(done.stdout) < MOST_BYTES
