"""What the Dask engine decides, without Dask's processes: who gets which job, what is lost, and what is told of it."""

import datetime
import errno
import io
import json
import pathlib
import queue
import zipfile

import pytest
from tiny_notebook import a_job, write_notebook

pytest.importorskip("distributed")
from workbench.batch import dask_cluster, dask_engine, dask_files, dask_package, dask_worker
from workbench.batch.engines import EngineChoice, Work, open_engine
from workbench.batch.folder import locked
from workbench.batch.job import Attempt, State, read_job, read_state, write_state
from workbench.errors import InputError, WorkbenchError

NOW = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)


class Future:
    """What stands for a call on a worker."""

    def __init__(self, result):
        self.status, self._result = "pending", result

    def result(self, timeout):
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


class Cluster:
    """Workers that do at once what `answers` says: bytes, an exception, ``"dies"``, or ``"cancelled"``."""

    def __init__(self, names, answers, here="key"):
        self._hosts = {(name, ""): dask_cluster.Host((name, ""), name, f"{name}.lan", here) for name in names}
        self.hosts, self.news, self.sent, self.dropped, self.connected = {}, queue.Queue(), [], [], 0
        self._answers, self._there = answers, True

    def look(self):
        there, self._there = self._there, True
        if there:
            self.hosts = dict(self._hosts)
        return there

    def connect(self):
        self.connected += 1

    def submit(self, host, package, mark, title):
        job = json.loads(zipfile.ZipFile(io.BytesIO(package)).read("order.json"))["job"]
        self.sent.append((host.name, job))
        answer = self._answers(host.name, job, len(self.sent))
        future = Future(answer)
        if answer == "dies":
            del self._hosts[host.key]
            self.hosts = dict(self._hosts)
        elif answer == "cancelled":
            future.status = "cancelled"
            self._there = False
        else:
            self.news.put(("told", mark, {"started": True}))
            self.news.put(("over", mark, future))
        return future

    def drop(self, future):
        self.dropped.append(future)


class Listener:
    def __init__(self):
        self.notes, self.begun, self.over = [], [], []

    def started(self, place, job):
        self.begun.append(place)

    def cell(self, place, job, cell, cells):
        pass

    def note(self, text):
        self.notes.append(text)

    def ended(self, place, job, folder, state, *, again):
        self.over.append((place, state.status, again))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(dask_engine, "_LOOK_S", 0.01)
    monkeypatch.setattr(dask_engine, "NO_WORKERS_S", 0.05)
    monkeypatch.setattr(dask_engine, "NO_SCHEDULER_S", 0.05)


def came_back(job, name="x", status="finished"):
    """Return the files of a job as a worker sends them."""
    stream = io.BytesIO()
    attempt = Attempt(started=NOW, duration_s=1.0)
    state = State(status=status, key=job["key"], host="vm", started=NOW, attempts=[attempt])
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("state.json", state.model_dump_json())
        archive.writestr("log.txt", f"on {name}\n")
        archive.writestr("records/2.json", "{}")
    return stream.getvalue()


def report(folder, state):
    (folder / "report.html").write_text(state.status)


def run(tmp_path, cluster, jobs, **changes):
    listener = Listener()
    work = Work(jobs, tmp_path / "out", "driver", **changes)
    return dask_engine._Run(cluster, work, listener, report).run(), listener


@pytest.fixture
def jobs(tmp_path):
    notebook = write_notebook(tmp_path / "tiny.ipynb", "1")
    return [a_job(notebook, name=name) for name in "abcd"]


def good(name, job, _):
    return came_back(job, name)


def test_every_idle_worker_gets_a_job_and_what_comes_back_fills_its_folder(tmp_path, jobs):
    cluster = Cluster(["alpha", "beta"], good)
    done, listener = run(tmp_path, cluster, jobs)
    assert [each.state.status for each in done] == ["finished"] * 4
    assert [name for name, _ in cluster.sent] == ["alpha", "beta"] * 2
    assert sorted(listener.begun) == [0, 1, 2, 3] and sorted(listener.over) == [(n, "finished", True) for n in range(4)]
    for each, job in zip(done, jobs, strict=True):
        assert each.folder == tmp_path / "out" / "key" / job.name and read_state(each.folder) == each.state
        assert read_job(each.folder / "params.json") == job
        assert each.state.host in ("alpha", "beta") and len(each.state.attempts) == 1
        files = {str(path.relative_to(each.folder)) for path in each.folder.rglob("*") if path.is_file()}
        assert files == {".lock", "log.txt", "params.json", "records/2.json", "report.html", "state.json"}
    again, listener = run(tmp_path, Cluster([], good), jobs)
    assert again == done and listener.over == [(n, "finished", False) for n in range(4)]


