"""A night with everything that can go wrong in it: killed again and again, no room left, five kinds of failures."""

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_notebook import WRITE_RESULTS, write_notebook

from workbench.store import open_store

pytestmark = [pytest.mark.notebook, pytest.mark.slow]
OWN = {"STORE": "store.sqlite3", "TIMING_LOCK": "timing.lock"}  # no other test is waited for
TESTS = str(Path(__file__).resolve().parents[1])
needs_linux = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs Linux's /proc")
JOBS = 200 if os.environ.get("WORKBENCH_LONG") else 20
BESIDE = "[engine]\nat_once = 2\n"


def start(place, *more, **options):
    command = [sys.executable, "-m", "workbench", "batch", "plan.toml", "--batch", "b", "--out", "out", *more]
    environment = {**os.environ, **{f"WORKBENCH_{n}": str(place / f) for n, f in OWN.items()}}
    return subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def finish(process, timeout=3600):
    out, errors = process.communicate(timeout=timeout)
    assert "Traceback" not in errors
    return process.returncode, out, errors


def check_nothing_is_torn(batch):
    for file in batch.rglob("*.json"):
        json.loads(file.read_text())
    for file in batch.rglob("*.html"):
        assert file.read_text().rstrip().endswith("</html>"), file


def states_of(batch):
    return {path.parent: json.loads(path.read_text()) for path in batch.glob("*/*/state.json")}


def wait_for_the_end_of_all_in(place):
    """Wait until Linux has ended what a killed batch had started."""
    deadline = time.monotonic() + 60
    while True:
        left = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == place and entry.name != str(os.getpid()):
                    left.append(entry.name)
        if not left:
            return
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


# Job 0 waits until there was one kill, job 1 until there were two: so no kill ever comes too late.
WAIT = """
import pathlib, time
place = pathlib.Path({place!r})
while len(list(place.glob("killed-*"))) <= number:
    (place / "waits").touch()
    time.sleep(0.05)
"""


@needs_linux
def test_a_batch_that_is_killed_three_times_ends_as_if_it_had_not(tmp_path):
    good = WRITE_RESULTS.format(tests=TESTS, baseline=None)
    write_notebook(tmp_path / "good.ipynb", WAIT.format(place=str(tmp_path)), good)
    (tmp_path / "plan.toml").write_text(
        BESIDE + '[[job]]\nnotebook = "good.ipynb"\ntimes = false\ngrid = { number = [0, 1, 2, 3] }\n'
    )
    chance, broken_off, batch = random.Random(), set(), tmp_path / "out" / "b"
    finished = {}
    for kill in range(3):
        process = start(tmp_path)
        deadline = time.monotonic() + 240
        while not (tmp_path / "waits").exists():  # a job is in its notebook, and stays there
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 2))  # the others are wherever they are
        process.send_signal(signal.SIGKILL)
        process.communicate()
        wait_for_the_end_of_all_in(tmp_path)
        check_nothing_is_torn(batch)
        (tmp_path / "waits").unlink()
        (tmp_path / f"killed-{kill}").touch()
        states, before = states_of(batch), len(broken_off)
        broken_off |= {(folder, state["started"]) for folder, state in states.items() if state["status"] == "running"}
        assert len(broken_off) > before, "it was killed at work"
        now_finished = {folder: state for folder, state in states.items() if state["status"] == "finished"}
        assert {folder: now_finished[folder] for folder in finished} == finished, "a finished job was done again"
        finished = now_finished

    (tmp_path / "killed-last").touch()
    code, out, errors = finish(start(tmp_path, "--json"))
    assert code == 0, errors
    check_nothing_is_torn(batch)
    states = states_of(batch)
    assert {folder: states[folder] for folder in finished} == finished
    told = json.loads(out)
    assert told == json.loads((batch / "summary.json").read_text())
    assert told["counts"] == {"finished": 4} and told["exit_code"] == 0
    assert {row["outcome"]["headline"] for row in told["results"]} == {"all is well"}
    assert sorted(row["parameters"]["number"] for row in told["results"]) == list(range(4))
    tried = {(folder, attempt["started"]): attempt for folder in states for attempt in states[folder]["attempts"]}
    assert {where for where, attempt in tried.items() if attempt["failure"]} == broken_off, (
        "each broken-off try is told"
    )
    assert len(tried) == 4 + len(broken_off)
    assert len(open_store(str(tmp_path / "store.sqlite3")).runs()) == 4
    assert not [path for path in batch.rglob(".*") if path.name != ".lock"], "nothing is left lying about"


