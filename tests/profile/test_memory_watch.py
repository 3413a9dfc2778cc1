"""What the parent of a watched process makes of its samples, and how long it waits."""

import json
import sys

import pytest

from workbench.errors import WorkbenchError
from workbench.profile import memory_native, memory_watch, system_running
from workbench.profile.memory_job import PHASES
from workbench.profile.memory_watch import Samples, watched_of

ANSWER = {"calls": 8, "duration_s": 1.0, "before_rss_bytes": 100, "after_rss_bytes": 110}


@pytest.mark.parametrize(("sampled", "peak"), [(True, 900), (False, 120)])
def test_the_highest_sample_of_the_calls_stands_in_where_linux_tells_no_peak(tmp_path, sampled, peak):
    rows = [("load", 0), ("calls", 2), ("end", 4)]
    lines = [json.dumps({"name": name, "at_ns": at_s * 10**9, "minor": 0, "major": 0}) for name, at_s in rows]
    (tmp_path / PHASES).write_text("\n".join(lines))
    samples = Samples(rows=[(1.0, 5_000), (2.5, 300), (3.0, 900), (5.0, 7_000)])
    answer = ANSWER | {"peak_rss_bytes": 120, "peak_is_sampled": sampled}
    watched = watched_of(answer, samples, tmp_path)
    assert (watched.peak_rss_bytes, watched.peak_is_sampled) == (peak, sampled)


def test_a_process_may_take_the_seconds_that_it_was_asked_to_run_for(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_watch, "TIMEOUT_S", 0)
    sleeps = [sys.executable, "-S", "-c", "import time; time.sleep(0.5)"]
    with pytest.raises(WorkbenchError, match="took more than 0 s"):
        memory_watch.run_command(sleeps, tmp_path, "it")
    assert memory_watch.run_command(sleeps, tmp_path, "it", seconds=60) == 0
    assert system_running.timeout_s(3600, 3) > 3 * 3600 and system_running.timeout_s(2, 3600) > 3600


def test_a_summary_that_heaptrack_does_not_make_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(memory_native, "run_command", lambda *given: (tmp_path / "heaptrack.1").write_text("") and 0)
    (tmp_path / "result.json").write_text("{}")

    class Asked:
        class job:  # noqa: N801
            title = "it"

    with pytest.raises(WorkbenchError, match="heaptrack_print made no summary"):
        memory_native._heaptrack(Asked, tmp_path)
