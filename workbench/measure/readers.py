"""A writer with readers beside it: how much slower it gets, what the readers get, and whether that was ever torn.

For every variant that offers `read`. The writer replays a workload on the first core that may be used; each reader is
a thread on another one and reads all items in turn, at full speed or at a given rate, in compiled code without the GIL.
Sides with and without readers alternate in fresh processes, and everything that is said of them comes from the same
blocks, comparisons and intervals as any other measurement: a variant with readers is one more variant of the record,
named with `BESIDE`.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import policy, record
from workbench.errors import InputError
from workbench.measure.driver import Request
from workbench.measure.processes import Crew
from workbench.measure.progress import Progress
from workbench.measure.readers_job import BESIDE, ReadersJob, ReadersOutcome
from workbench.measure.results import compare, results_of
from workbench.measure.timing_lock import timing_lock
from workbench.stats.median import median, sign_interval

_COUNTS = {"reads_per_s": "reads/s", "read_retries": "retries", "torn": "snapshots", "unchecked": "snapshots"}


@dataclass(frozen=True)
class Reading:
    """A measurement with readers: the record, the core of the writer and of each reader, and what is to be known."""

    run: record.Run
    cores: tuple[int, ...]
    notes: tuple[str, ...]


def measure_readers(
    request: Request, progress: Progress, *, readers: int = 1, read_rate_per_s: float | None = None
) -> Reading:
    """Measure the variants that `request` names, alone and with `readers` threads that read, interleaved.

    `read_rate_per_s` is that of each reader; None is as fast as it goes. Raises InputError for variants of several
    kernels, a variant without `read` and a rate or a number of readers that is not above 0; WorkbenchError when a
    process fails.
    """
    if readers < 1:
        raise InputError(f"{readers} readers cannot read: give 1 or more")
    if read_rate_per_s is not None and not read_rate_per_s > 0:
        raise InputError(f"a reader cannot read {read_rate_per_s} times a second: give a rate above 0")
    if len({selector.split("/")[0] for selector in request.selectors}) > 1:
        raise InputError("variants of different kernels do different work: name variants of one")
    began = time.monotonic()
    outcomes = _replicates(request, progress, {"readers": readers, "read_rate_per_s": read_rate_per_s})
    from workbench.measure.machine import fingerprint

    first = outcomes[0]
    names = [name for name in request.selectors if name in first.variants] or first.variants  # in the person's order
    replicates = [outcome.replicate for outcome in outcomes]
    run = record.Run(
        machine=fingerprint(),
        workload=first.workload,
        parameters={first.kernel: first.parameters},
        results=[row for name in names for row in _results(replicates, name, first.operations_per_sample)],
        comparisons=_comparisons(replicates, names),
        replicates=replicates,
        duration_s=time.monotonic() - began,
    )
    notes = list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
    if len(set(first.cores)) == 1:
        notes.append(
            f"writer and readers share core {first.cores[0]}, the only one here: what is told is the cost of taking "
            "turns, not of reading beside"
        )
    elif len(set(first.cores)) <= readers:
        notes.append(f"{readers} readers share {len(set(first.cores)) - 1} cores")
    return Reading(run, tuple(first.cores), tuple(notes))


def _replicates(request: Request, progress: Progress, options: dict[str, Any]) -> list[ReadersOutcome]:
    """Run one fresh process after the other; return what they report."""
    crew = Crew(progress.note)
    outcomes: list[ReadersOutcome] = []
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, contextlib.ExitStack() as held:
        try:
            for index in range(request.replicates):
                job = ReadersJob(
                    **request.setting(),
                    **options,
                    replicate=index,
                    seconds=request.seconds / request.replicates,
                    share=outcomes[0].share if outcomes else None,
                    outcome_file=str(Path(folder) / f"outcome-{index}.json"),
                )
                outcomes.append(_one(crew, job, request.replicates, progress, held))
        finally:
            crew.dismiss()
            progress.close()
    return outcomes


def _one(crew: Crew, job: ReadersJob, of: int, progress: Progress, held: contextlib.ExitStack) -> ReadersOutcome:
    title = f"replicate {job.replicate + 1} of {of}"
    child = crew.start("readers_replicate", title, Path(job.outcome_file).parent)
    child.send(job.model_dump_json())
    done = 0.0
    for _, message in crew.conversation([child]):
        if message.get("asks") == "lock":
            if not job.replicate:
                held.enter_context(timing_lock("readers beside a writer", progress.note))
            child.send("{}")
        elif "block" in message:
            done = message["block"] / message["of"]
        progress.advance((job.replicate + done) / of, f"{title}: {child.doing}")
    return ReadersOutcome.model_validate_json(Path(job.outcome_file).read_bytes())


def _results(replicates: Sequence[record.Replicate], name: str, operations_per_sample: int) -> list[record.Result]:
    """Return the figures of one variant, alone and with readers, and what the readers got."""
    rows = [row for side in (name, name + BESIDE) for row in results_of(replicates, side, operations_per_sample)]
    kernel, _, variant = (name + BESIDE).partition("/")
    sides = [s for r in replicates for block in r.blocks for s in block.sides if s.variant == name + BESIDE]
    for counter, unit in _COUNTS.items():
        values = [float(side.counters[counter]) for side in sides]
        rate = counter == "reads_per_s"
        interval = sign_interval(values, policy.ALPHA) if rate else None
        rows.append(
            record.Result(
                kernel=kernel,
                variant=variant,
                metric=counter,
                statistic="median" if rate else "sum",
                unit=unit,
                value=median(values) if rate else sum(values),
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                samples=len(values) if rate else sum(side.counters["reads"] for side in sides),
                bound="value",
            )
        )
    return rows


def _comparisons(replicates: Sequence[record.Replicate], names: Sequence[str]) -> list[record.Comparison]:
    """Return the first variant against each other one, both with readers; then what the readers cost each writer."""
    rows = []
    for name in names[1:]:
        rows += compare(replicates, names[0] + BESIDE, name + BESIDE)
    for name in names:
        rows += compare(replicates, name, name + BESIDE)
    return rows
