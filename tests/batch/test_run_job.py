"""One job alone, with no engine: its folder is filled, its results stored where told, its exit code says what came."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_notebook import WRITE_RESULTS, a_job, write_notebook

from workbench.batch import runner
from workbench.batch.job import PARAMS, read_state, write_job
from workbench.batch.turn import host_turn
from workbench.commands.run_job import command
from workbench.errors import Exit, InputError, WorkbenchError
from workbench.store import open_store

TESTS = str(Path(__file__).resolve().parents[1])


def invoke(*words):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)


@pytest.mark.notebook
def test_a_job_alone_fills_its_folder_and_stores_its_results_where_told(tmp_path):
    source = WRITE_RESULTS.format(tests=TESTS, baseline="main")
    regression = source.replace('headline="all is well"', 'headline="it became slower", verdict="SLOWER"')
    notebook = write_notebook(tmp_path / "tiny.ipynb", regression)
    folder, store = tmp_path / "job", tmp_path / "store.sqlite3"
    write_job(folder, a_job(notebook))
    done = invoke(folder / PARAMS, "--store", store)
    assert done.return_value == Exit.REGRESSION, done.output
    assert json.loads(done.stdout.splitlines()[0]) == {"cell": 1, "cells": 4}
    assert read_state(folder).status == "finished" and (folder / "report.html").is_file()
    assert len(open_store(str(store)).runs()) == 1 and open_store(str(store)).baseline("main") is not None


def test_a_job_that_fails_is_told_and_stores_nothing(tmp_path):
    folder, store = tmp_path / "job", tmp_path / "store.sqlite3"
    write_job(folder, a_job(tmp_path / "absent.ipynb"))
    done = invoke(folder / PARAMS, "--store", store)
    assert done.return_value == Exit.FAILED and "absent.ipynb" in done.stderr
    assert read_state(folder).failure.kind == "bad notebook" and open_store(str(store)).runs() == []


def test_a_store_that_cannot_be_opened_is_told_before_the_job_runs(tmp_path):
    folder = tmp_path / "job"
    write_job(folder, a_job(tmp_path / "absent.ipynb"))
    with pytest.raises(InputError, match="not a database"):
        invoke(folder / PARAMS, "--store", folder / PARAMS)
    assert read_state(folder) is None


def test_a_file_that_describes_no_job_is_told(tmp_path):
    (tmp_path / PARAMS).write_text('{"notebook": 5}')
    with pytest.raises(InputError, match="notebook is wrong"):
        invoke(tmp_path / PARAMS)


@pytest.mark.parametrize("times", [True, False])
def test_a_job_alone_has_its_turn_on_the_host_as_in_a_batch(tmp_path, monkeypatch, times):
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "timing.lock"))
    run, beside = runner.run_job, []

    def looks(*arguments):
        for other in (True, False):
            try:
                with host_turn(other, patience_s=0.0):
                    beside.append(other)
            except WorkbenchError:
                continue
        return run(*arguments)

    monkeypatch.setattr(runner, "run_job", looks)
    folder = tmp_path / "job"
    write_job(folder, a_job(tmp_path / "absent.ipynb").model_copy(update={"times": times}))
    invoke(folder / PARAMS)
    assert beside == ([] if times else [False])
    invoke(folder / PARAMS, "--parent", os.getppid())
    assert beside[-2:] == [True, False], "whoever started it holds the turn"
