"""The Dask engine: the jobs of a batch on the workers of many machines, one at a time on each.

Dask carries a job to a worker and its files back; where and when is decided here, so that every attempt is known: a
worker that is idle gets the next job that fits it. A job whose worker or scheduler is lost is tried again, elsewhere
where there is another, and each attempt is told. Nothing of a lost attempt is kept, so attempts are never averaged.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import queue
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.batch import dask_files
from workbench.batch.dask_cluster import GATHER_S, Cluster, Host, quiet
from workbench.batch.dask_package import UnwrittenError
from workbench.batch.engines import Done, EngineChoice, Listener, Render, Work, overdue_state
from workbench.batch.job import Attempt, Failure, Job, State
from workbench.batch.local import GRACE_S
from workbench.errors import InputError, WorkbenchError

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.batch.dask_cluster import Future

NO_WORKERS_S = 300.0  # how long a job waits while there is no worker that it could run on
NO_SCHEDULER_S = 300.0  # how long a scheduler may be away
MOST_LOST = 3  # attempts of one job whose worker was lost: a job that takes its host down must not do so all night
_LOOK_S = 2.0  # between two looks at who is there: the driver's host may be one that measures
_BEYOND_S = 120.0  # what a worker may take to tell that a job was over, after the last moment at which it is


def make(choice: EngineChoice) -> DaskEngine:
    """Return the engine. Raises InputError for a choice that it cannot fill."""
    if not choice.address:
        raise InputError("the engine dask needs the address of its scheduler: give --scheduler tcp://HOST:8786")
    if choice.at_once != 1:
        raise InputError("the engine dask runs one job on each worker: take at_once out, and start more workers")
    return DaskEngine(choice.address)


class DaskEngine:
    """Runs jobs on the workers of the scheduler at `address`."""

    def __init__(self, address: str):
        self._address = address

    def run(self, work: Work, listener: Listener, render: Render) -> list[Done]:
        """Run what is not finished of `work`: see `workbench.batch.engines.Engine`.

        Raises InputError when no scheduler answers at the beginning, WorkbenchError where a folder cannot be written.
        """
        with quiet():
            cluster = Cluster(self._address, listener.note)
            try:
                return _Run(cluster, work, listener, render).run()
            finally:
                cluster.close()


@dataclass
class _Try:
    """One attempt at a job, on one worker."""

    place: int
    mark: str
    host: Host
    future: Future
    started: datetime.datetime
    clock_s: float
    deadline_s: float  # until it has begun, that of the whole batch


@dataclass
class _Waiting:
    """A job that waits, and what became of it before."""

    place: int
    job: Job
    lost: list[Attempt] = field(default_factory=list)
    avoid: set[str] = field(default_factory=set)  # names of workers that were lost with it
    homeless_s: float | None = None  # since when there has been no worker for it


class _Run:
    """One run of a batch: what waits, what is where, what is done."""

    def __init__(self, cluster: Cluster, work: Work, listener: Listener, render: Render):
        self._cluster, self._work, self._listener, self._render = cluster, work, listener, render
        self._waiting: deque[_Waiting] = deque()
        self._begun: dict[int, _Waiting] = {}
        self._running: dict[str, _Try] = {}  # by its mark
        self._done: dict[int, Done] = {}

    def run(self) -> list[Done]:
        dask_files.sweep_scratch(self._work.folder)
        for place, job in enumerate(self._work.jobs):
            found = dask_files.finished(self._work.folder, job)
            if found is None:
                self._waiting.append(_Waiting(place, job))
            else:
                self._end(place, *found, again=False)
        try:
            while self._waiting or self._running:
                self._look()
                self._give()
                self._give_up()
                self._hear()
        finally:
            for each in self._running.values():  # only where something went wrong
                self._cluster.drop(each.future)
        return [self._done[place] for place in range(len(self._work.jobs))]

    def _look(self) -> None:
        """Find out which workers, and with them which attempts, are lost."""
        if not self._cluster.look() or any(each.future.status == "cancelled" for each in self._running.values()):
            for each in list(self._running.values()):
                self._lose(each, f"the scheduler was lost while it ran on {each.host.name}")
            self._reconnect()
        for each in list(self._running.values()):
            if each.host.key not in self._cluster.hosts:
                self._lose(each, f"its worker {each.host.name} was lost")
            elif time.monotonic() > each.deadline_s:
                self._lose(each, f"its worker {each.host.name} did not tell in time that it was over")

    def _reconnect(self) -> None:
        """Connect to the scheduler again; where it stays away, nothing that waits can be done."""
        self._listener.note("the scheduler is lost: waiting for it")
        until_s = time.monotonic() + NO_SCHEDULER_S
        if self._work.ends_s is not None:
            until_s = min(until_s, self._work.ends_s)
        while time.monotonic() < until_s:
            with contextlib.suppress(InputError):
                self._cluster.connect()
                self._listener.note("the scheduler is back")
                return
            time.sleep(_LOOK_S)
        while self._waiting:
            self._fail(self._waiting.popleft(), f"the scheduler was lost, and not back within {NO_SCHEDULER_S:g} s")

    def _give(self) -> None:
        """Give each idle worker the first job that fits it."""
        busy = {each.host.key for each in self._running.values()}
        for key, host in list(self._cluster.hosts.items()):
            if key in busy or self._is_over():
                continue
            chosen = next((each for each in self._waiting if host in self._fitting(each)), None)
            if chosen is not None:
                self._waiting.remove(chosen)
                self._begin(chosen, host)

    def _fitting(self, waiting: _Waiting) -> list[Host]:
        """Return the workers that a job may run on: not where it was lost before, unless there is no other."""
        may = [
            host for host in self._cluster.hosts.values() if not waiting.job.host or host.is_called(waiting.job.host)
        ]
        return [host for host in may if host.name not in waiting.avoid] or may

    def _begin(self, waiting: _Waiting, host: Host) -> None:
        """Send a job to a worker."""
        job, left_s = waiting.job, self._left_s()
        try:
            package = dask_files.outward(job, left_s, self._work.batch_s)
        except WorkbenchError as error:
            self._fail(waiting, str(error), kind="bad notebook")
            return
        mark, now_s = uuid.uuid4().hex, time.monotonic()
        # How long it waits for its turn on that host nobody knows; a worker that is lost is noticed by itself.
        deadline_s = math.inf if self._work.ends_s is None else self._work.ends_s + _longest_s(job)
        future = self._cluster.submit(host, package, mark, job.name)
        now = datetime.datetime.now(datetime.UTC)
        self._running[mark] = _Try(waiting.place, mark, host, future, now, now_s, deadline_s)
        self._begun[waiting.place] = waiting
        if waiting.lost:
            self._listener.note(f"{job.title or job.name}: attempt {len(waiting.lost) + 1}, on {host.name}")

    def _hear(self) -> None:
        """Take in the news, and wait for them where there are none."""
        with contextlib.suppress(queue.Empty):
            what, whom, news = self._cluster.news.get(timeout=_LOOK_S)
            while True:
                if what == "described":
                    self._cluster.described(whom[0], whom[1], news)
                elif (attempt := self._running.get(whom)) is not None:
                    if what == "over":
                        self._over(attempt)
                    else:
                        self._told(attempt, news)
                what, whom, news = self._cluster.news.get_nowait()

    def _told(self, attempt: _Try, news: dict[str, object]) -> None:
        """Pass on what a job says while it runs."""
        job = self._work.jobs[attempt.place]
        if "started" in news:
            attempt.deadline_s = time.monotonic() + _longest_s(job)
            self._listener.started(attempt.place, job)
        elif "note" in news:
            self._listener.note(f"{attempt.host.name}: {str(news['note'])[:500]}")
        else:
            with contextlib.suppress(KeyError, ValueError, TypeError):
                self._listener.cell(attempt.place, job, int(str(news["cell"])), int(str(news["cells"])))

    def _over(self, attempt: _Try) -> None:
        """Keep what an attempt brought back, or lose it."""
        if attempt.future.status == "cancelled":
            return  # with the scheduler: `_look` sees it
        try:
            data = attempt.future.result(timeout=GATHER_S)
        except Exception as error:  # the worker's own, or Dask's: either way nothing came back
            self._lose(attempt, f"worker {attempt.host.name} sent nothing back: {str(error)[:300]}")
            return
        del self._running[attempt.mark]
        waiting = self._begun.pop(attempt.place)
        folder = self._work.folder / attempt.host.hardware_key / waiting.job.name
        try:
            state = dask_files.inward(data, folder, waiting.job, waiting.lost, attempt.host.name, self._render)
        except (UnwrittenError, InputError, OSError) as error:  # this machine's own fault: again would end no better
            self._fail(waiting, str(error))
            return
        except WorkbenchError as error:
            self._lost(waiting, attempt, str(error))
            return
        self._end(attempt.place, folder, state, again=True)

    def _lose(self, attempt: _Try, sentence: str) -> None:
        """Give an attempt up."""
        del self._running[attempt.mark]
        self._cluster.drop(attempt.future)
        self._lost(self._begun.pop(attempt.place), attempt, sentence)

    def _lost(self, waiting: _Waiting, attempt: _Try, sentence: str) -> None:
        """Let a job wait for its next attempt, unless it had its share of them."""
        duration_s = round(time.monotonic() - attempt.clock_s, 3)
        failure = Failure(kind="killed", sentence=sentence)
        waiting.lost.append(Attempt(started=attempt.started, duration_s=duration_s, failure=failure))
        waiting.avoid.add(attempt.host.name)
        waiting.homeless_s = None
        self._listener.note(f"{waiting.job.title or waiting.job.name}: attempt {len(waiting.lost)} is lost: {sentence}")
        if len(waiting.lost) >= MOST_LOST:
            self._fail(waiting, f"{sentence}, the last of {MOST_LOST} attempts that were lost")
        else:
            self._waiting.appendleft(waiting)

    def _give_up(self) -> None:
        """Tell what can no longer be done: for want of time, or of a worker."""
        now_s = time.monotonic()
        for waiting in list(self._waiting):
            waiting.homeless_s = None if self._fitting(waiting) else waiting.homeless_s or now_s
            if self._is_over():
                self._waiting.remove(waiting)
                self._write(waiting, overdue_state(waiting.job, self._work.batch_s))
            elif waiting.homeless_s is not None and now_s - waiting.homeless_s > NO_WORKERS_S:
                self._waiting.remove(waiting)
                where = f" called {waiting.job.host}" if waiting.job.host else ""
                told = f"there was no worker{where} for {NO_WORKERS_S:g} s: start one by `workbench worker`"
                self._fail(waiting, told, kind="timeout")

    def _left_s(self) -> float | None:
        return None if self._work.ends_s is None else self._work.ends_s - time.monotonic()

    def _is_over(self) -> bool:
        left_s = self._left_s()
        return left_s is not None and left_s <= 0

    def _fail(self, waiting: _Waiting, sentence: str, kind: str = "killed") -> None:
        """End a job that no attempt brought back."""
        failure = Failure.model_validate({"kind": kind, "sentence": sentence})
        now = datetime.datetime.now(datetime.UTC)
        started = waiting.lost[0].started if waiting.lost else now
        took_s = round((now - started).total_seconds(), 3)
        state = State(status="failed", key=waiting.job.key, started=started, duration_s=took_s, failure=failure)
        self._write(waiting, state.model_copy(update={"attempts": waiting.lost}))

    def _write(self, waiting: _Waiting, state: State) -> None:
        """Write the state of a job that never came back into this machine's part of the batch."""
        folder = self._work.folder / self._work.hardware_key / waiting.job.name
        try:
            dask_files.write_lost(folder, waiting.job, state, self._render)
        except (WorkbenchError, OSError) as error:  # as where somebody runs it by hand here, or the disk is full
            assert state.failure is not None
            told = f"{state.failure.sentence}; and {error}"
            state = state.model_copy(update={"failure": state.failure.model_copy(update={"sentence": told})})
        self._end(waiting.place, folder, state, again=True)

    def _end(self, place: int, folder: Path, state: State, *, again: bool) -> None:
        job = self._work.jobs[place]
        dask_files.sweep_placeholder(self._work.folder / self._work.hardware_key / job.name, folder)
        self._done[place] = Done(folder, state)
        self._listener.ended(place, job, folder, state, again=again)


def _longest_s(job: Job) -> float:
    """Return how long a job that has begun may take until its worker has told that it is over."""
    return (job.limit_s + GRACE_S) * (job.retries + 1) + _BEYOND_S
