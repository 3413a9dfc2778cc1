"""A job: one notebook with its parameters, the folder it fills, and the state it is in.

The folder holds ``params.json`` (what is to be done), ``state.json`` (how far it is), ``executed.ipynb``,
``results.json`` (a record; further ones are ``records/2.json`` and so on), ``outcome.json`` (the conclusion),
``report.html`` and ``log.txt``. Whatever else a notebook writes there is an artefact of it.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import ArgumentError

from workbench.batch.own_code import own_code_hash
from workbench.errors import InputError, WorkbenchError
from workbench.files import write_text
from workbench.gate.rules import Rules
from workbench.record import Machine

PARAMS, STATE, RESULTS, EXECUTED = "params.json", "state.json", "results.json", "executed.ipynb"
REPORT, LOG, LOCK = "report.html", "log.txt", ".lock"
RECORDS = "records"
FOLDER_VARIABLE = "WORKBENCH_JOB_FOLDER"

FailureKind = Literal[
    "exception", "timeout", "dead Jupyter kernel", "bad parameter", "bad notebook", "killed", "bad results", "report"
]


class Job(BaseModel):
    """What is to be done: the content of ``params.json``, enough to do it alone, with no engine."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Literal["workbench/job/1"] = Field(default="workbench/job/1", alias="schema")
    notebook: str = Field(description="the file's absolute path")
    title: str = Field(default="", description="what the plan or the person called it")
    parameters: dict[str, Any] = Field(default_factory=dict)
    limit_s: float = Field(default=600.0, gt=0)
    retries: int = Field(default=0, ge=0)
    tags: list[str] = Field(default_factory=list)
    takes_s: float | None = Field(default=None, description="what it took where its plan was written")
    times: bool = Field(default=True, description="whether it times something, and so needs its host for itself")
    host: str = Field(default="", description="where it has to run, for an engine of many machines")
    rules: Rules = Field(default=Rules(), description="budgets and margins that its results are judged by")
    batch: str = ""
    store: str | None = Field(default=None, description="URL of the store that the notebook reads baselines from")
    key: str = Field(default="", description="hash of notebook, parameters, environment, hardware key and code")

    @property
    def name(self) -> str:
        """Return the name of the job's folder: the notebook's, and a hash of the parameters."""
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(self.notebook).stem)[:60] or "notebook"
        text = json.dumps([self.notebook, self.parameters], sort_keys=True, default=str)
        return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Failure(BaseModel):
    """Why a job failed: one sentence, and where in the notebook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FailureKind
    sentence: str
    cell: int | None = Field(default=None, description="the failing cell, from 1")
    source: str = ""
    traceback: str = ""


class Attempt(BaseModel):
    """One try."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    started: datetime.datetime
    duration_s: float
    failure: Failure | None = None


class State(BaseModel):
    """How far a job is: the content of ``state.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["running", "finished", "failed"]
    key: str
    host: str = ""
    started: datetime.datetime
    duration_s: float = 0.0
    cells: int = 0
    attempts: list[Attempt] = Field(default_factory=list)
    failure: Failure | None = None
    made: list[str] = Field(default_factory=list, description="files and folders of the last attempt, beside its own")


def job_key(notebook: Path, parameters: dict[str, Any], machine: Machine, rules: Rules | None = None) -> str:
    """Hash what decides a job's results: notebook, parameters, rules, environment, hardware key and code.

    The code is that of the workbench and its kernels, and the person's own where a parameter names it.
    """
    try:
        content = notebook.read_bytes()
    except (OSError, ValueError):  # the job tells that it is missing
        content = b""
    parts = [
        hashlib.sha256(content).hexdigest(),
        parameters,
        dict(sorted(machine.versions.items())),
        machine.numba_settings,
        machine.target_cpu,
        machine.target_features_hash,
        machine.hardware_key,
        code_hash(),
        own_code_hash(parameters),
        os.environ.get("WORKBENCH_DATA", ""),
        (rules or Rules()).model_dump(mode="json"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def code_hash() -> str:
    """Hash every Python file of ``kernels`` and ``workbench``."""
    import kernels
    import workbench

    digest = hashlib.sha256()
    for package in (kernels, workbench):
        assert package.__file__ is not None
        folder = Path(package.__file__).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def write_job(folder: Path, job: Job) -> None:
    """Write what is to be done into the job's folder; of its store, no address that holds a secret.

    Who starts a process for the job gives it `store_environment` as well.
    """
    told = job.model_copy(update={"store": None}) if _holds_secret(job.store) else job
    write_text(folder / PARAMS, told.model_dump_json(by_alias=True, indent=1) + "\n")


def store_environment(job: Job) -> dict[str, str]:
    """Return the variable that names the job's store to its processes; nothing where it has none of its own."""
    return {"WORKBENCH_STORE": job.store} if job.store else {}


def _holds_secret(store: str | None) -> bool:
    """Return whether the URL names a password; a path never does."""
    if store is None or "://" not in store:
        return False
    try:
        address = sa.make_url(store)
    except (ArgumentError, ValueError):
        return True  # nobody knows what it holds
    return bool(address.password) or any("password" in name for name in address.query)


def read_job(path: Path) -> Job:
    """Read a job from its ``params.json``. Raises InputError that names the field."""
    try:
        return Job.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give the params.json of a job") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {field} is wrong: {first['msg']}") from None


def write_state(folder: Path, state: State) -> None:
    """Write how far a job is."""
    write_text(folder / STATE, state.model_dump_json(indent=1) + "\n")


def read_state(folder: Path) -> State | None:
    """Return how far the job in `folder` is; None when it was never begun. Raises WorkbenchError when it is damaged."""
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        return State.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise WorkbenchError(
            f"{path} is damaged ({error.errors()[0]['msg']}): delete its folder and the job is done again"
        ) from None


def record_files(folder: Path) -> list[Path]:
    """Return the files of the records that the job in `folder` wrote, ``results.json`` first."""
    first = folder / RESULTS
    others = (folder / RECORDS).glob("*.json")
    numbered = sorted(others, key=lambda path: (int(path.stem) if path.stem.isdecimal() else 0, path.name))
    return [path for path in (first, *numbered) if path.is_file()]


def is_finished(folder: Path, key: str) -> bool:
    """Return whether the job in `folder` was finished with the same notebook, parameters, environment and code."""
    state = read_state(folder)
    return state is not None and state.status == "finished" and state.key == key and (folder / REPORT).is_file()
