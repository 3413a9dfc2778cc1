"""What a process takes that replays 64 symbols through the pipeline, Python and all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import streams
from pipelines import TICK, market

from workbench import workloads

ROOT = Path(__file__).parents[3]
MOST_BYTES = 200_000_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    hour = workloads.load(streams.data_file("AAPL_2012-06-21_34200000_37800000_message_50.csv.gz")).events
    path = tmp_path_factory.mktemp("market") / "64.npy"
    workloads.write_recording(path, workloads.multiply(hour, 64))
    return path


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_process_that_replays_64_symbols_stays_small(recording):
    combined = TICK.variants["combined"]
    combined.replay(combined.build(), market(1, 100))  # compiled now: the process below loads it
    script = Path(__file__).with_name("orders_of_64_symbols.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, combined.name, recording]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    peak, messages, orders, _ = done.stdout.split()
    assert 50_000_000 < int(peak) < MOST_BYTES
    assert int(messages) == 5_887_808 and int(orders) == 99_576
