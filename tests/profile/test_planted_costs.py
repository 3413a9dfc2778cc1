"""Four planted costs in separate loops; the truth is what doubling a loop's trip count adds. WORKBENCH_LONG=1 only.

Judged as it should hold on a quiet machine: shares within 3 points, 95 % of each cost on its lines, slowdown below 3 %.
"""

import importlib
import os
import sys
import time

import numpy as np
import pytest

import workbench

pytestmark = pytest.mark.skipif(not os.environ.get("WORKBENCH_LONG"), reason="minutes: set WORKBENCH_LONG=1")

SOURCE = """
import numpy as np
from kernels._jit import kernel_jit
from kernels.machine import atomics


@kernel_jit
def costs(values, big, counts, divisions, strides, sums, adds):
    total = 1.0
    for i in range(divisions):  # divisions
        total = values[i & 1023] / (total + 1.0)  # divisions
    for i in range(strides):  # strides
        total += big[(i * 4099) % big.shape[0]]  # strides
    for i in range(sums):  # sums
        total += values[i & 1023]  # sums
    for i in range(adds):  # adds
        atomics.add(counts, i & 7, 1, "relaxed")  # adds
    return total
"""
NAMES = ("divisions", "strides", "sums", "adds")
TRIPS = {"divisions": 400_000, "strides": 100_000, "sums": 1_000_000, "adds": 300_000}


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("costs")
    (folder / "planted_four.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("planted_four").costs
    sys.path.remove(str(folder))


def lines_of(name: str) -> list[int]:
    return [number for number, text in enumerate(SOURCE.splitlines(), 1) if text.endswith(f"# {name}")]


def test_shares_lines_and_slowdown(costs):
    values, big = np.linspace(1.0, 2.0, 1024), np.ones(1 << 23)
    counts = np.zeros(8, np.int64)

    def once(trips):
        began = time.thread_time_ns()
        costs(values, big, counts, *(trips[name] for name in NAMES))
        return time.thread_time_ns() - began

    once(TRIPS)
    added = {name: [] for name in NAMES}
    for _ in range(60):
        for name in NAMES:
            doubled = {**TRIPS, name: 2 * TRIPS[name]}
            plain = once(TRIPS)
            added[name].append(once(doubled) - plain)
    truth = {name: float(np.median(added[name])) for name in NAMES}
    whole = sum(truth.values())

    arguments = (values, big, counts, *(TRIPS[name] for name in NAMES))
    profile = workbench.profile(costs, *arguments, seconds=40 / 3)  # three quarters of it are sampled: 10 s
    by_line = profile.shares_by_source()
    file = costs.py_func.__code__.co_filename
    print(profile, profile.overhead)
    known = 0.0
    for name in NAMES:
        share = sum(by_line.get((file, number), 0.0) for number in lines_of(name))
        known += share
        print(f"{name}: sampled {share:.3f}, truth {truth[name] / whole:.3f}")
        assert share == pytest.approx(truth[name] / whole, abs=0.03)
        assert share >= 0.95 * (truth[name] / whole - 0.03)
    assert known >= 0.95
    assert set(profile.badges.values()) == {"same code"}
    assert profile.overhead["slowdown_low"] < 1.03
