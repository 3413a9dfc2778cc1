"""What other programs do is told apart from what the measuring processes do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.measure.other_load import OtherLoad

SPIN = "import time; print(flush=True); end = time.process_time() + 60\nwhile time.process_time() < end: pass"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def proc(tmp_path):
    """Return a function that writes what Linux tells: ticks of all cores, and of the process 7."""

    def write(user, idle, own):
        (tmp_path / "7").mkdir(exist_ok=True)
        (tmp_path / "stat").write_text(f"cpu  {user} 2 30 {idle} 50 4 6 900 0 0\ncpu0 1 2 3\n")
        (tmp_path / "7" / "stat").write_text(f"7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 {own} 5 0 0 20 0 1 0 99\n")

    write(1000, 5000, 100)
    write.folder = tmp_path
    return write


def test_own_processes_and_idle_time_are_no_load(proc, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    own = os.times()
    monkeypatch.setattr(os, "times", lambda: own)
    watched, unwatched = OtherLoad([7], proc.folder), OtherLoad([], proc.folder)
    now[0] += 2.0
    proc(1000 + 3 * TICKS_PER_S, 9000, 100 + 2 * TICKS_PER_S)
    assert watched.cores() == pytest.approx(0.5)  # three seconds of two, two of them our own
    assert unwatched.cores() == pytest.approx(1.5)


def test_where_linux_does_not_say_nothing_is_said(proc, tmp_path):
    assert OtherLoad([], tmp_path / "absent").cores() is None
    assert OtherLoad([8], proc.folder).cores() is None  # a process that has gone
    (proc.folder / "stat").write_text("cpu nonsense\n")
    assert OtherLoad([], proc.folder).cores() is None


def test_a_program_that_works_is_seen_unless_it_is_our_own():
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        before = other_ticks(other.pid)
        watches = [OtherLoad([]), OtherLoad([other.pid])]
        while (worked := other_ticks(other.pid) - before) < TICKS_PER_S / 2:
            time.sleep(0.05)
        seen, without = (watch.cores() * (time.monotonic() - watch._began) for watch in watches)
        other.kill()
    assert seen - without == pytest.approx(worked / TICKS_PER_S, abs=0.2)


def other_ticks(pid):
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
