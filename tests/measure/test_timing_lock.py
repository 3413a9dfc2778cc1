import signal
import subprocess
import sys
import threading

import pytest

from workbench.errors import WorkbenchError
from workbench.measure.timing_lock import held_timing_lock, lock_path, timing_lock

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


def test_what_holds_it_may_call_what_takes_it_and_another_thread_waits():
    told, waited = [], threading.Event()

    def tell(text):
        told.append(text)
        waited.set()

    def other():
        with held_timing_lock("other", tell):
            told.append("got")

    thread = threading.Thread(target=other)
    with timing_lock("outer"):
        with held_timing_lock("inner", tell):
            assert not told and "outer" in lock_path().read_text()
        thread.start()
        assert waited.wait(20) and "got" not in told, "what was within has not let it go"
    thread.join(20)
    assert told[-1] == "got" and "outer" in told[0]


def test_it_is_taken_where_it_is_not_held():
    with held_timing_lock("alone"):
        assert "alone" in lock_path().read_text()
    assert lock_path().read_text() == ""


def test_a_lock_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "file" / "lock"))
    with pytest.raises(WorkbenchError, match="WORKBENCH_TIMING_LOCK"), timing_lock("mine"):
        pytest.fail("held nothing")
