"""The local engine: jobs on this machine, each in a process of its own.

Jobs that time something run one after the other, alone, in the plan's order; neighbours in the plan that time nothing
run beside each other, as many as the plan allows. One loop watches them all and sleeps between their lines: a thread
that wakes often would disturb what is timed.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workbench.batch.engines import Done, EngineChoice, Listener, Render, Work, held_state, overdue_state
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
    store_environment,
    write_job,
    write_state,
)
from workbench.batch.turn import host_turn
from workbench.errors import InputError, WorkbenchError

_PATIENCE_S = 10.0  # a job whose batch was killed is gone in far less
GRACE_S = 120.0  # beyond its limit a job has this long to stop its Jupyter kernel and write what it has
FULL_BYTES = 1_000_000  # a job's files do not fit into less
RUN_JOB = (sys.executable, "-m", "workbench", "run-job")  # what any engine starts


def make(choice: EngineChoice) -> LocalEngine:
    """Return the engine. Raises InputError for what it does not know."""
    if choice.address:
        raise InputError("the engine local has no address: take it out, or name another engine")
    return LocalEngine()


@dataclass
class _Running:
    """A job that runs: its process, what has to be let go of when it ends, and when it is to end."""

    place: int
    job: Job
    folder: Path
    handles: list[int]  # of the locks that its process inherits
    held: contextlib.ExitStack
    begun: datetime.datetime  # its first try in this run
    retries: int  # that are left
    cut: bool = False  # whether the batch's end comes before the job's own limit
    process: subprocess.Popen[bytes] = field(init=False)
    started: datetime.datetime = field(init=False)
    clock_s: float = field(init=False)
    deadline_s: float = field(init=False)
    pending: bytes = b""


class LocalEngine:
    """Runs jobs as processes of this machine."""

    def run(self, work: Work, listener: Listener, render: Render) -> list[Done]:
        """Run what is not finished of `work`: see `workbench.batch.engines.Engine`.

        Raises WorkbenchError where a job's folder cannot be written.
        """
        return _Loop(work, listener, render).run()


class _Loop:
    """One run of a batch: what waits, what runs, what is done."""

    def __init__(self, work: Work, listener: Listener, render: Render):
        self._work, self._listener, self._render = work, listener, render
        self._folder = work.folder / work.hardware_key
        self._done: dict[int, Done] = {}
        self._running: dict[int, _Running] = {}  # by the handle of the process's output
        self._selector = selectors.DefaultSelector()

    def run(self) -> list[Done]:
        try:
            for place, job in enumerate(self._work.jobs):
                while not self._may_begin(job):
                    self._watch()
                self._begin(place, job)
            while self._running:
                self._watch()
        finally:
            for each in self._running.values():  # only where something went wrong
                with each.held:
                    _kill(each.process)
            self._selector.close()
        return [self._done[place] for place in range(len(self._work.jobs))]

    def _may_begin(self, job: Job) -> bool:
        """Return whether `job` may run beside what runs: a job that times something never does."""
        if job.times or any(each.job.times for each in self._running.values()):
            return not self._running
        return len(self._running) < self._work.at_once

    def _begin(self, place: int, job: Job) -> None:
        """Start `job` unless it is finished, or the batch's time is over."""
        folder = self._folder / job.name
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(locked(folder, _PATIENCE_S))
            except InputError as error:  # somebody runs it by hand, say: no reason to leave the others undone
                self._end(place, job, folder, held_state(job, error), again=True)
                return
            if (state := finished_state(folder, job.key)) is not None:
                self._end(place, job, folder, state, again=False)
                return
            try:
                turn = stack.enter_context(self._turn(job))
            except _OverdueError:
                state = overdue_state(job, self._work.batch_s)
                self._tell_and_write(job, folder, state)
                self._end(place, job, folder, state, again=True)
                return
            self._listener.started(place, job)
            handles = [handle for handle in (lock, turn) if handle is not None]
            now = datetime.datetime.now(datetime.UTC)
            self._start(_Running(place, job, folder, handles, stack.pop_all(), now, job.retries))

    @contextlib.contextmanager
    def _turn(self, job: Job) -> Iterator[int | None]:
        """Hold this host's turn for `job`. Raises _OverdueError when the batch's time is over before it comes."""
        left_s = self._left_s()
        if left_s is not None and left_s <= 0:
            raise _OverdueError
        with contextlib.ExitStack() as stack:
            try:
                turn = stack.enter_context(host_turn(job.times, self._listener.note, left_s))
            except WorkbenchError:
                if (left_s := self._left_s()) is not None and left_s <= 0:
                    raise _OverdueError from None
                raise
            yield turn

    def _left_s(self) -> float | None:
        return None if self._work.ends_s is None else self._work.ends_s - time.monotonic()

    def _start(self, running: _Running) -> None:
        """Start the job's process. It inherits the locks: while it lives, no other runs the job, nor beside it."""
        limit_s, left_s = running.job.limit_s, self._left_s()
        running.cut = left_s is not None and left_s < limit_s
        if running.cut:
            assert left_s is not None
            limit_s = max(1.0, left_s)
        retries = 0 if running.cut else running.retries
        write_job(running.folder, running.job.model_copy(update={"limit_s": limit_s, "retries": retries}))
        running.started, running.clock_s = datetime.datetime.now(datetime.UTC), time.monotonic()
        running.deadline_s = running.clock_s + (limit_s + GRACE_S) * (retries + 1)
        with (running.folder / LOG).open("ab") as log:
            running.process = subprocess.Popen(
                [*RUN_JOB, str(running.folder / PARAMS), "--parent", str(os.getpid())],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **store_environment(running.job)},
                start_new_session=True,
                pass_fds=running.handles,
            )
        assert running.process.stdout is not None
        handle = running.process.stdout.fileno()
        self._running[handle] = running
        self._selector.register(handle, selectors.EVENT_READ)

    def _watch(self) -> None:
        """Sleep until a job says something, ends, or has used up its time."""
        now = time.monotonic()
        nearest_s = min(each.deadline_s for each in self._running.values())
        for key, _ in self._selector.select(max(0.0, nearest_s - now)):
            running = self._running[key.fd]
            data = os.read(key.fd, 65536)
            if data:
                self._hear(running, data)
            else:
                self._over(key.fd, running)
        for handle, running in list(self._running.items()):
            if time.monotonic() >= running.deadline_s:
                self._over(handle, running)

    def _hear(self, running: _Running, data: bytes) -> None:
        *lines, running.pending = (running.pending + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                told = json.loads(line)
                self._listener.cell(running.place, running.job, int(told["cell"]), int(told["cells"]))

    def _over(self, handle: int, running: _Running) -> None:
        """Find out what became of a job whose process ended, or has to; start it again where it may be tried again."""
        self._selector.unregister(handle)
        del self._running[handle]
        with running.held as held:
            late = _end_of(running.process, running.deadline_s)
            state = self._outcome(running, late)
            tried = sum(attempt.started >= running.begun for attempt in state.attempts)
            running.retries = running.job.retries - tried  # after the next one
            if _was_killed(state) and running.retries >= 0 and not running.cut:
                running.held = held.pop_all()
                self._start(running)
                return
            self._end(running.place, running.job, running.folder, state, again=True)

    def _outcome(self, running: _Running, late: bool) -> State:
        """Return the state that the job wrote, or one that tells truthfully why it did not."""
        state = None
        with contextlib.suppress(WorkbenchError):
            state = read_state(running.folder)
        own = state is not None and state.key == running.job.key and state.started >= running.started
        if state is not None and own and state.status != "running":
            if running.cut and state.failure is not None and state.failure.kind == "timeout":
                state = _cut_short(state, self._work.batch_s)
                self._tell_and_write(running.job, running.folder, state)
            return state
        sentence = _why(running, late)
        failure = Failure(kind="timeout" if late else "killed", sentence=sentence)
        duration_s = round(time.monotonic() - running.clock_s, 3)
        attempts = state.attempts if state is not None and state.key == running.job.key else []
        state = State(
            status="failed", key=running.job.key, host=socket.gethostname(), started=running.started,
            duration_s=duration_s, failure=failure,
            attempts=[*attempts, Attempt(started=running.started, duration_s=duration_s, failure=failure)],
        )  # fmt: skip
        self._tell_and_write(running.job, running.folder, state)
        return state

    def _tell_and_write(self, job: Job, folder: Path, state: State) -> None:
        """Write a report and a state that the job's own process did not write."""
        if not (folder / PARAMS).is_file():
            write_job(folder, job)
        with contextlib.suppress(Exception):  # the index shows the failure even where its page cannot be written
            self._render(folder, state)
        write_state(folder, state)

    def _end(self, place: int, job: Job, folder: Path, state: State, *, again: bool) -> None:
        self._done[place] = Done(folder, state)
        self._listener.ended(place, job, folder, state, again=again)


class _OverdueError(Exception):
    """The batch's time is over."""


def finished_state(folder: Path, key: str) -> State | None:
    """Return the state of a job that need not be done again; None else, and where it is damaged."""
    with contextlib.suppress(WorkbenchError):
        if is_finished(folder, key):
            return read_state(folder)
    return None


def _end_of(process: subprocess.Popen[bytes], deadline_s: float) -> bool:
    """Wait for a job's process to end; end it at its deadline, and return True then."""
    assert process.stdout is not None
    process.stdout.close()
    late = time.monotonic() >= deadline_s
    if not late:
        try:
            process.wait(max(1.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            late = True
    if late:
        _kill(process)
    return late


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a job's process; its Jupyter kernel notices at once and ends too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _was_killed(state: State) -> bool:
    return state.failure is not None and state.failure.kind == "killed"


def _why(running: _Running, late: bool) -> str:
    if late:
        return f"its process was ended: it did not stop {GRACE_S:g} s after its limit"
    if shutil.disk_usage(running.folder).free < FULL_BYTES:
        return f"its process ended because the disk is full: make room below {running.folder}, and run the batch again"
    code = running.process.returncode
    with contextlib.suppress(ValueError):
        if code < 0:
            return f"its process ended unexpectedly (signal {signal.Signals(-code).name}): see {LOG}"
    return f"its process ended unexpectedly (exit code {code}): see {LOG}"


def _cut_short(state: State, batch_s: float | None) -> State:
    """Return `state` with the truth about its limit: it was the whole batch's, not the job's own."""
    assert state.failure is not None
    told = state.failure.sentence.partition(" was ended:")[0]
    limit = "" if batch_s is None else f"{batch_s:g} s "
    failure = state.failure.model_copy(update={"sentence": f"{told} was ended: the batch's {limit}were over"})
    last = state.attempts[-1].model_copy(update={"failure": failure})
    return state.model_copy(update={"failure": failure, "attempts": [*state.attempts[:-1], last]})