def test_a_job_whose_worker_dies_is_tried_elsewhere_and_both_attempts_are_told(tmp_path, jobs):
    cluster = Cluster(["alpha", "beta"], lambda name, job, n: "dies" if name == "alpha" else came_back(job))
    done, listener = run(tmp_path, cluster, jobs)
    assert all(each.state.status == "finished" and each.state.host == "beta" for each in done)
    lost, kept = done[0].state.attempts
    assert (lost.failure.kind, lost.failure.sentence, kept.failure) == ("killed", "its worker alpha was lost", None)
    assert [len(each.state.attempts) for each in done] == [2, 1, 1, 1]
    assert "tiny: attempt 2, on beta" in listener.notes and len(cluster.dropped) == 1
    assert "its worker alpha was lost" in (done[0].folder / "log.txt").read_text().splitlines()[0]


def test_a_worker_that_sends_nothing_back_does_not_get_the_same_job_again(tmp_path, jobs):
    """It is idle again at once, as one that its nanny has started anew."""
    cluster = Cluster(["alpha", "beta"], lambda name, job, n: OSError("no room") if n == 1 else came_back(job))
    (done,), _ = run(tmp_path, cluster, jobs[:1])
    assert [name for name, _ in cluster.sent] == ["alpha", "beta"]
    assert "worker alpha sent nothing back: no room" in done.state.attempts[0].failure.sentence
    alone = Cluster(["alpha"], lambda name, job, n: OSError("no room") if n == 1 else came_back(job))
    (done,), _ = run(tmp_path, alone, jobs[1:2])
    assert [name for name, _ in alone.sent] == ["alpha", "alpha"], "unless there is no other"


def test_a_job_that_takes_every_worker_down_is_given_up(tmp_path, jobs):
    hosts = ["a", "b", "c", "d"]
    cluster = Cluster(hosts, lambda name, job, n: "dies" if job["parameters"] == {"name": "a"} else came_back(job))
    done, _ = run(tmp_path, cluster, jobs)
    assert [each.state.status for each in done] == ["failed", *["finished"] * 3]
    assert len(done[0].state.attempts) == dask_engine.MOST_LOST
    assert "was lost, the last of 3 attempts that were lost" in done[0].state.failure.sentence
    assert len({name for name, job in cluster.sent if job["parameters"] == {"name": "a"}}) == 3


def test_a_lost_scheduler_is_waited_for_and_only_what_is_not_finished_is_done_again(tmp_path, jobs):
    cluster = Cluster(["alpha"], lambda name, job, n: "cancelled" if n == 2 else came_back(job))
    done, listener = run(tmp_path, cluster, jobs)
    assert [each.state.status for each in done] == ["finished"] * 4 and cluster.connected == 1
    assert [len(each.state.attempts) for each in done] == [1, 2, 1, 1] and len(cluster.sent) == 5
    assert "the scheduler was lost while it ran on alpha" in done[1].state.attempts[0].failure.sentence
    assert listener.notes.count("the scheduler is back") == 1


def test_a_scheduler_that_stays_away_ends_the_batch_with_the_truth(tmp_path, jobs, monkeypatch):
    cluster = Cluster(["alpha"], lambda name, job, n: "cancelled" if n == 2 else came_back(job))

    def nobody():
        raise InputError("no scheduler answers")

    monkeypatch.setattr(cluster, "connect", nobody)
    done, _ = run(tmp_path, cluster, jobs)
    assert [each.state.status for each in done] == ["finished", "failed", "failed", "failed"]
    assert "the scheduler was lost, and not back within" in done[3].state.failure.sentence
    assert done[3].folder == tmp_path / "out" / "driver" / jobs[3].name and read_state(done[3].folder) is not None
    again, _ = run(tmp_path, Cluster(["alpha"], good), jobs)
    assert [each.state.status for each in again] == ["finished"] * 4 and not done[3].folder.exists()


def test_a_plan_may_say_where_a_job_runs(tmp_path, jobs):
    hosts = ["beta", "beta.lan", "gamma", ""]
    pinned = [job.model_copy(update={"host": host}) for job, host in zip(jobs, hosts, strict=True)]
    done, _ = run(tmp_path, Cluster(["alpha", "beta"], good), pinned)
    assert [each.state.status for each in done] == ["finished", "finished", "failed", "finished"]
    assert [each.state.host for each in done[:2]] == ["beta", "beta"]
    assert "there was no worker called gamma for 0.05 s" in done[2].state.failure.sentence


