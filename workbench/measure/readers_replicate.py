"""One replicate with readers: ``python -m workbench.measure.readers_replicate``, a fresh process.

A block runs every variant alone and with readers beside its writer, all forward and then all backward, the first side
rotating from block to block, so that a drift of the machine hits all alike. A side resets the state, untimed, and is
timed whole without a probe; the same places are then run again with the probe compiled in, for the latencies.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kernels.catalog import Instance, Kernel, Variant
from kernels.machine.affinity import allowed_cores, pinned
from workbench import codemap, files, policy, record
from workbench.errors import InputError, WorkbenchError
from workbench.measure import closed_loop
from workbench.measure.child import Driver, serve
from workbench.measure.clock import measure_clock
from workbench.measure.closed_loop import Subject, no_collection, nothing_compiles, replay_once
from workbench.measure.histogram import HIGHEST_NS, Histogram
from workbench.measure.job import Share
from workbench.measure.machine import noise_between, read_disturbance
from workbench.measure.memory import highest_bytes
from workbench.measure.plan import Plan, balanced_order
from workbench.measure.preparing import Prepared
from workbench.measure.readers_job import BESIDE, ReadersJob, ReadersOutcome
from workbench.measure.readers_watch import Seen, Watchers, added
from workbench.measure.replicate import hash_of

LEAST_SIDE_NS = 2_000_000  # a replay shorter than this is over before a thread that was woken is at its speed


@dataclass
class Place:
    """One side of every block: a variant, alone or with its readers."""

    subject: Subject
    watchers: Watchers | None

    @property
    def name(self) -> str:
        """Return the variant's full name, marked where readers are beside it."""
        return self.subject.name + (BESIDE if self.watchers is not None else "")

    def replay(self, instance: Instance, seen: list[Seen]) -> int:
        """Reset, replay the input once and return how long that took in ns; what the readers saw goes into `seen`."""
        if self.watchers is None:
            return replay_once(self.subject, instance)
        instance.reset()
        with self.watchers.reading(instance.state) as found:
            elapsed = self._timed(instance)
        seen.append(added(found))
        return elapsed

    def _timed(self, instance: Instance) -> int:
        """Replay once from the state as it is: the readers look at it already."""
        subject = self.subject
        reached, elapsed = subject.variant.run(instance, subject.events, subject.out)
        if reached < subject.variant.kernel.length(subject.events):
            raise WorkbenchError(f"{subject.name} stopped at input {reached}: its state must keep its room at a reset")
        return elapsed


def work(text: str, driver: Driver) -> None:
    """Do the job and write its outcome to the file that it names."""
    job = ReadersJob.model_validate_json(text)
    outcome = measure(job, driver)
    files.write_text(Path(job.outcome_file), outcome.model_dump_json())
    driver.tell(done="finish")


def measure(job: ReadersJob, driver: Driver) -> ReadersOutcome:
    """Do `job` and return its outcome. Raises InputError for what offers nothing to read, WorkbenchError."""
    prepared = Prepared(job)
    kernel, variants = readable(prepared.chosen)
    driver.ask("lock")
    started = datetime.datetime.now(datetime.UTC)
    cores = allowed_cores()
    others = cores[1:] or cores
    chosen = [cores[0], *(others[place % len(others)] for place in range(job.readers))]
    with pinned(chosen[0]), no_collection():
        clock = measure_clock()
        driver.tell(doing="compile and warm up")
        (subjects,) = prepared.build(clock).values()
        if any(len(kernel.shares(s.events, s.out, s.plain.parameters)) > 1 for s in subjects):
            raise InputError("readers read beside one writer: leave the number of threads of the kernel at 1")
        places = make_places(subjects, job, prepared.workload.symbols, chosen[1:], clock)
        share = job.share or _choose_share(places, job.seconds)
        driver.tell(doing="measure")
        blocks = list(_blocks(places, share, job, driver))
    replicate = record.Replicate(
        index=job.replicate,
        core=chosen[0],
        clock=clock,
        started=started,
        peak_rss_bytes=highest_bytes(),
        code_hash={subject.name: hashed for subject in subjects if (hashed := hash_of(subject.variant))},
        blocks=blocks,
    )
    parameters = subjects[0].plain.parameters
    return ReadersOutcome(
        replicate=replicate,
        workload=prepared.workload,
        kernel=kernel.name,
        parameters=parameters,
        variants=[variant.full_name for variant in variants],
        operations_per_sample=kernel.operations_per_sample(parameters),
        share=share,
        cores=chosen,
        notes=prepared.notes,
    )


