"""A child ends with its parent, also with one that died before the child could ask for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench import parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prctl")
CHILD = "import sys, time; from workbench.parent import end_with_parent; end_with_parent(*map(int, sys.argv[1:]))\n"


def test_a_child_ends_when_its_parent_is_killed():
    child = CHILD + "print(__import__('os').getpid(), flush=True); time.sleep(300)"
    middle = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", middle], stdout=subprocess.PIPE, text=True)
    status = Path("/proc") / process.stdout.readline().strip() / "stat"
    assert status.exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":  # a zombie waits for init alone
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_child_whose_parent_is_gone_already_ends_at_once():
    command = [sys.executable, "-c", CHILD + "print('went on')", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_a_child_of_the_parent_it_was_told_goes_on():
    command = [sys.executable, "-c", CHILD + "print('went on')", str(os.getpid())]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "went on\n"


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(parent.sys, "platform", "darwin")
    monkeypatch.setattr(parent.ctypes, "CDLL", lambda name: pytest.fail("prctl is Linux's"))
    parent.end_with_parent(1)
