"""A batch as a person runs it: failures stop nothing, a killed batch is resumed, finished jobs are not repeated."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_notebook import WRITE_RESULTS, write_notebook

from workbench.store import open_store

pytestmark = pytest.mark.notebook
OWN = {"STORE": "store.sqlite3", "TIMING_LOCK": "timing.lock"}  # no other test is waited for
TESTS = str(Path(__file__).resolve().parents[1])
needs_linux = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs Linux's /proc")
COUNT = "import pathlib\nwith pathlib.Path({counter!r}).open('a') as lines:\n    lines.write(name + '\\n')\n"


@pytest.fixture
def place(tmp_path):
    """A folder with a plan of three jobs: two that count their runs and write results, and one that raises."""
    counter = str(tmp_path / "counter.txt")
    good = WRITE_RESULTS.format(tests=TESTS, baseline="main")
    write_notebook(tmp_path / "good.ipynb", COUNT.format(counter=counter), "import time; time.sleep(number)", good)
    write_notebook(tmp_path / "bad.ipynb", "raise RuntimeError('<script>alert(1)</script>')")
    (tmp_path / "plan.toml").write_text(
        'title = "Three jobs"\n'
        '[[job]]\nnotebook = "good.ipynb"\nparameters = { number = 0 }\ngrid = { name = ["a", "b"] }\n'
        '[[job]]\nnotebook = "bad.ipynb"\n'
    )
    return tmp_path


def start(place, *more):
    command = [sys.executable, "-m", "workbench", "batch", "plan.toml", "--batch", "b", "--out", "out", *more]
    environment = {**os.environ, **{f"WORKBENCH_{n}": str(place / f) for n, f in OWN.items()}}
    return subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(process):
    out, errors = process.communicate(timeout=400)
    return process.returncode, out, errors


@pytest.mark.slow
def test_a_failing_job_stops_no_other_and_nothing_finished_is_repeated(place):
    code, out, errors = finish(start(place))
    assert code == 1, errors
    index = Path(out.splitlines()[-1])
    assert index == place / "out" / "b" / "index.html" and index.is_file()
    assert "[3/3] bad.ipynb: failed" in errors and "cell 2 of" in errors
    assert sorted((place / "counter.txt").read_text().split()) == ["a", "b"]
    pages = sorted(index.parent.glob("*/*/report.html"))
    assert len(pages) == 3
    for page in [index, *pages]:
        assert "<script>alert" not in page.read_text()
    failed = next(page for page in pages if page.parent.name.startswith("bad"))
    assert "&lt;script&gt;alert(1)" in failed.read_text() and "RuntimeError" in failed.read_text()
    store = open_store(str(place / "store.sqlite3"))
    assert len(store.runs()) == 2 and store.baseline("main") is not None

    code, out, errors = finish(start(place, "--json"))
    assert code == 1 and errors.count("was finished before") == 2
    assert sorted((place / "counter.txt").read_text().split()) == ["a", "b"]
    told = json.loads(out)
    assert [row["status"] for row in told["results"]] == ["finished", "finished", "failed"]
    assert told["exit_code"] == 1 and told["results"][2]["failure"]["kind"] == "exception"
    state = json.loads((failed.parent / "state.json").read_text())
    assert len(state["attempts"]) == 2, "a failed job is tried again, and both tries are told"


def processes_of(place):
    """Return the command lines of the processes that run in the folder: a batch, its jobs, their Jupyter kernels."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == place:
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


def kill_alone(process, place):
    """Kill the batch, not its group, and wait until Linux has ended what it started."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 20
    while left := processes_of(place):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


@needs_linux
def test_a_batch_that_is_killed_is_resumed(place):
    (place / "plan.toml").write_text(
        '[[job]]\nnotebook = "good.ipynb"\nparameters = { number = 1 }\ngrid = { name = ["a", "b"] }\n'
    )
    process = start(place)
    counter = place / "counter.txt"
    deadline = time.monotonic() + 240
    while not (counter.is_file() and "b" in counter.read_text()):  # the second job runs
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    kill_alone(process, place)
    folders = [path.parent for path in place.glob("out/b/*/*/state.json")]
    statuses = sorted(json.loads((folder / "state.json").read_text())["status"] for folder in folders)
    assert statuses == ["finished", "running"]
    for folder in folders:
        for file in folder.glob("*.json"):
            json.loads(file.read_text())  # none is torn

    code, _, errors = finish(start(place))
    assert code == 0, errors
    assert errors.count("was finished before") == 1
    assert counter.read_text().split() == ["a", "b", "b"], "the first job was not repeated"
    assert not list(place.glob("out/b/*/*/.attempt-*"))
    assert len(open_store(str(place / "store.sqlite3")).runs()) == 2


@pytest.mark.slow
def test_a_job_whose_process_is_killed_is_told(place):
    (place / "plan.toml").write_text(
        '[[job]]\nnotebook = "kill.ipynb"\n[[job]]\nnotebook = "good.ipynb"\nparameters = { number = 0 }\n'
    )
    write_notebook(
        place / "kill.ipynb", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "import time; time.sleep(9)"
    )
    code, _, errors = finish(start(place))
    assert code == 1
    assert "kill.ipynb: failed" in errors and "signal SIGKILL" in errors
    assert "good.ipynb: finished" in errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["absent.toml"], "there is no plan"),
        (["plan.toml", "--batch", "../x"], "cannot name a batch"),
        (["plan.toml", "--out", "plan.toml"], "cannot be written"),
        (["plan.toml", "--store", "plan.toml"], "is not a database"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(place, arguments, says):
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "batch", *arguments], cwd=place, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 2 and says in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1
