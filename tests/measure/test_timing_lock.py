import signal
import subprocess
import sys
import threading

import pytest

from workbench.errors import WorkbenchError
from workbench.measure.timing_lock import lock_path, timing_lock

HOLD = """
import sys, time
from workbench.measure.timing_lock import timing_lock
with timing_lock("another job"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder():
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_waits_says_for_whom_and_goes_on_when_the_holder_dies(holder):
    told = []

    def tell(text):
        told.append(text)
        holder.send_signal(signal.SIGKILL)

    with timing_lock("mine", tell):
        assert f"process {holder.pid}" in told[0] and "another job" in told[0]
        assert "mine" in lock_path().read_text()
    assert len(told) == 1
    assert lock_path().read_text() == ""


def test_waiting_can_be_cancelled(holder):
    stop = threading.Event()
    with pytest.raises(KeyboardInterrupt), timing_lock("mine", lambda text: stop.set(), stop.is_set):
        pytest.fail("got the lock that another holds")


def test_two_in_one_process_exclude_each_other():
    stop = threading.Event()
    second = timing_lock("second", lambda text: stop.set(), stop.is_set)
    with timing_lock("first"), pytest.raises(KeyboardInterrupt), second:
        pytest.fail("got the lock twice")


def test_a_lock_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "file" / "lock"))
    with pytest.raises(WorkbenchError, match="WORKBENCH_TIMING_LOCK"), timing_lock("mine"):
        pytest.fail("held nothing")
