"""Every limit of the machine is measured and is a positive number; no time is judged: this machine may be busy."""

import numpy as np
import pytest

from kernels.machine import limits as loops
from kernels.machine.memory import aligned
from workbench import record
from workbench.errors import InputError
from workbench.figures.roofline import REFUSED_PAGES as LOOKED_FOR
from workbench.measure import limits_child
from workbench.measure.limits import (
    MEMORY,
    MEMORY_TIMES,
    REFUSED_PAGES,
    REPEATS,
    LimitsJob,
    Sample,
    curve_of,
    levels_of,
    measure_limits,
    row_of,
    run_of,
    too_small,
)
from workbench.measure.progress import Silent

CACHES = {"L1d": 32768, "L1i": 32768, "L2": 2**20, "L3": 2**25}


def test_the_chase_visits_every_line_once_and_comes_back():
    words = aligned(64 * loops.WORDS_PER_LINE, np.int64)
    loops.make_chase(words)
    seen = [0]
    while (place := int(words[seen[-1]])) != 0:
        seen.append(place)
    assert sorted(seen) == list(range(0, words.shape[0], loops.WORDS_PER_LINE))
    strides = set(np.diff(seen))
    assert len(strides) > 20, "a prefetcher could guess it"
    assert loops.chase(words, 0, 64) == 0 and loops.chase(words, 0, 3) == seen[3]


def test_the_loops_do_what_they_are_paid_for():
    words, other = aligned(64, np.int64), aligned(64, np.int64)
    words[:] = np.arange(64)
    assert loops.read_all(words, 1) == words.sum() and loops.read_all(words, 2) == words.sum() ^ (words.sum() + 1)
    loops.copy_all(words, other, 1)
    assert np.array_equal(words, other)
    loops.write_all(words, 3)
    assert set(words) == {2}, "the last of three rounds"
    assert loops.chained_adds(5) == 5 * loops.CHAIN
    assert loops.wide_adds(5) == sum(range(8)) + 5 * loops.WIDE_ADDS
    for loop in (loops.plain_adds, loops.atomic_adds, loops.exchanges):
        counters = aligned(8, np.int64)
        assert loop(counters, 7) == 7 == counters[0]


def test_levels_are_met_by_working_sets_that_fit_them():
    assert levels_of(CACHES, 2**28) == {"L1d": 16384, "L2": 2**19, "L3": 2**23, MEMORY: 2**28}
    assert levels_of(CACHES, 2**20) == {"L1d": 16384, "L2": 2**19, MEMORY: 2**20}, "too small to meet the last cache"
    assert levels_of({}, 2**20) == {MEMORY: 2**20}
    assert curve_of(2**14 + 5) == [4096, 8192, 16384]
    with pytest.raises(InputError, match="less than a first cache"):
        levels_of(CACHES, 1000)
    with pytest.raises(InputError, match="more than 0"):
        measure_limits(seconds=0.0)


def test_a_limit_is_the_median_with_its_interval():
    row = row_of(Sample(variant="L2", metric="load_latency", values=[5.0, 4.0, 90.0, 4.5, 4.2, 4.1, 4.3]))
    assert (row.kernel, row.value, row.unit, row.samples) == ("machine", 4.3, "ns", 7)
    assert (row.low, row.high) == (4.0, 90.0)
    assert row_of(Sample(variant="L2", metric="load_latency", values=[1.0, 2.0])).low is None


class Told:
    """What a driver is told, kept."""

    def __init__(self):
        self.samples, self.notes = {}, []

    def tell(self, sample=None, note=None, **others):
        if sample:
            self.samples[sample["variant"]] = sample["values"]
        if note:
            self.notes.append(note)


def meeting():
    told = Told()
    return told, limits_child.Meeting(LimitsJob(seconds=0.001, levels={"L1d": 16384}, sizes=[4096]), told)


def test_a_shared_addition_costs_what_each_core_waits(monkeypatch):
    """Two cores that add at the same time each wait for the whole span: half of it would be a thing of two."""
    asked = []
    monkeypatch.setattr(limits_child.crew, "cores", lambda: [0, 1])
    monkeypatch.setattr(limits_child.crew, "run_together", lambda calls: (asked.append(calls), 60_000))
    told, under_way = meeting()
    under_way._between_cores()
    rounds = asked[1][0].args[1]
    assert [call.args[1] for call in asked[1]] == [rounds, rounds]
    assert told.samples["atomic add, two cores"] == [60_000 / rounds] * REPEATS


def test_refused_huge_pages_are_told_once(monkeypatch):
    given = {4096: 2**21, 2**21: 0, 2**22: 0}
    monkeypatch.setattr(limits_child, "huge_bytes", lambda words: given[words.nbytes])
    told, under_way = meeting()
    for size in given:
        assert under_way._huge_words(size).nbytes == size
    (note,) = told.notes
    assert LOOKED_FOR == REFUSED_PAGES, "the figure looks for this note"
    assert note.startswith(f"{REFUSED_PAGES} for a working set of 2,048 KB")


def test_memory_is_four_times_the_last_cache():
    assert too_small(CACHES, 2**27) == [] == too_small({}, 2**20)
    (note,) = too_small(CACHES, 2**27 - 2**20)
    assert note.startswith("The largest working set, 127 MB, is not 4 times the last cache (32 MB)")


def test_every_limit_is_measured():
    found = measure_limits(seconds=0.2, most_bytes=2**20, progress=Silent())
    metrics = {(row.variant, row.metric) for row in found.results}
    for level in found.levels:
        for metric in ("load_latency", "read_bandwidth", "write_bandwidth", "copy_bandwidth"):
            assert (level, metric) in metrics
    expected = {("clock", "cost"), ("clock", "step"), ("core", "frequency"), ("core", "instruction_rate")}
    expected |= {("plain add", "cost"), ("atomic add", "cost"), ("compare-exchange", "cost")}
    expected |= {(f"{MEMORY}, 4 KB pages", "load_latency")}
    expected |= {(str(size), "chase_latency") for size in curve_of(2**20)}
    assert expected <= metrics
    assert ("two cores", "round_trip") in metrics or any("one core only" in note for note in found.notes)
    assert all(row.value > 0 and row.samples == REPEATS for row in found.results)
    assert all(row.low <= row.value <= row.high for row in found.results)
    largest = max(found.machine.caches.values(), default=0)
    assert any("is partly that cache" in note for note in found.notes) == (MEMORY_TIMES * largest > 2**20)
    assert sum(note.startswith(REFUSED_PAGES) for note in found.notes) <= 1
    run = run_of(found)
    assert record.from_json(run.to_json()) == run and run.workload.events == 0