def test_what_cannot_be_sent_fails_by_itself(tmp_path, jobs):
    absent = a_job(tmp_path / "absent.ipynb")
    done, _ = run(tmp_path, Cluster(["alpha"], good), [absent, jobs[0]])
    assert [each.state.status for each in done] == ["failed", "finished"]
    assert done[0].state.failure.kind == "bad notebook" and "absent.ipynb" in done[0].state.failure.sentence


def test_no_job_is_begun_after_the_batchs_end(tmp_path, jobs):
    cluster = Cluster(["alpha"], good)
    done, _ = run(tmp_path, cluster, jobs, ends_s=0.0, batch_s=60.0)
    assert cluster.sent == [] and "60 s were over" in done[0].state.failure.sentence


@pytest.mark.parametrize("damaged", [b"no zip", b"", "another", "running", "escape"])
def test_what_comes_back_damaged_is_not_kept(tmp_path, jobs, damaged):
    def answer(name, job, n):
        if n > 1:
            return came_back(job)
        if damaged == "escape":
            return zip_of({"../../state.json": "{}"})
        if isinstance(damaged, bytes):
            return damaged
        return came_back({**job, "key": "other"}) if damaged == "another" else came_back(job, status="running")

    done, _ = run(tmp_path, Cluster(["alpha"], answer), jobs[:1])
    assert done[0].state.status == "finished" and len(done[0].state.attempts) == 2
    assert not list(tmp_path.rglob(".tiny*")) and not (tmp_path / "out" / "state.json").exists()


def zip_of(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../x", "a//x", "a\\x", "a\nx", "a" * 300])
def test_a_file_that_would_lie_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(WorkbenchError, match="cannot be called"):
        dask_package.unpack(zip_of({name: "x"}), tmp_path / "in")


def test_files_go_there_and_back_but_no_more_than_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_package, "MOST_BYTES", 1000)
    folder = tmp_path / "job"
    (folder / "lines").mkdir(parents=True)
    content = {"state.json": b"{}", "lines/a.html": b"a" * 300, "large.bin": b"b" * 900, "log.txt": b"c" * 400}
    for name, data in content.items():
        (folder / name).write_bytes(data)
    (folder / ".lock").touch()
    (folder / "link").symlink_to("/etc/passwd")
    data, beyond = dask_package.pack(folder)
    assert beyond == ["large.bin"]
    dask_package.unpack(data, tmp_path / "in")
    there = {str(path.relative_to(tmp_path / "in")): path.read_bytes() for path in (tmp_path / "in").rglob("*.*")}
    assert there == {name: content[name] for name in ("state.json", "lines/a.html", "log.txt")}
    with pytest.raises(WorkbenchError, match="are more than"):
        dask_package.unpack(zip_of({"large.bin": "b" * 2000}), tmp_path / "in")


@pytest.mark.parametrize(
    ("store", "told"),
    [
        (None, None),
        ("/home/me/results.sqlite3", None),
        ("sqlite:////home/me/results.sqlite3", None),
        ("postgresql+psycopg://me:secret@db/nights", None),
        ("postgresql+psycopg://me@db/nights?password=secret", None),
        ("postgresql+psycopg://me@db/nights", "postgresql+psycopg://me@db/nights"),
    ],
)
def test_no_password_and_no_file_of_this_machine_is_sent(tmp_path, jobs, store, told):
    package = dask_files.outward(jobs[0].model_copy(update={"store": store}), None, None)
    assert b"secret" not in zipfile.ZipFile(io.BytesIO(package)).read("order.json")
    assert json.loads(zipfile.ZipFile(io.BytesIO(package)).read("order.json"))["job"]["store"] == told


def test_what_dask_put_into_the_environment_is_taken_out_and_told():
    before = {"OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "9", "HOME": "/h", "DASK_X": "secret"}
    injected = {"OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}
    kept, taken_out = dask_worker.scrubbed(before, injected)
    assert kept == {"MALLOC_TRIM_THRESHOLD_": "9", "HOME": "/h"}, "what a person set stays"
    assert taken_out == ["DASK_X", "OMP_NUM_THREADS=1"]


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({}, "needs the address of its scheduler"),
        ({"address": "tcp://x:1", "at_once": 2}, "runs one job on each worker"),
    ],
)
def test_a_choice_that_cannot_be_filled_is_told(choice, says):
    with pytest.raises(InputError, match=says):
        open_engine(EngineChoice(name="dask", **choice))


