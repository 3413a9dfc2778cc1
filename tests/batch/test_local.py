"""The local engine runs a job only where no other process does, and its child keeps the folder when it is gone."""

import json
import os
import subprocess
import sys
import time

import pytest
from tiny_notebook import a_job, write_notebook

from workbench.batch import local
from workbench.batch.engines import EngineChoice, Work, open_engine
from workbench.batch.folder import locked
from workbench.batch.job import PARAMS, read_state, write_job
from workbench.batch.turn import host_turn
from workbench.errors import InputError, WorkbenchError


class Silent:
    """A listener that nobody listens to."""

    def started(self, place, job):
        pass

    def cell(self, place, job, cell, cells):
        pass

    def note(self, text):
        pass

    def ended(self, place, job, folder, state, *, again):
        pass


def no_report(folder, state):
    pass


def run_jobs(jobs, folder, **more):
    """Run `jobs` below ``folder/key`` and return the state of each."""
    done = local.LocalEngine().run(Work(jobs, folder, "key", **more), Silent(), no_report)
    assert [each.folder for each in done] == [folder / "key" / job.name for job in jobs]
    return [each.state for each in done]


def test_the_child_holds_the_folder_until_it_ends(tmp_path, monkeypatch):
    job = a_job(tmp_path / "tiny.ipynb")
    folder = tmp_path / "key" / job.name
    outlives = "import os, sys, time\nif os.fork():\n    os._exit(0)\nos.close(1)\nsys.stdin.read()"
    monkeypatch.setattr(local, "RUN_JOB", (sys.executable, "-c", outlives))
    popen, held = subprocess.Popen, []

    def with_input(*arguments, **options):
        held.append(popen(*arguments, stdin=subprocess.PIPE, **options))
        return held[-1]

    monkeypatch.setattr(local.subprocess, "Popen", with_input)
    (state,) = run_jobs([job], tmp_path)
    assert state.failure.kind == "killed"
    with pytest.raises(InputError, match="another process"), locked(folder):
        pass
    held[0].stdin.close()  # ends the process that outlived its starter's wait
    with locked(folder, patience_s=60):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prctl")
