"""One replicate of an open loop: ``python -m workbench.measure.open_loop_replicate``, a fresh process.

A block runs every variant at one load, all forward and then all backward, the first one rotating from block to block;
the loads take turns, so that a disturbance of seconds hits no load alone.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from workbench import codemap, files, policy, record
from workbench.errors import InputError
from workbench.measure import closed_loop, schedule
from workbench.measure.child import Driver, serve
from workbench.measure.clock import measure_clock
from workbench.measure.closed_loop import Subject
from workbench.measure.machine import noise_between, read_disturbance
from workbench.measure.memory import highest_bytes
from workbench.measure.open_loop import Opened, refusal, run_open
from workbench.measure.open_loop_job import OpenJob, OpenOutcome
from workbench.measure.plan import balanced_order
from workbench.measure.preparing import Prepared
from workbench.measure.replicate import hash_of, pin

LADDER = 14  # loads from a twentieth of the slowest variant's highest rate to a little over the fastest one's
_LOWEST, _HIGHEST = 0.05, 1.1
_RECOVERED_NS = 1_000  # a burst is over when operations begin at most so late again
_BURST_AT, _BURST_SHARE = 0.4, 0.1  # of the operations of a run


def work(text: str, driver: Driver) -> None:
    """Do the job and write its outcome to the file that it names."""
    job = OpenJob.model_validate_json(text)
    files.write_text(Path(job.outcome_file), measure(job, driver).model_dump_json())
    driver.tell(done="finish")


def measure(job: OpenJob, driver: Driver) -> OpenOutcome:
    """Do `job` and return its outcome. Raises InputError for what cannot be begun one by one, WorkbenchError."""
    prepared = Prepared(job, timestamps=job.arrivals == "recorded")
    ((kernel, variants),) = prepared.chosen.items()
    own = [variant for variant in variants if refusal(variant) is None]
    prepared.notes += [f"{reason}: it was left out" for each in variants if (reason := refusal(each)) is not None]
    if not own:
        raise InputError(refusal(variants[0]) or "")
    prepared.chosen[kernel] = own
    if prepared.timestamps_ns is not None and len(prepared.timestamps_ns) != kernel.length(
        prepared.input_of(kernel)[1]
    ):
        raise InputError(
            f"an operation of {kernel.name} is not an event: it has no recorded moment, use poisson or fixed"
        )
    driver.ask("lock")
    started = datetime.datetime.now(datetime.UTC)
    core = pin()
    clock = measure_clock()
    driver.tell(doing="compile and warm up")
    (subjects,) = prepared.build(None).values()
    for subject in subjects:
        closed_loop.warm_up(subject)
    with closed_loop.no_collection():
        loads = job.loads or ladder([highest_rate(subject, clock) for subject in subjects])
        for subject in subjects:  # compiles the loop around each
            run_open(subject.variant, subject.plain, subject.events, subject.out, np.zeros(1, np.int64), clock)
        driver.tell(doing="measure")
        loop = Loop(job, subjects, loads, prepared.timestamps_ns, clock)
        blocks = list(loop.blocks(driver))
    replicate = record.Replicate(
        index=job.replicate,
        core=core,
        clock=clock,
        started=started,
        peak_rss_bytes=highest_bytes(),
        code_hash={subject.name: hashed for subject in subjects if (hashed := hash_of(subject.variant))},
        blocks=blocks,
    )
    return OpenOutcome(
        replicate=replicate,
        workload=prepared.workload,
        kernel=kernel.name,
        parameters=subjects[0].plain.parameters,
        variants=[subject.name for subject in subjects],
        loads=loads,
        notes=prepared.notes,
    )


def highest_rate(subject: Subject, clock: record.Clock) -> float:
    """Return how many operations a second `subject` does when all of them are due at once."""
    due = np.zeros(subject.variant.kernel.length(subject.events), np.int64)
    run_open(subject.variant, subject.plain, subject.events, subject.out, due[:1], clock)
    opened = run_open(subject.variant, subject.plain, subject.events, subject.out, due, clock)
    return opened.achieved_per_s


def ladder(highest: Sequence[float]) -> list[float]:
    """Return the loads of a search: in equal ratios, from far below the slowest variant to above the fastest one."""
    return [float(load) for load in np.geomspace(_LOWEST * min(highest), _HIGHEST * max(highest), LADDER)]


class Loop:
    """The blocks of one replicate."""

    def __init__(
        self,
        job: OpenJob,
        subjects: Sequence[Subject],
        loads: Sequence[float],
        timestamps: np.ndarray | None,
        clock: record.Clock,
    ):
        self._job, self._subjects, self._loads = job, subjects, loads
        self._timestamps, self._clock = timestamps, clock
        self._length = subjects[0].variant.kernel.length(subjects[0].events)

    def blocks(self, driver: Driver) -> Iterator[record.Block]:
        """Run blocks, one load after the other, until the time is used up; every load at least so often."""
        rounds, end = 0, time.monotonic() + self._job.seconds
        while rounds < policy.LEAST_BLOCKS or (time.monotonic() < end and rounds < policy.BLOCKS_PER_REPLICATE):
            for place, load in enumerate(self._loads):
                yield self._block(load, rounds * len(self._loads) + place, rounds)
                total = policy.LEAST_BLOCKS * len(self._loads)
                driver.tell(block=min(rounds * len(self._loads) + place + 1, total), of=total)
            rounds += 1

    def _block(self, load: float, index: int, turn: int) -> record.Block:
        due = self.due(load, self._job.replicate * 1000 + index)
        order = balanced_order(len(self._subjects), self._job.replicate + turn)
        rate = load if self._timestamps is None else schedule.rate_of(due)
        sides = [self._side(self._subjects[i], due, rate, place) for place, i in enumerate(order)]
        return record.Block(replicate=self._job.replicate, index=index, sides=sides)

    def due(self, load: float, seed: int) -> np.ndarray:
        """Return when operations begin at `load`: as many as fit into a side's share of the time."""
        each = self._job.seconds / (policy.LEAST_BLOCKS * len(self._loads) * 2 * len(self._subjects))
        if self._timestamps is not None:
            due = schedule.recorded(self._timestamps, load)
            return due[: max(int(np.searchsorted(due, each * 1e9)), min(2, len(due)))]
        count = min(self._length, max(int(load * each), 2))
        if self._job.arrivals == "fixed":
            return schedule.fixed(load, count)
        if self._job.arrivals == "burst":
            begin, length = int(_BURST_AT * count), max(int(_BURST_SHARE * count), 1)
            return schedule.burst(load, count, self._job.burst_factor, begin, length)
        return schedule.poisson(load, count, seed)

    def _side(self, subject: Subject, due: np.ndarray, rate_per_s: float, place: int) -> record.Side:
        before = read_disturbance()
        opened = run_open(subject.variant, subject.plain, subject.events, subject.out, due, self._clock)
        response, service = opened.histograms()
        return record.Side(
            variant=subject.name,
            place=place,
            operations=len(due),
            elapsed_ns=int(opened.ended_ns[-1]),
            probed_elapsed_ns=None,
            histogram=response.encode(),
            service=service.encode(),
            rate_per_s=rate_per_s,
            counters=self._counters(opened),
            noise=noise_between(before, read_disturbance()),
        )

    def _counters(self, opened: Opened) -> dict[str, int]:
        if self._job.arrivals != "burst":
            return {}
        after = int((_BURST_AT + _BURST_SHARE) * len(opened.due_ns))
        recovery = opened.recovery_ns(after, _RECOVERED_NS)
        return {"recovery_ns": -1 if recovery is None else recovery}


if __name__ == "__main__":
    codemap.install()  # keeps object code, so it has to come before anything is compiled or loaded
    serve(work)
