"""One night as the site keeps it: how a batch came out, and each figure with its interval and verdict. Small JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import kernels
from workbench.figures.ratio import metric_name
from workbench.figures.text import percent_change, plain
from workbench.record import Result, Run, Verdict
from workbench.report.changes import Change
from workbench.report.job import JobView, is_regression
from workbench.report.view import BatchView, summary

NAME, SENTENCE = 80, 240  # characters that are kept of a name and of a sentence: the batch's own pages have them whole
MOST_SERIES = 2_000
"""Of one night; ten times what the library has. What is beyond is told and stays in the batch's own pages."""

_KEPT = {("throughput", "mean"): "mean time", ("service_time", "p99"): "p99"}
"""The mean time of an operation, which has the narrowest interval, and the tail that budgets are made of."""

_TOLD = (Verdict.SLOWER, Verdict.ENVIRONMENT_INVALID, Verdict.UNRESOLVED, Verdict.FASTER)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Series(_Part):
    """What one figure is of: the same from night to night as long as machine, input and parameters are."""

    hardware_key: str
    machine: str
    kernel: str
    variant: str
    statistic: str = Field(description="mean time or p99, in ns")
    about: str = Field(default="", description="input and parameters")
    of: str = Field(default="", description="the same for every statistic of one measurement, whatever `about` says")


class Value(_Part):
    """One night's value of a series, in ns, with its interval and its verdict against the baseline."""

    value: float
    low: float | None = None
    high: float | None = None
    verdict: Verdict | None = None


class Night(_Part):
    """A batch as the site tells of it. `values` are by the id of their series."""

    name: str
    title: str = ""
    plan: str = ""
    created: str
    badge: str
    summary: str
    changed: str = Field(default="", description="the change that matters most, with size and interval")
    look: str = Field(default="", description="the line to look at")
    host: str = ""
    revision: str = ""
    hardware_keys: list[str] = Field(default_factory=list)
    jobs: int = 0
    finished: int = 0
    duration_s: float = Field(default=0.0, description="by the clock, from `begun` to `ended`")
    begun: str = Field(default="", description="when its first job began; empty where that is not known")
    ended: str = Field(default="", description="when its last job ended")
    left_out: int = Field(default=0, description="series beyond what is kept")
    values: dict[str, Value] = Field(default_factory=dict)


def night_of(view: BatchView) -> tuple[Night, dict[str, Series]]:
    """Return the night that `view` shows, and the series of its values by their ids."""
    names: dict[str, Series] = {}
    values: dict[str, Value] = {}
    for identity, series, value in _figures(view.jobs):
        names.setdefault(identity, series)
        known = values.get(identity)
        if known is None or known.verdict is None:  # of several jobs that measured it, the one that judged counts
            values[identity] = value
    kept = dict(list(values.items())[:MOST_SERIES])
    first = next((change for change in view.changes if change.verdict in _TOLD), None)
    machine = view.machine
    night = Night(
        name=view.folder.name,
        title=plain(view.title, NAME),
        plan=plain(view.plan, NAME),
        created=plain(view.created, 40),
        badge=plain(view.badge, 40),
        summary=plain(summary(view.jobs), SENTENCE),
        changed=_changed(first) if first else "",
        look=plain(f"{first.pointer.line.place} {first.pointer.line.source}", SENTENCE)
        if first and first.pointer
        else "",
        host=plain(machine.host, NAME) if machine else "",
        revision=plain(machine.git_revision or "", 40) if machine else "",
        hardware_keys=sorted(
            {series.hardware_key for series in names.values()} | ({machine.hardware_key} if machine else set())
        ),
        jobs=len(view.jobs),
        finished=sum(job.status == "finished" for job in view.jobs),
        duration_s=view.duration_s,
        begun=view.span[0].isoformat() if view.span else "",
        ended=view.span[1].isoformat() if view.span else "",
        left_out=len(values) - len(kept),
        values=kept,
    )
    return night, {identity: names[identity] for identity in kept}


def _figures(jobs: Sequence[JobView]) -> Iterator[tuple[str, Series, Value]]:
    for job in jobs:
        for run in (each for each in job.records if isinstance(each, Run)):
            verdicts = {(row.b, metric_name(row)): row.verdict for row in run.comparisons if is_regression(row)}
            for result in run.results:
                told = _KEPT.get((result.metric, result.statistic))
                if told is None or result.bound == "upper" or result.rate_per_s is not None or "@" in result.variant:
                    continue
                verdict = verdicts.get((f"{result.kernel}/{result.variant}", told))
                yield (*_series(run, result.kernel, result.variant, told), _value(result, verdict))


def _value(result: Result, verdict: Verdict | None) -> Value:
    """Return a result as a cost in ns: a throughput becomes the mean time of an operation, and its interval turns."""
    if result.metric != "throughput":
        return Value(value=result.value, low=result.low, high=result.high, verdict=verdict)
    low, high = (1e9 / end if end else None for end in (result.high, result.low))
    return Value(value=1e9 / result.value if result.value else 0.0, low=low, high=high, verdict=verdict)


def _series(run: Run, kernel: str, variant: str, statistic: str) -> tuple[str, Series]:
    parameters = run.parameters.get(kernel, {})
    machine, workload = run.machine, run.workload
    whole = [machine.hardware_key, kernel, variant, statistic, workload.sha256, parameters]
    told = [plain(workload.name, NAME), f"{workload.events:,} events", *_chosen_first(kernel, parameters)]
    return _digest(whole), Series(
        hardware_key=plain(machine.hardware_key, 40),
        machine=plain(f"{machine.cpu_model}, {machine.cores} cores", NAME),
        kernel=plain(kernel, NAME),
        variant=plain(variant, NAME),
        statistic=statistic,
        about=plain(", ".join(told), 2 * NAME),
        of=_digest([machine.hardware_key, kernel, variant, workload.sha256, parameters]),
    )


def _chosen_first(kernel: str, parameters: Mapping[str, int]) -> list[str]:
    """Return the parameters as text, those that somebody chose first: what is cut off at the end is known anyway."""
    known = kernels.catalog().get(kernel)
    defaults = {each.name: each.default for each in known.parameters} if known else {}
    ordered = sorted(parameters.items(), key=lambda item: defaults.get(item[0]) == item[1])
    return [f"{name} = {value}" for name, value in ordered]


def _digest(whole: list[Any]) -> str:
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]


def _changed(change: Change) -> str:
    interval = f"{percent_change(change.low)} to {percent_change(change.high)}"
    return plain(f"{change.variant}, {change.what}: {percent_change(change.ratio)} ({interval})", SENTENCE)