def test_a_job_whose_batch_died_while_it_started_does_nothing(tmp_path):
    write_job(tmp_path, a_job(write_notebook(tmp_path / "tiny.ipynb", "1")))
    command = [*local.RUN_JOB, str(tmp_path / PARAMS), "--parent", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert read_state(tmp_path) is None


def test_a_job_is_told_which_process_started_it(tmp_path, monkeypatch):
    write = (
        "import json, pathlib, sys; pathlib.Path(sys.argv[1]).with_name('told.json').write_text(json.dumps(sys.argv))"
    )
    monkeypatch.setattr(local, "RUN_JOB", (sys.executable, "-c", write))
    job = a_job(tmp_path / "tiny.ipynb")
    run_jobs([job], tmp_path)
    told = json.loads((tmp_path / "key" / job.name / "told.json").read_text())
    assert told[-2:] == ["--parent", str(os.getpid())]


FAKE = """
import datetime, json, os, pathlib, signal, sys, time
params = pathlib.Path(sys.argv[1])
job = json.loads(params.read_text())
now = lambda: datetime.datetime.now(datetime.timezone.utc).isoformat()
with open(job["parameters"]["log"], "a") as log:
    log.write(f"+{job['title']}\\n")
tries = params.with_name("tries.txt")
number = len(tries.read_text()) if tries.is_file() else 0
tries.write_text("x" * (number + 1))
state = {"status": "finished", "key": job["key"], "started": now(), "duration_s": 1.0}
state["attempts"] = [{"started": now(), "duration_s": 1.0}]
%s
params.with_name("report.html").write_text("")
with open(job["parameters"]["log"], "a") as log:
    log.write(f"-{job['title']}\\n")
params.with_name("state.json").write_text(json.dumps(state))
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Replace what runs a job by a script of a few lines, with `do` in its middle; return a maker of jobs."""

    def use(do):
        monkeypatch.setattr(local, "RUN_JOB", (sys.executable, "-c", FAKE % do))

    def make(name, **more):
        job = a_job(tmp_path / f"{name}.ipynb", log=str(tmp_path / "log.txt"))
        return job.model_copy(update={"title": name, **more})

    make.use, make.log = use, tmp_path / "log.txt"
    use("")
    return make


def test_a_job_that_another_process_runs_fails_alone_and_is_not_started_nor_marked(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(local, "_PATIENCE_S", 0.0)
    held, free = fake("a"), fake("b")
    with locked(tmp_path / "key" / held.name):
        first, second = run_jobs([held, free], tmp_path)
    assert first.failure.sentence.startswith("it was not begun: ") and "run by another process" in str(first.failure)
    assert second.status == "finished" and fake.log.read_text().split() == ["+b", "-b"]
    assert read_state(tmp_path / "key" / held.name) is None


def test_jobs_that_time_run_alone_and_their_neighbours_beside_each_other(tmp_path, fake):
    fake.use("if job['title'] in 'bc':\n    other = {'b': '+c', 'c': '+b'}[job['title']]\n"
             "    while other not in open(job['parameters']['log']).read(): time.sleep(0.01)\n"
             "    time.sleep(0.8 * (job['title'] == 'c'))")  # fmt: skip
    jobs = [fake("a"), fake("b", times=False), fake("c", times=False), fake("d"), fake("e", times=False)]
    states = run_jobs(jobs, tmp_path, at_once=2)
    assert [state.status for state in states] == ["finished"] * 5
    lines = fake.log.read_text().split()
    assert lines[:2] == ["+a", "-a"] and set(lines[2:4]) == {"+b", "+c"} and set(lines[4:6]) == {"-b", "-c"}
    assert lines[6:] == ["+d", "-d", "+e", "-e"]


def test_no_more_run_at_once_than_the_plan_allows(tmp_path, fake):
    fake.use("time.sleep(0.8)")
    run_jobs([fake(name, times=False) for name in "abcd"], tmp_path, at_once=2)
    running, most = 0, 0
    for line in fake.log.read_text().split():
        running += 1 if line[0] == "+" else -1
        most = max(most, running)
    assert most == 2


def test_a_job_whose_process_was_killed_is_tried_again_as_often_as_it_may(tmp_path, fake):
    fake.use("if number < 2: os.kill(os.getpid(), signal.SIGKILL)\nstate['attempts'] *= 3")
    (state,) = run_jobs([fake("a", retries=2)], tmp_path)
    assert state.status == "finished" and fake.log.read_text().count("+a") == 3

    fake.use("os.kill(os.getpid(), signal.SIGKILL)")
    (state,) = run_jobs([fake("b", retries=1)], tmp_path)
    assert state.failure.kind == "killed" and "SIGKILL" in state.failure.sentence
    assert [attempt.failure.kind for attempt in state.attempts] == ["killed", "killed"]


def test_after_the_batchs_time_nothing_is_begun_and_each_says_so(tmp_path, fake):
    fake.use("time.sleep(1.5)")
    first, second = run_jobs([fake("a"), fake("b")], tmp_path, ends_s=time.monotonic() + 1, batch_s=1.0)
    assert first.status == "finished"
    assert second.failure.kind == "timeout" and "not begun: the batch's 1 s were over" in second.failure.sentence
    assert "+b" not in fake.log.read_text()
    (second,) = run_jobs([fake("b")], tmp_path)
    assert second.status == "finished", "another run of the batch does it"


def test_a_job_that_the_batchs_time_cut_short_says_whose_limit_it_was(tmp_path, fake):
    fake.use("state['status'] = 'failed'\nstate['failure'] = {'kind': 'timeout',"
             " 'sentence': f'cell 2 was ended: the job\\'s {job[\"limit_s\"]:g} s were over'}\n"
             "state['attempts'][0]['failure'] = state['failure']\nassert job['limit_s'] <= 50")  # fmt: skip
    (state,) = run_jobs([fake("a", retries=3)], tmp_path, ends_s=time.monotonic() + 50, batch_s=50.0)
    assert state.failure.sentence == "cell 2 was ended: the batch's 50 s were over"
    assert read_state(tmp_path / "key" / fake("a").name) == state
    assert fake.log.read_text().count("+a") == 1, "no retry: there is no time for one"


def test_a_job_that_does_not_end_is_ended(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(local, "GRACE_S", 0.5)
    fake.use("time.sleep(600)")
    (state,) = run_jobs([fake("a", limit_s=1.0)], tmp_path)
    assert state.failure.kind == "timeout" and "did not stop 0.5 s after its limit" in state.failure.sentence


def test_a_finished_job_is_not_done_again_and_a_damaged_state_is(tmp_path, fake):
    for _ in range(2):
        run_jobs([fake("a")], tmp_path)
    assert fake.log.read_text().count("+a") == 1
    (tmp_path / "key" / fake("a").name / "state.json").write_text('{"status": "fin')
    (state,) = run_jobs([fake("a")], tmp_path)
    assert state.status == "finished" and fake.log.read_text().count("+a") == 2


def test_an_unknown_engine_or_key_is_told():
    with pytest.raises(InputError, match="no engine 'slurm': there are local"):
        open_engine(EngineChoice(name="slurm"))
    with pytest.raises(InputError, match="local has no address"):
        open_engine(EngineChoice(address="tcp://x:1"))


def test_a_job_that_times_waits_for_other_jobs_on_this_host(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "timing.lock"))
    told = []
    late = pytest.raises(WorkbenchError, match="did not end in time")
    with host_turn(False), host_turn(False), late, host_turn(True, told.append, 0.0):
        pytest.fail("a job that times ran beside two that do not")
    with host_turn(True):
        with pytest.raises(WorkbenchError, match="did not end in time"), host_turn(False, patience_s=0.0):
            pass
        monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path))
        with host_turn(True) as handle:
            assert handle is None, "inside a job that has its turn nothing is waited for"
