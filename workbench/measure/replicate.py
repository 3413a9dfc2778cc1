"""One replicate: ``python -m workbench.measure.replicate``, a fresh process that warms up, then measures.

The outcome goes to the file that the job names, whole or not at all.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numba.core import types
from numba.core.dispatcher import Dispatcher

from kernels import crew
from kernels._jit import compile_listener
from kernels.catalog import Variant
from workbench import codemap, files, policy, record
from workbench.errors import WorkbenchError
from workbench.measure import closed_loop
from workbench.measure.child import Driver, serve
from workbench.measure.clock import measure_clock
from workbench.measure.closed_loop import Subject
from workbench.measure.compiling import uncompiled
from workbench.measure.job import Chosen, Job, Outcome, Share
from workbench.measure.memory import highest_bytes
from workbench.measure.plan import Plan
from workbench.measure.preparing import Prepared


def work(text: str, driver: Driver) -> None:
    """Do the job and write its outcome to the file that it names."""
    job = Job.model_validate_json(text)
    outcome = measure(job, driver)
    files.write_text(Path(job.outcome_file), outcome.model_dump_json())
    driver.tell(done="finish")


def measure(job: Job, driver: Driver) -> Outcome:
    """Do `job` and return its outcome. Raises InputError, WorkbenchError.

    What can be refused is refused before the driver is asked for the host's timing lock.
    """
    prepared = Prepared(job)
    notes = prepared.notes
    driver.tell(done="load workload")
    driver.ask("lock")
    started = datetime.datetime.now(datetime.UTC)
    core = pin()
    clock = measure_clock()
    if clock.source != "tsc":
        notes.append("this machine's time-stamp counter is not invariant: single operations were not timed")
    driver.tell(done="measure clock")
    subjects = prepared.build(clock)
    parameters = {name: group[0].plain.parameters for name, group in subjects.items()}
    driver.tell(done="build states")
    compile_s = _compile(subjects, parameters, driver)
    driver.tell(done="warm up")
    shares = _shares(job, subjects, clock)
    everyone = [subject for group in subjects.values() for subject in group]
    with closed_loop.no_collection():
        blocks = _run_blocks(job, subjects, shares, driver)
    replicate = record.Replicate(
        index=job.replicate,
        core=core,
        clock=clock,
        started=started,
        compile_s=compile_s,
        peak_rss_bytes=highest_bytes(),
        allocations={s.name: closed_loop.count_allocations(s) for s in everyone if not s.variant.peer},
        code_hash={s.name: hashed for s in everyone if (hashed := hash_of(s.variant))},
        blocks=blocks,
    )
    return Outcome(
        replicate=replicate,
        workload=prepared.workload,
        parameters=parameters,
        chosen=[describe(s.variant) for s in everyone],
        operations_per_sample={
            kernel.name: kernel.operations_per_sample(parameters[kernel.name]) for kernel in prepared.chosen
        },
        shares=shares,
        notes=notes,
    )


def pin() -> int | None:
    """Pin this process to the last core it may use: Linux gives most interrupts to the first. None if refused."""
    try:
        cores = os.sched_getaffinity(0)
        crew.use_cores(cores)  # for kernels that several threads share: each has a core of its own
        core = max(cores)
        os.sched_setaffinity(0, {core})
    except OSError:
        return None
    return core


def _compile(
    subjects: Mapping[str, list[Subject]], parameters: Mapping[str, dict[str, int]], driver: Driver
) -> dict[str, float]:
    """Warm up each variant; return the seconds that Numba compiled it, here or in a helper of the driver's.

    The driver is asked to have compiled what the cache lacks, by several processes at once. 0 when all was cached.
    """
    missing = uncompiled(subjects)
    compiled = driver.ask("compile", builds=missing, parameters=parameters)["seconds"] if missing else []
    return warm_up_all([subject for group in subjects.values() for subject in group], missing, compiled, driver)


def warm_up_all(
    everyone: Sequence[Subject],
    missing: Sequence[tuple[str, bool]],
    compiled: Sequence[tuple[str, float]],
    driver: Driver,
) -> dict[str, float]:
    """Warm up `everyone`; return by variant the seconds that Numba compiled it.

    `missing` are the builds that the cache lacked, `compiled` those of them that helpers compiled, with the seconds.
    """
    seconds = {subject.name: 0.0 for subject in everyone}
    for name, took in compiled:
        seconds[name] += took
    here = {name for name, _ in missing} - {name for name, _ in compiled}
    for subject in everyone:
        driver.tell(doing=f"{'compile and ' if subject.name in here else ''}warm up {subject.name}")
        spent: list[float] = []
        with compile_listener(lambda function, took, spent=spent: spent.append(took)):  # type: ignore[misc]
            try:
                closed_loop.warm_up(subject)
            except (ValueError, RuntimeError) as error:
                raise WorkbenchError(f"{subject.name} failed while it warmed up: {error}") from error
        seconds[subject.name] += sum(spent)
    return seconds


def _shares(job: Job, subjects: Mapping[str, list[Subject]], clock: record.Clock) -> dict[str, Share]:
    """Return how much each block does: as the first replicate chose, or chosen here when this is the first."""
    shares = dict(job.shares)
    for name, group in subjects.items():
        if name not in shares:
            call = max((closed_loop.shortest_call_ns(s) for s in group if not s.variant.peer), default=0)
            least = max(policy.STEPS_PER_RUN * clock.step_ns, policy.CALLS_PER_RUN * call)
            plan = closed_loop.make_plan(group, job.seconds, least, policy.BLOCKS_PER_REPLICATE, policy.LEAST_BLOCKS)
            shares[name] = Share(blocks=plan.blocks, repeats=plan.repeats)
    return shares


def _run_blocks(job: Job, subjects: Mapping[str, list[Subject]], shares: dict[str, Share], driver: Driver) -> list[Any]:
    """Run the blocks of all kernels in turn, so that a disturbance of seconds hits no kernel alone."""
    total = sum(shares[name].blocks for name in subjects)
    driver.tell(measuring=total, doing="measure")
    blocks: list[record.Block] = []
    for turn in range(max(shares[name].blocks for name in subjects)):
        for name, group in subjects.items():
            share = shares[name]
            if turn < share.blocks:
                plan = Plan(share.blocks, share.repeats)
                rotation = job.replicate * share.blocks + turn
                blocks.append(closed_loop.run_block(group, plan, job.replicate, len(blocks), rotation))
                driver.tell(block=len(blocks), of=total)
    return blocks


def hash_of(variant: Variant) -> str:
    """Return the hash of the machine code of `variant` without a probe; empty for what is not compiled by Numba."""
    dispatcher = variant.replay_from
    if not isinstance(dispatcher, Dispatcher):
        return ""
    plain = [s for s in dispatcher.signatures if s and isinstance(s[-1], (types.NoneType, types.Omitted))]
    with contextlib.suppress(WorkbenchError):  # code that was not kept has no identity; its times are still true
        return codemap.code_hash(dispatcher, plain[-1]) if plain else ""
    return ""


def describe(variant: Variant) -> Chosen:
    """Return what the driver is told of a variant."""
    return Chosen(kernel=variant.kernel.name, variant=variant.name, parent=variant.parent, peer=variant.peer)


if __name__ == "__main__":
    codemap.install()  # keeps object code, so it has to come before anything is compiled or loaded
    serve(work)
