"""What happened to a notebook is told truthfully, where papermill calls a cell completed that never was."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import factory
import nbformat
import pytest
from tiny_notebook import WRITE_RESULTS, a_job, write_notebook

from workbench.batch import papermill_engine, runner
from workbench.batch.ingest import ingest
from workbench.batch.job import is_finished, read_state
from workbench.store import open_store

pytestmark = pytest.mark.notebook
TESTS = str(Path(__file__).resolve().parents[1])


def render(folder, state):
    (folder / "report.html").write_text(state.status)


def run(tmp_path, *sources, limit_s=400, render=render, on_cell=lambda cell, count: None, **parameters):
    notebook = write_notebook(tmp_path / "tiny.ipynb", *sources)
    state = runner.run_job(a_job(notebook, limit_s, **parameters), tmp_path / "job", render, on_cell)
    return state, tmp_path / "job"


def test_a_good_notebook_is_finished_with_its_results(tmp_path):
    cells = []
    notebook = write_notebook(
        tmp_path / "tiny.ipynb", "print(number, name)", WRITE_RESULTS.format(tests=TESTS, baseline="main")
    )
    job, folder = a_job(notebook, number=7), tmp_path / "job"
    state = runner.run_job(job, folder, render, lambda cell, count: cells.append((cell, count)))
    assert (state.status, state.failure, state.cells) == ("finished", None, 5)
    assert cells == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert read_state(folder) == state and is_finished(folder, "k") and not is_finished(folder, "other")
    executed = nbformat.read(folder / "executed.ipynb", as_version=4)
    assert executed.cells[3].outputs[0].text == "7 x\n"
    assert sorted(path.name for path in folder.iterdir()) == [
        "executed.ipynb", "log.txt", "outcome.json", "report.html", "results.json", "state.json"
    ]  # fmt: skip
    store = open_store(str(tmp_path / "s.sqlite3"))
    first = ingest(folder, store)
    assert ingest(folder, store) == first
    assert len(store.runs()) == 1 and store.baseline("main", "order_book") == first
    store.save_baseline("main", later := factory.run(seed=9, with_blocks=False))
    ingest(folder, store)
    assert store.baseline("main", "order_book") == later, "a baseline that a person replaced is not put back"


def test_an_exception_names_cell_and_traceback_and_leaves_no_results(tmp_path):
    state, folder = run(tmp_path, "x = 1", "raise ValueError('bad <b>thing</b>')", "print('never')")
    assert state.status == "failed" and state.failure.kind == "exception"
    assert "ValueError: bad <b>thing</b>" in state.failure.sentence
    assert state.failure.source.startswith("raise ValueError") and "Traceback" in state.failure.traceback
    assert "\x1b" not in state.failure.traceback
    executed = nbformat.read(folder / "executed.ipynb", as_version=4)
    assert executed.cells[state.failure.cell - 1].outputs[0].ename == "ValueError"
    assert "papermill-error-cell-tag" not in (folder / "executed.ipynb").read_text()
    assert (folder / "report.html").read_text() == "failed"


def test_a_cell_that_takes_too_long_is_a_failure_with_the_partial_notebook(tmp_path, monkeypatch):
    passed = [0.0]  # seconds that a clock of our own is ahead: the limit is over when the long cell starts
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr(papermill_engine, "time", clock)

    def on_cell(cell, count):
        passed[0] = 400.0 * (cell == count - 1)

    sources = ("print('before')", "import time; time.sleep(600)", "print('never')")
    state, folder = run(tmp_path, *sources, on_cell=on_cell)
    assert state.failure.kind == "timeout" and "400 s were over" in state.failure.sentence
    executed = nbformat.read(folder / "executed.ipynb", as_version=4)
    assert executed.cells[3].outputs[0].text == "before\n"
    failing = executed.cells[state.failure.cell - 1]
    assert "sleep" in failing.source and failing.outputs[-1].ename == "timeout"
    assert failing.metadata.papermill.status == "failed"
    assert executed.cells[-1].metadata.papermill.status == "pending"


def test_a_dead_jupyter_kernel_is_a_failure(tmp_path):
    state, folder = run(tmp_path, "print('before')", "import os; os._exit(1)", "print('never')")
    assert state.failure.kind == "dead Jupyter kernel" and "died in cell" in state.failure.sentence
    assert "os._exit" in state.failure.source
    assert (folder / "executed.ipynb").is_file()


@pytest.mark.parametrize(
    ("parameters", "says"), [({"nubmer": 5}, "no parameter 'nubmer'"), ({"number": "5"}, "is a whole number")]
)
def test_a_bad_parameter_is_told_without_starting_a_jupyter_kernel(tmp_path, monkeypatch, parameters, says):
    monkeypatch.setattr(runner, "execute", lambda *_: pytest.fail("a Jupyter kernel was started"))
    state, _ = run(tmp_path, "print(1)", **parameters)
    assert state.failure.kind == "bad parameter" and says in state.failure.sentence


def test_a_missing_or_broken_notebook_is_told(tmp_path):
    job = a_job(tmp_path / "absent.ipynb")
    assert runner.run_job(job, tmp_path / "job", render).failure.kind == "bad notebook"
    (tmp_path / "broken.ipynb").write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"a": 1}]}')
    state = runner.run_job(a_job(tmp_path / "broken.ipynb"), tmp_path / "job2", render)
    assert state.failure.kind in ("bad notebook", "bad parameter") and state.status == "failed"


def test_results_that_are_no_record_are_a_failure(tmp_path):
    source = "import os, pathlib\n(pathlib.Path(os.environ['WORKBENCH_JOB_FOLDER']) / 'results.json').write_text('{}')"
    state, _ = run(tmp_path, source)
    assert state.failure.kind == "bad results" and "schema" in state.failure.sentence


def test_a_report_that_cannot_be_written_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "execute", no_execution)

    def fails(folder, state):
        raise RuntimeError("no ink")

    state, _ = run(tmp_path, "print(1)", render=fails)
    assert state.status == "failed" and "no ink" in state.failure.sentence


def no_execution(notebook, values, limit_s, environment, execution, on_cell, log):
    execution.notebook = notebook


def test_attempts_are_counted_and_a_failed_ones_results_do_not_stay(tmp_path, monkeypatch):
    outcomes = ["fails", "fails", "works"]

    def executes(notebook, values, limit_s, environment, execution, on_cell, log):
        execution.notebook = notebook
        folder = Path(environment["WORKBENCH_JOB_FOLDER"])
        if outcomes.pop(0) == "fails":
            (folder / "results.json").write_text(factory.run(with_blocks=False).to_json())
            (folder / "lines").mkdir()
            return runner.Failure(kind="exception", sentence="flaky")
        return None

    monkeypatch.setattr(runner, "execute", executes)
    notebook = write_notebook(tmp_path / "tiny.ipynb", "1")
    job = a_job(notebook).model_copy(update={"retries": 1})
    assert runner.run_job(job, tmp_path / "job", render).status == "failed"
    state = runner.run_job(job, tmp_path / "job", render)
    assert state.status == "finished" and state.failure is None
    assert [attempt.failure is None for attempt in state.attempts] == [False, False, True]
    assert not (tmp_path / "job" / "results.json").exists()
    assert not list((tmp_path / "job").glob(".attempt-*"))


def test_only_what_an_attempt_made_is_swept(tmp_path, monkeypatch):
    def executes(notebook, values, limit_s, environment, execution, on_cell, log):
        execution.notebook = notebook
        scratch = Path(environment["WORKBENCH_JOB_FOLDER"])
        (scratch / "profile").mkdir()
        (scratch / "profile" / "lines.html").write_text("")
        (scratch / f"{values['name']}.txt").write_text("")
        return None

    monkeypatch.setattr(runner, "execute", executes)
    folder = tmp_path / "a folder that a person chose"
    (folder / "letters").mkdir(parents=True)
    for mine in ("thesis.txt", "letters/first.txt", ".lock"):
        (folder / mine).write_text("mine")
    notebook = write_notebook(folder / "tiny.ipynb", "1")
    runner.run_job(a_job(notebook, name="first"), folder, render)
    assert (folder / "first.txt").is_file() and (folder / "profile").is_dir()
    state = runner.run_job(a_job(notebook, name="second"), folder, render)
    assert state.made == ["executed.ipynb", "profile", "second.txt"]
    assert not (folder / "first.txt").exists() and (folder / "second.txt").is_file() and notebook.is_file()
    assert all((folder / mine).read_text() == "mine" for mine in ("thesis.txt", "letters/first.txt", ".lock"))

    hostile = state.model_copy(update={"made": ["..", "letters/first.txt", "/etc/x", "params.json"]})
    runner.write_state(folder, hostile)
    runner.run_job(a_job(notebook, name="third"), folder, render)
    assert (folder / "letters" / "first.txt").is_file()


def test_an_artefact_called_as_a_file_of_the_jobs_own_gets_another_name(tmp_path, monkeypatch):
    def executes(notebook, values, limit_s, environment, execution, on_cell, log):
        execution.notebook = notebook
        scratch = Path(environment["WORKBENCH_JOB_FOLDER"])
        for name in ("log.txt", "params.json", ".lock", "notebook-log.txt"):
            (scratch / name).write_text("the notebook's")
        (scratch / "state.json").mkdir()
        return None

    monkeypatch.setattr(runner, "execute", executes)
    folder = tmp_path / "job"
    folder.mkdir()
    for own in ("params.json", ".lock"):
        (folder / own).write_text("the job's")
    state = runner.run_job(a_job(write_notebook(tmp_path / "tiny.ipynb", "1")), folder, render)
    assert state.status == "finished" and read_state(folder) == state
    assert "finished" in (folder / "log.txt").read_text()
    assert all((folder / own).read_text() == "the job's" for own in ("params.json", ".lock"))
    renamed = ["notebook-lock", "notebook-log.txt", "notebook-params.json", "notebook-state.json", "xnotebook-log.txt"]
    assert state.made == ["executed.ipynb", *renamed] and all((folder / name).exists() for name in renamed)


def test_what_a_killed_process_was_writing_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "execute", no_execution)
    folder = tmp_path / "job"
    folder.mkdir()
    for name in (".state.json.k3xq.writing", ".report.html.ab_1.writing", ".thesis.txt.a.writing"):
        (folder / name).write_text("half")
    runner.run_job(a_job(write_notebook(tmp_path / "tiny.ipynb", "1")), folder, render)
    assert [path.name for path in folder.glob(".*")] == [".thesis.txt.a.writing"], "a person's own stays"


def test_the_state_file_is_json_that_others_read(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "execute", no_execution)
    _, folder = run(tmp_path, "1")
    told = json.loads((folder / "state.json").read_text())
    assert told["status"] == "finished" and told["attempts"][0]["failure"] is None
