"""What runs the jobs of a batch: one small interface, and the engines that fill it.

An engine decides where and when a job runs, nothing else. It starts ``workbench run-job`` for each job, so that a job
is the same under every engine, and tells its listener what happens. ``local`` runs on this machine; others are a row
in `ENGINES` and one file with a function ``make(choice) -> Engine``.

What every engine keeps to:

- A failure of a job, of its process or of the machine it ran on becomes that job's state, never an exception.
- A job that `is_finished` in its folder is not run again: `Listener.ended` is called with ``again=False``.
- A job that times something has its host to itself (`workbench.batch.turn`); `Job.times` tells which do.
- `Listener.ended` is called once for each job, after its folder holds everything, from the thread that called `run`.
- A job that somebody runs by hand meanwhile fails here (`held_state`); its folder stays as it is.
- After `Work.ends_s` no job is begun, and one that runs is ended; the states say so (`overdue_state`).
"""

from __future__ import annotations

import datetime
import importlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from workbench.batch.job import Failure, Job, State
from workbench.errors import InputError, WorkbenchError

Render = Callable[[Path, State], None]
ENGINES = {"local": "workbench.batch.local", "dask": "workbench.batch.dask_engine"}


class EngineChoice(BaseModel):
    """The ``[engine]`` table of a plan. An engine refuses the keys that it has no use for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "local"
    at_once: int = Field(default=1, ge=1, le=256, description="jobs that time nothing, at the same time on one host")
    address: str = Field(default="", description="of a scheduler, for an engine of many machines")


@dataclass(frozen=True)
class Work:
    """What an engine is to do. `folder` is the batch's: a job's own is ``<folder>/<hardware key>/<job.name>``."""

    jobs: Sequence[Job]
    folder: Path
    hardware_key: str
    """Of the machine that drives the batch; `Job.key` was made with it."""
    at_once: int = 1
    ends_s: float | None = None
    """When, by ``time.monotonic()``, the whole batch is over; None: never."""
    batch_s: float | None = None
    """The plan's limit that `ends_s` comes from, for what is told."""


@dataclass(frozen=True)
class Done:
    """What became of a job, and in which folder: it may have run for another hardware key."""

    folder: Path
    state: State


class Listener(Protocol):
    """Who wants to know how far the batch is. `place` counts the batch's jobs from 0."""

    def started(self, place: int, job: Job) -> None:
        """Tell that a job begins."""

    def cell(self, place: int, job: Job, cell: int, cells: int) -> None:
        """Tell that a job is at cell `cell` of `cells`."""

    def note(self, text: str) -> None:
        """Tell what is no job's own, in one line: a wait, a worker that came or went."""

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Tell that a job is over; `again` is False for one that was finished before."""


class Engine(Protocol):
    """Runs jobs."""

    def run(self, work: Work, listener: Listener, render: Render) -> list[Done]:
        """Run what is not finished of `work` and return what became of each job, in its order.

        `render` writes the report of a job whose own process could not. Raises InputError before the first job where
        nothing can be run at all, as without a scheduler.
        """


def open_engine(choice: EngineChoice) -> Engine:
    """Return the engine that `choice` names. Raises InputError for an unknown one, or without what it needs."""
    module = ENGINES.get(choice.name)
    if module is None:
        raise InputError(f"there is no engine {choice.name[:60]!r}: there are {', '.join(ENGINES)}")
    try:
        engine: Engine = importlib.import_module(module).make(choice)
    except ModuleNotFoundError as error:
        raise InputError(
            f"the engine {choice.name} needs {error.name}: pip install 'kernel-workbench[distributed]'"
        ) from None
    return engine


def held_state(job: Job, why: WorkbenchError) -> State:
    """Return the state of a job whose folder could not be had; it is not written there, since another may be."""
    now = datetime.datetime.now(datetime.UTC)
    failure = Failure(kind="timeout", sentence=f"it was not begun: {why}")
    return State(status="failed", key=job.key, host=socket.gethostname(), started=now, failure=failure)


def overdue_state(job: Job, batch_s: float | None) -> State:
    """Return the state of a job that was never begun because the whole batch's time was over."""
    limit = "" if batch_s is None else f"{batch_s:g} s "
    sentence = f"it was not begun: the batch's {limit}were over; run the batch again and it is done"
    now = datetime.datetime.now(datetime.UTC)
    failure = Failure(kind="timeout", sentence=sentence)
    return State(status="failed", key=job.key, host=socket.gethostname(), started=now, failure=failure)