def plant(place):
    """Write a plan of `JOBS` jobs of which five fail, each in another way."""
    write_notebook(place / "good.ipynb", "print(number)")
    write_notebook(place / "raises.ipynb", "print('before')", "raise RuntimeError('planted')")
    write_notebook(place / "sleeps.ipynb", "print('before')", "import time; time.sleep(3600)")
    write_notebook(place / "dies.ipynb", "print('before')", "import os; os._exit(1)")
    common = "times = false\n"
    tables = [
        f'notebook = "good.ipynb"\n{common}grid = {{ number = {list(range(JOBS - 5))} }}\n',
        f'notebook = "raises.ipynb"\n{common}',
        f'notebook = "sleeps.ipynb"\n{common}job_s = 20\n',
        f'notebook = "dies.ipynb"\n{common}',
        f'notebook = "good.ipynb"\n{common}parameters = {{ __class__ = 1 }}\n',
        f'notebook = "absent.ipynb"\n{common}',
    ]
    (place / "plan.toml").write_text("[engine]\nat_once = 3\n" + "".join(f"[[job]]\n{table}" for table in tables))


@pytest.mark.timeout(3600)
def test_five_kinds_of_failures_stop_no_other_job(tmp_path):
    plant(tmp_path)
    began = time.monotonic()
    code, out, errors = finish(start(tmp_path, "--json"))
    print(f"{JOBS} jobs took {time.monotonic() - began:.0f} s")
    assert code == 1, errors
    told = json.loads(out)
    assert told["counts"] == {"finished": JOBS - 5, "failed": 5} and told["exit_code"] == 1
    failed = {row["notebook"]: row["failure"] for row in told["results"] if row["failure"]}
    bad = next(row for row in told["results"] if row["parameters"].get("__class__"))
    assert bad["failure"]["kind"] == "bad parameter" and "no parameter '__class__'" in bad["failure"]["sentence"]
    kinds = {name: failure["kind"] for name, failure in failed.items()}
    assert kinds["raises.ipynb"] == "exception" and kinds["sleeps.ipynb"] == "timeout"
    assert kinds["dies.ipynb"] == "dead Jupyter kernel" and kinds["absent.ipynb"] == "bad notebook"
    assert "planted" in failed["raises.ipynb"]["sentence"] and "no notebook" in failed["absent.ipynb"]["sentence"]
    batch = tmp_path / "out" / "b"
    check_nothing_is_torn(batch)
    for row in told["results"]:
        folder = batch / row["job"]
        assert (folder / "report.html").is_file()
        if row["notebook"] in ("raises.ipynb", "sleeps.ipynb", "dies.ipynb"):
            assert "before" in (folder / "executed.ipynb").read_text(), "the notebook as far as it came"


def test_where_no_room_is_left_it_is_told_nothing_is_torn_and_the_batch_can_be_resumed(tmp_path):
    write_notebook(tmp_path / "big.ipynb", "print('x' * 2_000_000)", WRITE_RESULTS.format(tests=TESTS, baseline=None))
    write_notebook(tmp_path / "small.ipynb", WRITE_RESULTS.format(tests=TESTS, baseline=None))
    (tmp_path / "plan.toml").write_text('[[job]]\nnotebook = "big.ipynb"\n[[job]]\nnotebook = "small.ipynb"\n')
    open_store(str(tmp_path / "store.sqlite3"))

    def no_large_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    code, _, errors = finish(start(tmp_path, preexec_fn=no_large_files))
    assert code == 1 and "File too large" in errors and "big.ipynb: failed" in errors
    assert "small.ipynb: finished" in errors
    batch = tmp_path / "out" / "b"
    check_nothing_is_torn(batch)

    code, _, errors = finish(start(tmp_path))
    assert code == 0, errors
    assert errors.count("was finished before") == 1
    assert len(open_store(str(tmp_path / "store.sqlite3")).runs()) == 2