def test_an_earlier_runs_attempts_are_counted(tmp_path, jobs):
    folder = tmp_path / "out" / "key" / jobs[0].name
    folder.mkdir(parents=True)
    earlier = [Attempt(started=NOW, duration_s=1.0)] * 2
    write_state(folder, State(status="failed", key="k", started=NOW, attempts=earlier))
    done, _ = run(tmp_path, Cluster(["alpha"], good), jobs[:1])
    assert len(done[0].state.attempts) == 3


def test_a_job_that_somebody_runs_here_by_hand_fails_alone(tmp_path, jobs, monkeypatch):
    monkeypatch.setattr(dask_files, "_PATIENCE_S", 0.0)
    absent = jobs[0].model_copy(update={"notebook": str(tmp_path / "absent.ipynb")})
    with locked(tmp_path / "out" / "driver" / absent.name):
        done, _ = run(tmp_path, Cluster(["alpha"], good), [absent, jobs[1]])
    assert [each.state.status for each in done] == ["failed", "finished"]
    assert "is being run by another process" in done[0].state.failure.sentence


@pytest.mark.parametrize("ends", [True, False])
def test_the_time_of_a_job_begins_when_its_turn_on_the_host_has_come(tmp_path, jobs, monkeypatch, ends):
    monkeypatch.setattr(dask_engine, "GRACE_S", 0.0)
    monkeypatch.setattr(dask_engine, "_BEYOND_S", 0.0)

    class Patient(Cluster):
        looks = 0

        def look(self):
            self.looks += 1
            for what, mark, news in self.kept if self.looks == 20 else ():
                if what == "told" or ends:
                    self.news.put((what, mark, news))
            return super().look()

        def submit(self, *arguments):
            future = super().submit(*arguments)
            self.kept = [self.news.get_nowait(), self.news.get_nowait()]
            self.looks = 0
            return future

    cluster = Patient(["alpha"], good)
    (done,), _ = run(tmp_path, cluster, [jobs[0].model_copy(update={"limit_s": 0.01})])
    assert len(done.state.attempts) == (1 if ends else dask_engine.MOST_LOST)
    assert done.state.status == ("finished" if ends else "failed")
    if not ends:
        assert "did not tell in time that it was over" in done.state.failure.sentence


def test_a_full_disk_here_is_no_workers_fault_and_no_reason_to_measure_again(tmp_path, jobs, monkeypatch):
    write, full = pathlib.Path.write_bytes, []

    def writes(self, data):
        if full and tmp_path / "out" in self.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(pathlib.Path, "write_bytes", writes)
    full.append(True)
    cluster = Cluster(["alpha", "beta"], good)
    (done,), listener = run(tmp_path, cluster, jobs[:1])
    assert len(cluster.sent) == 1 and done.state.status == "failed" and listener.over == [(0, "failed", True)]
    assert "could not be written" in done.state.failure.sentence and "No space left" in done.state.failure.sentence
    assert "make room" in done.state.failure.sentence
    full.clear()

    def no_room(folder, job):
        raise WorkbenchError("params.json was not written (No space left on device)")

    with monkeypatch.context() as patched:
        patched.setattr(dask_files, "write_job", no_room)
        (done,), _ = run(tmp_path, cluster, jobs[:1])
    assert len(cluster.sent) == 2 and "params.json was not written" in done.state.failure.sentence
    (done,), _ = run(tmp_path, cluster, jobs[:1])
    assert done.state.status == "finished"


def test_a_driver_that_dies_while_it_keeps_a_job_leaves_what_was_told_before(tmp_path, jobs, monkeypatch):
    job = jobs[0].model_dump(mode="json")
    folder = tmp_path / "out" / "key" / jobs[0].name
    lost = State(status="failed", key=jobs[0].key, started=NOW, attempts=[Attempt(started=NOW, duration_s=2.0)])
    dask_files.write_lost(folder, jobs[0], lost, report)
    replace = dask_files.os.replace

    def dies(source, target):
        if pathlib.Path(target).name == "state.json" and pathlib.Path(target).parent == folder:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(dask_files.os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        dask_files.inward(came_back(job), folder, jobs[0], [], "h", report)
    monkeypatch.setattr(dask_files.os, "replace", replace)
    assert len(read_state(folder).attempts) == 1, "what it told of earlier attempts"
    scratch = folder.parent / f".{jobs[0].name}.{'0a' * 16}"
    scratch.mkdir()
    (done, *_), _ = run(tmp_path, Cluster(["alpha"], good), jobs)
    assert len(done.state.attempts) == 2 and not scratch.exists()
