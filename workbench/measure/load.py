"""Variants under an open loop: response times at each load, beside what a closed loop would have told; and the knee.

Everything comes from fresh pinned processes, with the variants in turns at every load. The knee is the highest load of
those measured that holds a limit of p99, and so do all loads below it; the next one that was measured does not.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import policy, record
from workbench.errors import InputError
from workbench.measure.driver import Request
from workbench.measure.open_loop_job import Arrivals, OpenJob, OpenOutcome
from workbench.measure.processes import Crew
from workbench.measure.progress import Progress
from workbench.measure.results import percentile_of, result_row
from workbench.measure.timing_lock import timing_lock
from workbench.stats.median import median, sign_interval

KEPT_UP = 0.98
"""A load is kept up with when operations end at this share of the intended rate, or faster."""


@dataclass(frozen=True)
class Load:
    """What is asked of the variants: moments, loads (operations a second, or speeds of the recording), and a limit."""

    arrivals: Arrivals = "poisson"
    loads: tuple[float, ...] = ()  # none: a ladder, to search for the knee
    burst_factor: float = 100.0
    knee_p99_ns: float | None = None


def measure_load(request: Request, load: Load, progress: Progress) -> record.Run:
    """Measure the variants that `request` names under `load` and return the record.

    Raises InputError for what cannot be run so, WorkbenchError when a process fails.
    """
    if len({selector.split("/")[0] for selector in request.selectors}) > 1:
        raise InputError("variants of different kernels do different work: name variants of one")
    if any(not 0 < each < float("inf") for each in load.loads):
        raise InputError("a load is a number of operations a second above 0 (with --arrivals recorded, a speed)")
    if load.arrivals == "recorded" and not load.loads:
        raise InputError("a recording is replayed at a speed: give one with --rate, 1 is as it was")
    began = time.monotonic()
    outcomes = _replicates(request, load, progress)
    from workbench.measure.machine import fingerprint

    first = outcomes[0]
    replicates = [outcome.replicate for outcome in outcomes]
    rates = rates_of(replicates)
    results = [row for name in first.variants for rate in rates for row in _results(replicates, name, rate)]
    if load.knee_p99_ns is not None:
        results += [knee_row(results, name, rates, load.knee_p99_ns) for name in first.variants]
    return record.Run(
        machine=fingerprint(),
        workload=first.workload,
        parameters={first.kernel: first.parameters},
        results=results,
        replicates=replicates,
        notes=list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes)),
        duration_s=time.monotonic() - began,
    )


def rates_of(replicates: Sequence[record.Replicate]) -> list[float]:
    """Return the loads that were measured, operations a second, ascending."""
    sides = (side for r in replicates for block in r.blocks for side in block.sides)
    return sorted({side.rate_per_s for side in sides if side.rate_per_s is not None})


def knee_row(results: Sequence[record.Result], name: str, rates: Sequence[float], limit_ns: float) -> record.Result:
    """Return the highest rate of `name` (kernel/variant) that holds `limit_ns`, as do all below it; 0 where none does.

    A rate holds the limit when the upper end of p99's interval does, and operations end as fast as they come.
    """
    own = {(row.metric, row.statistic, row.rate_per_s): row for row in results if f"{row.kernel}/{row.variant}" == name}
    knee, samples = 0.0, 0
    for rate in rates:
        tail, done = own.get(("response_time", "p99", rate)), own.get(("achieved_rate", "median", rate))
        if tail is None or done is None:
            break
        if (tail.value if tail.high is None else tail.high) > limit_ns or done.value < KEPT_UP * rate:
            break
        knee, samples = rate, samples + tail.samples
    return result_row(name, "knee", f"p99 <= {limit_ns:g} ns", "operations/s", knee, None, samples)


def _results(replicates: Sequence[record.Replicate], name: str, rate: float) -> list[record.Result]:
    """Return the figures of one variant at one rate."""
    corrected = [_at(replicate, rate, service=False) for replicate in replicates]
    uncorrected = [_at(replicate, rate, service=True) for replicate in replicates]
    sides = [side for r in corrected for block in r.blocks for side in block.sides if side.variant == name]
    rows = []
    for metric, chosen in (("response_time", corrected), ("service_time", uncorrected)):
        for statistic, fraction in policy.PERCENTILES.items():
            found = percentile_of(chosen, name, fraction)
            if found is not None:
                rows.append(result_row(name, metric, statistic, "ns", *found))
    rows.append(_median_row(name, "achieved_rate", "operations/s", [s.operations * 1e9 / s.elapsed_ns for s in sides]))
    recoveries = [side.counters["recovery_ns"] for side in sides if "recovery_ns" in side.counters]
    if recoveries:
        never = float("inf")
        rows.append(
            _median_row(name, "recovery_time", "ns", [never if each < 0 else float(each) for each in recoveries])
        )
    return [row.model_copy(update={"rate_per_s": rate}) for row in rows]


def _median_row(name: str, metric: str, unit: str, values: Sequence[float]) -> record.Result:
    interval = sign_interval(values, policy.ALPHA)
    return result_row(name, metric, "median", unit, median(values), interval, len(values))


def _at(replicate: record.Replicate, rate: float, *, service: bool) -> record.Replicate:
    """Return `replicate` with only the sides at `rate`; with `service`, their times from the real start."""
    blocks = []
    for block in replicate.blocks:
        sides = [side for side in block.sides if side.rate_per_s == rate]
        if service:
            sides = [side.model_copy(update={"histogram": side.service}) for side in sides]
        blocks.append(block.model_copy(update={"sides": sides}))
    return replicate.model_copy(update={"blocks": blocks})


def _replicates(request: Request, load: Load, progress: Progress) -> list[OpenOutcome]:
    """Run one fresh process after the other; return what they report. The first may choose the loads."""
    crew = Crew(progress.note)
    outcomes: list[OpenOutcome] = []
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, contextlib.ExitStack() as held:
        try:
            for index in range(request.replicates):
                job = OpenJob(
                    **request.setting(),
                    replicate=index,
                    seconds=request.seconds / request.replicates,
                    arrivals=load.arrivals,
                    loads=outcomes[0].loads if outcomes else list(load.loads),
                    burst_factor=load.burst_factor,
                    outcome_file=str(Path(folder) / f"outcome-{index}.json"),
                )
                outcomes.append(_one(crew, job, request.replicates, progress, held))
        finally:
            crew.dismiss()
            progress.close()
    return outcomes


def _one(crew: Crew, job: OpenJob, of: int, progress: Progress, held: contextlib.ExitStack) -> OpenOutcome:
    title = f"replicate {job.replicate + 1} of {of}"
    child = crew.start("open_loop_replicate", title, Path(job.outcome_file).parent)
    child.send(job.model_dump_json())
    done = 0.0
    for _, message in crew.conversation([child]):
        if message.get("asks") == "lock":
            if not job.replicate:
                held.enter_context(timing_lock("an open loop", progress.note))
            child.send("{}")
        elif "block" in message:
            done = message["block"] / message["of"]
        progress.advance((job.replicate + done) / of, f"{title}: {child.doing}")
    return OpenOutcome.model_validate_json(Path(job.outcome_file).read_bytes())
