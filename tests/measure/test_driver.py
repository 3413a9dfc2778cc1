import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from workbench.errors import InputError, WorkbenchError
from workbench.measure.driver import CancelledError, Measurement, Request, changed_code
from workbench.measure.progress import Silent


class Noting(Silent):
    def __init__(self):
        self.said = []
        self.seen = threading.Event()

    def advance(self, done, doing):
        self.said.append((done, doing))
        if "endless" in doing:
            self.seen.set()


def test_two_replicates_of_a_users_kernel(request_for):
    progress = Noting()
    report = Measurement(request_for("toy", module="toy_kernel", parameters={"rounds": 9}), progress).run()
    first, second = report.outcomes
    assert [chosen.name for chosen in first.chosen] == ["toy/baseline", "toy/doubled"]
    assert first.parameters == {"toy": {"rounds": 9}}
    assert first.shares == second.shares
    assert [len(each.replicate.blocks) for each in (first, second)] == [first.shares["toy"].blocks] * 2
    assert first.replicate.code_hash == second.replicate.code_hash
    assert set(first.replicate.code_hash) == {"toy/baseline", "toy/doubled"}
    assert first.replicate.allocations == {"toy/baseline": 0, "toy/doubled": 0}
    assert first.replicate.core == max(os.sched_getaffinity(0))
    assert set(second.replicate.compile_s.values()) == {0.0}  # the first one left it in the cache
    assert first.workload.events == 3000
    assert next(iter(report.phases_s)) == "start" and report.first_block_after_s > 0
    assert [done for done, _ in progress.said] == sorted(done for done, _ in progress.said)
    assert progress.said[-1][1] == "replicate 2 of 2: measure"


@pytest.mark.parametrize(
    ("selectors", "options", "sentence"),
    [
        (["toyy"], {}, "there is no kernel 'toyy'"),
        (["toy/fast"], {}, "toy has no variant 'fast': it has baseline, doubled"),
        (["toy"], {"parameters": {"round": 1}}, "no kernel here has a parameter 'round': there are rounds"),
        (["toy"], {"parameters": {"rounds": 0}}, "rounds must lie in 1 .. 1000"),
        (["toy"], {"input_file": "/nonexistent"}, "/nonexistent"),
    ],
)
def test_bad_input_comes_back_as_one_sentence(request_for, selectors, options, sentence):
    with pytest.raises(InputError) as caught:
        Measurement(request_for(*selectors, module="toy_kernel", **options), Silent()).run()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "sentence"), [("nowhere_to_be_found", "cannot be imported"), ("json", "has no KERNEL")]
)
def test_a_module_without_a_kernel(request_for, module, sentence):
    with pytest.raises(InputError, match=sentence):
        Measurement(request_for("toy", module=module), Silent()).run()


def test_the_death_of_a_process_is_told_with_its_last_words(request_for):
    with pytest.raises(WorkbenchError) as caught:
        Measurement(request_for("broken/dying", module="toy_broken"), Silent()).run()
    assert "replicate 1 of 2 was killed by SIGSEGV at: warm up broken/dying" in str(caught.value)
    assert "about to die" in str(caught.value)


def test_cancel_kills_the_process_and_leaves_nothing(request_for, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    progress = Noting()
    measurement = Measurement(request_for("broken/endless", module="toy_broken"), progress)

    def cancel_when_it_hangs():
        assert progress.seen.wait(400)
        measurement.cancel()

    thread = threading.Thread(target=cancel_when_it_hangs)
    thread.start()
    with pytest.raises(CancelledError):
        measurement.run()
    thread.join()
    assert list(scratch.iterdir()) == []
    assert children_of(os.getpid()) == []


def test_a_long_silence_is_told(request_for, monkeypatch):
    monkeypatch.setattr("workbench.measure.processes.QUIET_S", 0.05)
    notes = []

    class Impatient(Noting):
        def note(self, text):
            notes.append(text)
            if "endless" in text:
                measurement.cancel()

    measurement = Measurement(request_for("broken/endless", module="toy_broken"), Impatient())
    with pytest.raises(CancelledError):
        measurement.run()
    assert any("still at it" in note and "broken/endless" in note for note in notes)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_process_dies_with_its_driver(request_for, how):
    request = request_for("broken/endless", module="toy_broken")
    script = (
        "from workbench.measure.driver import *; from workbench.measure.progress import Lines; import json, sys\n"
        "Measurement(Request(**json.loads(sys.argv[1])), Lines(sys.stdout)).run()"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(vars(request))], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    for line in driver.stdout:
        if b"endless" in line:
            break
    (child,) = children_of(driver.pid)
    driver.send_signal(how)
    driver.wait(120)
    driver.stdout.close()
    deadline = time.monotonic() + 120
    while alive(child):
        assert time.monotonic() < deadline, "the replicate outlived its driver"
        time.sleep(0.05)


def test_code_that_changes_between_processes_is_seen():
    assert changed_code([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}]) == ["b"]
    assert changed_code([{"a": "1"}, {}]) == ["a"]
    assert changed_code([{"a": "1"}, {"a": "1"}]) == []


def test_requests_are_checked():
    for changes, sentence in (
        ({"selectors": []}, "nothing to measure"),
        ({"replicates": 0}, "1 or more"),
        ({"seconds": 0}, "more than 0"),
        ({"seconds": float("nan")}, "more than 0"),
    ):
        with pytest.raises(InputError, match=sentence):
            Request(**{"selectors": ["toy"], "replicates": 1, "seconds": 1.0, **changes})


def children_of(process):
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
