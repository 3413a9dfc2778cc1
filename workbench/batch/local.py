"""The local engine: one job after the other, each in a process of its own, on this machine.

One after the other because each measures: two at a time would disturb each other.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from workbench.batch.folder import locked
from workbench.batch.job import (
    LOG,
    PARAMS,
    Attempt,
    Failure,
    Job,
    State,
    is_finished,
    read_state,
    write_job,
    write_state,
)
from workbench.errors import WorkbenchError

_PATIENCE_S = 10.0  # a job whose batch was killed is gone in far less
GRACE_S = 60.0  # beyond its limit a job has this long to stop its Jupyter kernel and write what it has
RUN_JOB = (sys.executable, "-m", "workbench", "run-job")  # what any engine starts


class Listener(Protocol):
    """Who wants to know how far the batch is."""

    def started(self, place: int, job: Job) -> None:
        """Tell that a job begins."""

    def cell(self, place: int, job: Job, cell: int, cells: int) -> None:
        """Tell that a job is at cell `cell` of `cells`."""

    def ended(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        """Tell that a job is over; `again` is False for one that was finished before."""


def run_jobs(
    jobs: Sequence[Job], folder: Path, listener: Listener, render: Callable[[Path, State], None]
) -> list[State]:
    """Run those of `jobs` that are not finished, below `folder`; return the state of each. A failure stops none.

    `render` writes the report of a job whose process could not.
    Raises InputError when another process runs one of them.
    """
    states = []
    for place, job in enumerate(jobs):
        own = folder / job.name
        with locked(own, _PATIENCE_S) as lock:
            state = _finished_state(own, job.key)
            again = state is None
            if state is None:
                write_job(own, job)
                listener.started(place, job)
                state = _run(place, job, own, lock, listener, render)
        listener.ended(place, job, own, state, again=again)
        states.append(state)
    return states


def _finished_state(folder: Path, key: str) -> State | None:
    """Return the state of a job that need not be done again; a damaged one is done again."""
    with contextlib.suppress(WorkbenchError):
        if is_finished(folder, key):
            return read_state(folder)
    return None


def _run(
    place: int, job: Job, folder: Path, lock: int, listener: Listener, render: Callable[[Path, State], None]
) -> State:
    """Run one job in its own process; tell truthfully what became of it, even if that process is killed.

    That process inherits the handle `lock`: while it lives, no other runs the same job, even if this one is gone.
    """
    started = datetime.datetime.now(datetime.UTC)
    clock = time.monotonic()
    limit_s = (job.limit_s + GRACE_S) * (job.retries + 1)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [*RUN_JOB, str(folder / PARAMS), "--parent", str(os.getpid())],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
        )
        try:
            over = _follow(process, limit_s, lambda cell, cells: listener.cell(place, job, cell, cells))
        except BaseException:
            _kill(process)
            raise
    state = None
    with contextlib.suppress(WorkbenchError):
        state = read_state(folder)
    if state is not None and state.key == job.key and state.status != "running" and state.started >= started:
        return state
    sentence = (
        f"its process was ended: it did not stop {GRACE_S:g} s after its limit"
        if over
        else f"its process ended unexpectedly ({_why(process.returncode)}): see {LOG}"
    )
    failure = Failure(kind="timeout" if over else "killed", sentence=sentence)
    duration = round(time.monotonic() - clock, 3)
    attempts = [*(state.attempts if state else []), Attempt(started=started, duration_s=duration, failure=failure)]
    state = State(
        status="failed", key=job.key, host=socket.gethostname(), started=started, duration_s=duration,
        attempts=attempts, failure=failure,
    )  # fmt: skip
    with contextlib.suppress(Exception):  # the index shows the failure even where its page cannot be written
        render(folder, state)
    write_state(folder, state)
    return state


def _follow(process: subprocess.Popen[bytes], limit_s: float, on_cell: Callable[[int, int], None]) -> bool:
    """Read the job's progress until it ends; end it after `limit_s` and return True then.

    Sleeps between lines: the job may be measuring.
    """
    assert process.stdout is not None
    deadline = time.monotonic() + limit_s
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (remaining := deadline - time.monotonic()) > 0:
            if not selector.select(remaining):
                continue
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    told = json.loads(line)
                    on_cell(int(told["cell"]), int(told["cells"]))
    process.stdout.close()
    try:
        process.wait(max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _kill(process)
        return True
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a job's process; its Jupyter kernel notices within a second and ends too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _why(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
