"""A batch on a real scheduler with two real workers, named as two hosts, while both and the scheduler are killed.

One cluster for all of it: its processes take most of the time.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_notebook import WRITE_RESULTS, a_job, write_notebook

pytest.importorskip("distributed")
from workbench.batch import dask_cluster
from workbench.batch.dask_engine import DaskEngine
from workbench.batch.engines import Work
from workbench.errors import InputError

TESTS = str(Path(__file__).resolve().parents[1])
pytestmark = [
    pytest.mark.slow,
    pytest.mark.notebook,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's process groups and prctl"),
]

# Waits until a file is there, so that no test depends on how fast a machine is.
WAIT = """
import os, pathlib, shutil, time
while name != "-" and not pathlib.Path(name).exists():
    time.sleep(0.05)
print(sorted(each for each in os.environ if each.startswith(("OMP_", "MALLOC_", "DASK_"))), shutil.which("valgrind"))
"""


class Processes:
    """A scheduler and its workers, each with its own locks, folder and PATH, as on hosts of their own."""

    def __init__(self, folder):
        self._folder, self._running = folder, {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.schedule()
        self.work("alpha")
        self.work("beta")

    def schedule(self):
        words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self._start("scheduler", words, {})

    def work(self, name):
        own = {"WORKBENCH_TIMING_LOCK": str(self._folder / f"{name}.lock")}
        if name == "beta":
            own["PATH"] = str(self._folder / "nothing")  # a host without valgrind
        self._start(name, ["workbench", "worker", self.address, "--name", name, "--folder", self._folder / name], own)

    def _start(self, name, words, own):
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *map(str, words)],
                stdout=log,
                stderr=log,
                env={**os.environ, **own},
                start_new_session=True,
            )

    def kill(self, name):
        """Kill everything of one of them at once, as a host that loses its power, but for what has a session itself."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def log(self, name):
        return (self._folder / f"{name}.log").read_text()

    def end(self):
        for name in list(self._running):
            self.kill(name)


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    running = Processes(tmp_path_factory.mktemp("hosts"))
    yield running
    running.end()


class Listener:
    """Does something when a job begins, once."""

    def __init__(self, on_started=lambda place: None):
        self.notes, self.over, self._on_started = [], [], on_started

    def started(self, place, job):
        self._on_started(place)

    def cell(self, place, job, cell, cells):
        pass

    def note(self, text):
        self.notes.append(text)

    def ended(self, place, job, folder, state, *, again):
        self.over.append((place, again))


def report(folder, state):
    (folder / "report.html").write_text(state.status)


@pytest.fixture
def jobs(tmp_path):
    """Return what makes a job that ends when the file of that name is there."""
    notebook = write_notebook(tmp_path / "tiny.ipynb", WAIT, WRITE_RESULTS.format(tests=TESTS, baseline="main"))

    def make(name="-", number=0, host=""):
        return a_job(notebook, name=name, number=number).model_copy(update={"host": host, "store": None})

    return make


def run(processes, tmp_path, jobs, listener):
    work = Work(jobs, tmp_path / "out", "driver")
    return DaskEngine(processes.address).run(work, listener, report)


def text_of(done):
    return (done.folder / "executed.ipynb").read_text()


def test_two_hosts_share_a_batch_and_tell_what_each_lacks(processes, tmp_path, jobs):
    """Alpha is slow: it is at its first job until beta has done all the others."""
    release = tmp_path / "release"
    bad = a_job(write_notebook(tmp_path / "bad.ipynb", "raise ValueError('planted')"))
    planned = [jobs(str(release), host="alpha"), jobs(number=1, host="beta"), bad]
    listener = Listener()
    finished = listener.ended

    def ended(place, job, folder, state, *, again):
        finished(place, job, folder, state, again=again)
        if len(listener.over) == len(planned) - 1:
            release.touch()

    listener.ended = ended
    slow, other, failed = run(processes, tmp_path, planned, listener)
    assert [each.state.status for each in (slow, other, failed)] == ["finished", "finished", "failed"], listener.notes
    assert [each.state.host for each in (slow, other, failed)] == ["alpha", "beta", "beta"]
    assert "ValueError: planted" in failed.state.failure.sentence and (failed.folder / "executed.ipynb").is_file()
    assert "[] None" in text_of(other), "nothing of Dask's is in the environment, and the PATH is that of the host"
    assert "Dask had put it: " in (other.folder / "log.txt").read_text()
    assert "OMP_NUM_THREADS=1" in (other.folder / "log.txt").read_text()
    assert (slow.folder / "results.json").is_file() and (slow.folder / "report.html").read_text() == "finished"
    told = "\n".join(listener.notes)
    assert "worker alpha is there" in told and "worker beta is there" in told and "samples itself" not in told
    assert next(each for each in listener.notes if "beta is there" in each).endswith(", no valgrind")


def test_a_worker_is_killed_in_the_middle_and_then_the_scheduler(processes, tmp_path, jobs):
    """The first job has three attempts, on alpha, beta and beta; the second job waits meanwhile."""
    release = tmp_path / "release"
    begun = []

    def started(place):
        begun.append(place)
        if len(begun) == 1:
            processes.kill("alpha")
            processes.work("beta")
        elif len(begun) == 2:
            processes.kill("scheduler")
            processes.kill("beta")  # workers end with their scheduler; here the test is what starts them again
            processes.schedule()
            processes.work("beta")
            release.touch()

    processes.kill("beta")
    listener = Listener(started)
    first, then = run(processes, tmp_path, [jobs(str(release)), jobs(number=2)], listener)
    assert (first.state.status, then.state.status) == ("finished", "finished"), listener.notes
    assert begun == [0, 0, 0, 1] and listener.over == [(0, True), (1, True)]
    lost = [attempt.failure.sentence for attempt in first.state.attempts[:-1]]
    assert len(lost) == 2 and first.state.attempts[-1].failure is None
    assert lost[0] == "its worker alpha was lost" and "beta" in lost[1], lost
    assert first.state.host == "beta" and "the scheduler is back" in listener.notes
    assert "its worker alpha was lost" in (first.folder / "log.txt").read_text()
    assert not processes_with(str(tmp_path)), "what was begun on a host that was lost has ended"


def processes_with(text):
    """Return the command lines that hold `text`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text in (line := (entry / "cmdline").read_text().replace("\0", " ")):
                found.append(line)
    return found


def test_without_a_scheduler_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_CONNECT_S", 0.5)
    with pytest.raises(InputError, match=r"no scheduler answers at tcp://127.0.0.1:1: start one by `dask scheduler`"):
        DaskEngine("tcp://127.0.0.1:1").run(Work([], tmp_path, "driver"), Listener(), report)
