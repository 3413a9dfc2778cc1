"""The loop that watches a core sees gaps that there are, and its figures agree with each other."""

import os
import subprocess
import sys
import threading

from workbench.profile.jitter import Jitter, Watch, steal_s, watching


def test_every_reading_is_a_gap_below_the_clocks_step():
    """With a threshold that only a stalled loop reaches there are few; figures hold together."""
    seen = Watch(max(os.sched_getaffinity(0)), seconds=0.05).wait()
    assert seen.duration_s >= 0.05 and seen.readings > 1000
    assert seen.gaps == 0 or seen.longest_ns >= seen.threshold_ns
    assert 0 <= seen.share <= 1 and seen.lost_ns <= seen.duration_s * 1e9
    assert seen.core == max(os.sched_getaffinity(0))
    if seen.gaps:
        told = list(seen.percentiles_ns.values())
        assert told == sorted(told) and told[-1] >= 0.99 * seen.longest_ns


def test_a_stopped_process_is_a_gap():
    """SIGSTOP takes the core from the loop for 50 ms: the longest gap is at least that."""
    watch = Watch(max(os.sched_getaffinity(0)), seconds=60.0)
    stop_parent = (
        "import os, signal, time; parent = os.getppid(); os.kill(parent, signal.SIGSTOP); time.sleep(0.05); "
        "os.kill(parent, signal.SIGCONT)"
    )
    subprocess.run([sys.executable, "-S", "-c", stop_parent], check=True)
    seen = watch.stop()
    assert seen.longest_ns >= 49e6
    assert seen.percentiles_ns[100.0] >= 49e6


def test_watching_ends_with_its_block():
    with watching(min(os.sched_getaffinity(0)), "a sum") as found:
        sum(range(1000))
    assert len(found) == 1 and found[0].beside == "a sum" and "beside a sum" in found[0].title
    assert not any(thread.name == "jitter" for thread in threading.enumerate())


def test_figures_by_name():
    seen = Jitter(1, "", 2.0, 10**8, 1000, 4, 2e6, 1e6, 0.02, {50.0: 1e5, 99.9: 1e6})
    assert seen.share == 0.001 and seen.gaps_per_s == 2.0
    assert seen.counters()["p99.9_ns"] == 1e6 and seen.counters()["share"] == 0.001


def test_steal_is_that_of_the_core(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(
        "cpu  1 2 3 4 5 6 7 900 0\ncpu0 1 2 3 4 5 6 7 100 0\ncpu1 1 2 3 4 5 6 7 250 0\n"
    )
    assert steal_s(1, tmp_path) == 250 / os.sysconf("SC_CLK_TCK")
    assert steal_s(7, tmp_path) == 0.0 and steal_s(0, tmp_path / "none") == 0.0
