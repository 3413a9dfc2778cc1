"""The local engine runs a job only where no other process does, and its child keeps the folder when it is gone."""

import json
import os
import subprocess
import sys

import pytest
from tiny_notebook import a_job, write_notebook

from workbench.batch import local
from workbench.batch.engines import Work
from workbench.batch.folder import locked
from workbench.batch.job import PARAMS, read_state, write_job
from workbench.errors import InputError


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


def test_a_job_that_another_process_runs_is_not_started_nor_marked(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(local.subprocess, "Popen", lambda *_, **__: pytest.fail("it was started"))
    job = a_job(tmp_path / "tiny.ipynb")
    with (
        locked(tmp_path / "key" / job.name),
        pytest.raises(InputError, match="is being run by another process: wait for it"),
    ):
        run_jobs([job], tmp_path)
    assert read_state(tmp_path / "key" / job.name) is None


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
