"""Run one notebook through papermill, and tell what happened truthfully.

papermill marks a cell *completed* after its time ran out or its Jupyter kernel died, and writes nothing then. This
runner tells both as failures, names the cell, keeps the notebook as far as it came, and moves a job's files into its
folder only once they are whole.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import re
import shutil
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from workbench import record
from workbench.batch.job import (
    EXECUTED,
    FOLDER_VARIABLE,
    LOCK,
    LOG,
    PARAMS,
    REPORT,
    RESULTS,
    STATE,
    Attempt,
    Failure,
    Job,
    State,
    read_state,
    record_files,
    store_environment,
    write_state,
)
from workbench.batch.papermill_engine import Execution, execute
from workbench.batch.parameters import ParameterError, check_parameters, declared_parameters, read_notebook
from workbench.errors import InputError, WorkbenchError
from workbench.files import write_text
from workbench.gate.outcome import FILE as OUTCOME
from workbench.gate.outcome import read_outcome
from workbench.gate.rules import FILE as RULES
from workbench.gate.rules import Rules, write_rules

Render = Callable[[Path, State], None]
OnCell = Callable[[int, int], None]
_KEPT = (PARAMS, STATE, LOG, LOCK)  # the job's own: no notebook writes them
_OWN = (EXECUTED, RESULTS, OUTCOME, RULES, REPORT)  # what an attempt may have left, by fixed names
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def run_job(job: Job, folder: Path, render: Render, on_cell: OnCell = lambda cell, cells: None) -> State:
    """Run `job` into `folder` until it is finished or has failed as often as it may; return its last state.

    `render` writes the report from the folder's files. ``state.json`` says finished only after everything else is in
    its place, so a process that is killed at any moment leaves a job that is done again, never half of one.
    Raises InputError or WorkbenchError only where the folder itself cannot be written.
    """
    attempts = _earlier_attempts(folder, job.key)
    made = _made_before(folder)
    for _ in range(job.retries + 1):
        state = _attempt(job, folder, attempts, made, on_cell)
        state = _render(folder, state, render)
        write_state(folder, state)
        attempts, made = list(state.attempts), list(state.made)
        if state.status == "finished":
            break
    return state


def _earlier_attempts(folder: Path, key: str) -> list[Attempt]:
    """Return the tries that the folder tells of; one that was broken off becomes one that failed."""
    try:
        earlier = read_state(folder)
    except WorkbenchError:  # damaged from outside: what it told is lost, and the job is done again
        return []
    if earlier is None or earlier.key != key:
        return []
    if earlier.status != "running":
        return list(earlier.attempts)
    sentence = "it was broken off: its process, the whole batch or the machine was ended during it"
    log = folder / LOG
    last_s = log.stat().st_mtime if log.is_file() else 0.0  # its last sign of life
    duration_s = round(max(0.0, last_s - earlier.started.timestamp()), 3)
    failure = Failure(kind="killed", sentence=sentence)
    return [*earlier.attempts, Attempt(started=earlier.started, duration_s=duration_s, failure=failure)]


def _made_before(folder: Path) -> list[str]:
    """Return what the last attempt of whichever job put into the folder."""
    with contextlib.suppress(WorkbenchError):
        earlier = read_state(folder)
        return [] if earlier is None else list(earlier.made)
    return []


def _attempt(job: Job, folder: Path, attempts: list[Attempt], made: list[str], on_cell: OnCell) -> State:
    """Run the notebook once; every failure of it becomes a `Failure`, none an exception."""
    started = datetime.datetime.now(datetime.UTC)
    clock = time.monotonic()
    begun = State(
        status="running", key=job.key, host=socket.gethostname(), started=started, attempts=attempts, made=made
    )
    write_state(folder, begun)
    _sweep(folder, made)
    scratch = folder / f".attempt-{os.getpid()}-{len(attempts) + 1}"
    scratch.mkdir(parents=True)
    execution = Execution()
    failure: Failure | None
    with _log(folder / LOG) as log:
        try:
            failure = _execute(job, scratch, execution, on_cell, log)
        except ParameterError as error:
            failure = Failure(kind="bad parameter", sentence=str(error))
        except InputError as error:
            failure = Failure(kind="bad notebook", sentence=str(error))
        except WorkbenchError as error:
            failure = Failure(kind="bad results", sentence=str(error))
        except Exception as error:  # a library's own mistake must not pass for a running job
            told = f"it could not be run: {type(error).__name__}: {error}"
            failure = Failure(kind="bad notebook", sentence=told, traceback=traceback.format_exc())
        log.info("finished" if failure is None else f"failed: {failure.sentence}")
    for name in _KEPT:  # moved in, it would take the place of the job's own
        if os.path.lexists(scratch / name):
            os.replace(scratch / name, _free(scratch, name))
    begun = begun.model_copy(update={"made": sorted(item.name for item in scratch.iterdir())})
    write_state(folder, begun)  # before they are there: what a killed process leaves is known to be its own
    _move_in(scratch, folder)
    duration = round(time.monotonic() - clock, 3)
    return begun.model_copy(
        update={
            "status": "finished" if failure is None else "failed",
            "duration_s": duration,
            "cells": execution.cells,
            "failure": failure,
            "attempts": [*attempts, Attempt(started=started, duration_s=duration, failure=failure)],
        }
    )


def _execute(job: Job, scratch: Path, execution: Execution, on_cell: OnCell, log: logging.Logger) -> Failure | None:
    """Check, run and judge the notebook; write what came of it into `scratch`."""
    path = Path(job.notebook)
    raw = read_notebook(path)
    values = check_parameters(declared_parameters(raw, path.name), job.parameters, path.name)
    try:
        notebook = nbformat.from_dict(raw)
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise InputError(f"{path} is no valid notebook: {str(error).splitlines()[0]}") from None
    log.info(f"{path.name} with {json.dumps(values)}")
    if job.rules != Rules():
        write_rules(scratch, job.rules)
    environment = {**os.environ, **store_environment(job), FOLDER_VARIABLE: str(scratch)}
    failure = execute(notebook, values, job.limit_s, environment, execution, on_cell, log)
    write_text(scratch / EXECUTED, nbformat.writes(execution.notebook))
    for path in record_files(scratch) if failure is None else ():
        try:
            record.read(path)
        except record.RecordError as error:
            return Failure(kind="bad results", sentence=str(error))
    if failure is None:
        read_outcome(scratch)
    return failure


def _render(folder: Path, state: State, render: Render) -> State:
    """Write the report; a report that cannot be made is a failure of the job, told like any other."""
    try:
        render(folder, state)
    except Exception as error:
        told = f"the report could not be written: {error}"
        failure = Failure(kind="report", sentence=told, traceback=traceback.format_exc())
        return state.model_copy(update={"status": "failed", "failure": state.failure or failure})
    return state


def _sweep(folder: Path, made: list[str]) -> None:
    """Take away what an earlier attempt left, and nothing else: the folder may be one that a person chose."""
    for left in folder.glob(".attempt-*"):
        shutil.rmtree(left, ignore_errors=True)
    for name in (*_KEPT, *_OWN):  # what a killed process was writing: it took no place
        for left in folder.glob(f".{name}.*.writing"):
            left.unlink(missing_ok=True)
    kept = (*_KEPT, "", ".", "..")
    for name in {*made, *_OWN}:
        if name in kept or Path(name).name != name:  # a state that somebody else wrote names nothing outside
            continue
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _free(scratch: Path, name: str) -> Path:
    """Return the place of an artefact that the notebook called as a file of the job's own."""
    stem = f"notebook-{name.lstrip('.')}"
    taken = {each.name for each in scratch.iterdir()}
    return scratch / next(each for n in range(len(taken) + 1) if (each := "x" * n + stem) not in taken)


def _move_in(scratch: Path, folder: Path) -> None:
    """Move every file of a finished attempt to its place."""
    for item in sorted(scratch.iterdir()):
        target = folder / item.name
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(item, target)
    with contextlib.suppress(OSError):
        scratch.rmdir()


@contextlib.contextmanager
def _log(path: Path) -> Any:
    """Log to the job's file, with times in UTC, without the colours of terminals."""
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    formatter = _Plain("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger(f"workbench.job.{path.parent.name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        handler.close()


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _ANSI.sub("", super().format(record)).rstrip()
