"""Four planted costs in separate loops; the truth is what doubling a loop's trip count adds. WORKBENCH_LONG=1 only.

Sampled slices take turns with runs for the truth, in random order, until 10 s are sampled: a neighbour who takes memory
or cache for some seconds hits both. Judged: shares within 3 points, 95 % of each cost on its lines, a slowdown below
3 % with its whole interval, and that interval less than a point wide.
"""

import importlib
import os
import random
import sys
import time

import numpy as np
import pytest

import workbench
from workbench.profile.attribute import profile_of
from workbench.profile.sampler import paused, sampling

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
SAMPLED_S, SLICE_S = 10.0, 0.05
VALUES, BIG, COUNTS = np.linspace(1.0, 2.0, 1024), np.ones(1 << 23), np.zeros(8, np.int64)


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("costs")
    (folder / "planted_four.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("planted_four").costs
    sys.path.remove(str(folder))


def lines_of(name: str) -> list[int]:
    return [number for number, text in enumerate(SOURCE.splitlines(), 1) if text.endswith(f"# {name}")]


def arguments(trips) -> tuple:
    return VALUES, BIG, COUNTS, *(trips[name] for name in NAMES)


def spent_ns(costs, trips) -> int:
    began = time.thread_time_ns()
    costs(*arguments(trips))
    return time.thread_time_ns() - began


def added_ns(costs) -> dict[str, int]:
    """What doubling each loop adds: each against a plain run beside it, before or after by chance."""
    added = {}
    for name in random.sample(NAMES, len(NAMES)):
        doubled = {**TRIPS, name: 2 * TRIPS[name]}
        spent = {twice: spent_ns(costs, doubled if twice else TRIPS) for twice in random.sample((False, True), 2)}
        added[name] = spent[True] - spent[False]
    return added


def test_shares_and_lines(costs):
    spent_ns(costs, TRIPS)
    groups = []
    with sampling(1000) as samples:
        sampled_s = 0.0
        while sampled_s < SAMPLED_S:
            began = time.perf_counter()
            while time.perf_counter() - began < SLICE_S:
                costs(*arguments(TRIPS))
            sampled_s += time.perf_counter() - began
            with paused():
                groups.append(added_ns(costs))
    truth = {name: float(np.median([group[name] for group in groups])) for name in NAMES}
    whole = sum(truth.values())
    profile = profile_of(samples, "costs")
    by_line = profile.shares_by_source()
    file = costs.py_func.__code__.co_filename
    print(profile, profile.overhead, f"{len(groups)} groups")
    known = 0.0
    for name in NAMES:
        share = sum(by_line.get((file, number), 0.0) for number in lines_of(name))
        known += share
        print(f"{name}: sampled {share:.3f}, truth {truth[name] / whole:.3f}")
        assert share == pytest.approx(truth[name] / whole, abs=0.03)
        assert share >= 0.95 * (truth[name] / whole - 0.03)
    assert known >= 0.95
    assert set(profile.badges.values()) == {"same code"}


def test_the_slowdown_is_below_three_percent(costs):
    overhead = workbench.profile(costs, *arguments(TRIPS), seconds=30).overhead
    print(overhead)
    assert overhead["slowdown_pairs"] > 200
    assert overhead["slowdown_high"] < 1.03
    assert overhead["slowdown_high"] - overhead["slowdown_low"] < 0.01