def readable(chosen: dict[Kernel, list[Variant]]) -> tuple[Kernel, list[Variant]]:
    """Return the one kernel and its variants. Raises InputError where other threads cannot read one of them."""
    ((kernel, variants),) = chosen.items()
    for variant in variants:
        if variant.read is None:
            there = ", ".join(name for name, each in kernel.variants.items() if each.read is not None) or "none"
            raise InputError(
                f"{variant.full_name} offers nothing that another thread can read: choose another variant (of "
                f"{kernel.name}: {there})"
            )
    return kernel, variants


def make_places(
    subjects: Sequence[Subject], job: ReadersJob, items: int, cores: Sequence[int], clock: record.Clock
) -> list[Place]:
    """Warm up every variant and its readers' loop; return the places of a block: each alone, then with readers."""
    period = 0 if job.read_rate_per_s is None else max(round(1e9 / job.read_rate_per_s / clock.ns_per_tick), 1)
    places = []
    for subject in subjects:
        closed_loop.warm_up(subject)
        assert subject.variant.read is not None
        watchers = Watchers(subject.variant.read, subject.out, items, cores, period, clock.ns_per_tick)
        beside = Place(subject, watchers)
        beside.replay(subject.plain, [])  # compiles the readers' loop
        places += [Place(subject, None), beside]
    return places


def _choose_share(places: Sequence[Place], seconds: float) -> Share:
    """Choose repeats and blocks from one trial of each place, so that all blocks take about `seconds`."""
    fastest, whole = math.inf, 0
    for place in places:
        begin = time.perf_counter_ns()
        fastest = min(fastest, place.replay(place.subject.plain, []))
        whole += 4 * (time.perf_counter_ns() - begin)  # forward and backward, and with the probe
    repeats = max(1, math.ceil(LEAST_SIDE_NS / max(fastest, 1)))
    blocks = int(seconds * 1e9 / (whole * repeats))
    return Share(blocks=min(max(blocks, policy.LEAST_BLOCKS), policy.BLOCKS_PER_REPLICATE), repeats=repeats)


def _blocks(places: Sequence[Place], share: Share, job: ReadersJob, driver: Driver) -> Iterator[record.Block]:
    plan = Plan(share.blocks, share.repeats)
    for index in range(share.blocks):
        with nothing_compiles([place.subject for place in places]):
            yield run_block(places, plan, job.replicate, index)
        driver.tell(block=index + 1, of=share.blocks)


def run_block(places: Sequence[Place], plan: Plan, replicate: int, index: int) -> record.Block:
    """Time every place forward and backward, then with the probe, and return the block."""
    order = balanced_order(len(places), replicate * plan.blocks + index)
    sides = []
    for turn, i in enumerate(order):
        place, seen = places[i], list[Seen]()
        before = read_disturbance()
        elapsed = sum(place.replay(place.subject.plain, seen) for _ in range(plan.repeats))
        kernel = place.subject.variant.kernel
        sides.append(
            record.Side(
                variant=place.name,
                place=turn,
                operations=kernel.count_operations(place.subject.events) * plan.repeats,
                elapsed_ns=elapsed,
                probed_elapsed_ns=None,
                histogram=None,
                counters=_mean_rate(seen).counters() if seen else {},
                noise=noise_between(before, read_disturbance()),
            )
        )
    for turn, i in enumerate(order):
        probed, histogram = _latencies(places[i], plan.repeats)
        sides[turn] = sides[turn].model_copy(update={"probed_elapsed_ns": probed, "histogram": histogram})
    return record.Block(replicate=replicate, index=index, sides=sides)


def _mean_rate(seen: Sequence[Seen]) -> Seen:
    """Return what was seen in the repeats of one side: counts added up, the rate their mean."""
    together = added(seen)
    return Seen(together.reads, together.per_s / len(seen), together.retries, together.torn, together.unchecked)


def _latencies(place: Place, repeats: int) -> tuple[int | None, str | None]:
    """Replay with the probe compiled in; return the time and the encoded latencies, None where there is no probe."""
    instance = place.subject.probed
    if instance is None or instance.probe is None:
        return None, None
    elapsed = 0
    counts = np.zeros_like(instance.probe.histogram)
    for _ in range(repeats):
        elapsed += place.replay(instance, [])
        counts += instance.probe.histogram
    return elapsed, Histogram(counts, HIGHEST_NS).encode()


if __name__ == "__main__":
    codemap.install()  # keeps object code, so it has to come before anything is compiled or loaded
    serve(work)
