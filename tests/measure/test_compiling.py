"""What happens before and after the timed part: the lock, compiling by helpers, memory."""

import numpy as np
import pytest
import toy_kernel

from workbench.errors import InputError
from workbench.measure import driver
from workbench.measure.closed_loop import make_subjects, warm_up
from workbench.measure.compiling import uncompiled
from workbench.measure.driver import Measurement, Task
from workbench.measure.job import Errand
from workbench.measure.memory import bytes_of, measure_memory
from workbench.measure.progress import Silent
from workbench.measure.timing_lock import timing_lock
from workbench.record import Clock

CLOCK = Clock(source="tsc", ns_per_tick=0.5, cost_ns=10, step_ns=10, invariant=True)


class Noting(Silent):
    def __init__(self):
        self.doing, self.notes = [], []

    def advance(self, done, doing):
        self.doing.append(doing)

    def note(self, text):
        self.notes.append(text)


def test_an_empty_cache_is_filled_by_helpers_and_the_replicates_load(request_for, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(driver.os, "sched_getaffinity", lambda process: {0, 1})
    progress = Noting()
    request = request_for("toy", module="toy_kernel", replicates=1, memory=True)
    report = Measurement(request, progress).run()
    assert progress.doing[:4] == [
        "compiling 1 of 4: toy/baseline",
        "compiling 2 of 4: toy/baseline with a probe",
        "compiling 3 of 4: toy/doubled",
        "compiling 4 of 4: toy/doubled with a probe",
    ]
    assert not any("compile and warm up" in doing for doing in progress.doing)
    assert all(seconds > 0 for seconds in report.outcomes[0].replicate.compile_s.values())
    assert "compile" in report.phases_s
    assert set(report.memory) == {"toy/baseline", "toy/doubled"}
    for memory in report.memory.values():
        assert memory.loading_rss >= memory.peak_rss >= memory.baseline_rss > 10e6
        assert memory.state_arrays >= 3000 * 8  # the room that the replay grew to


def test_what_is_compiled_is_not_missing(events):
    kernel = toy_kernel.KERNEL
    subjects = make_subjects(kernel, [kernel.variants["baseline"]], events, {}, CLOCK)
    for subject in subjects:
        warm_up(subject)
    assert uncompiled({"toy": subjects}) == []


def test_bad_input_is_told_while_another_holds_the_lock(request_for, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("this,is,no,market\n")
    progress = Noting()
    with timing_lock("another measurement"), pytest.raises(InputError, match=r"bad\.csv"):
        Measurement(request_for("toy", module="toy_kernel", input_file=str(bad)), progress).run()
    assert progress.notes == []


def test_a_helper_that_dies_is_told_in_one_sentence(request_for, tmp_path, monkeypatch):
    measurement = Measurement(request_for("broken/dying", module="toy_broken"), Noting())
    with pytest.raises(Exception, match="memory 1 of 1: broken/dying was killed by SIGSEGV at: replay"):
        measurement._errands("memory", [Task("broken/dying", {})], tmp_path, done=1.0)
    measurement._crew.dismiss()


def test_memory_of_a_state(events, tmp_path):
    np.save(tmp_path / "events.npy", events)
    errand = Errand(selectors=["toy/baseline"], modules=["toy_kernel"], input_file=str(tmp_path / "events.npy"))
    found = measure_memory(errand)
    assert found.baseline_rss <= found.peak_rss <= found.loading_rss
    assert found.state_arrays == (1 + 1 + 4096) * 8  # 64 places of room, four times more until 3,000 fit
    assert bytes_of((np.zeros(3), np.zeros(2, np.int32))) == 32
