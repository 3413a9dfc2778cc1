"""What changed in a batch: every judged comparison of every job, those that matter most first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.figures.ratio import metric_name
from workbench.record import Comparison, GateCell, Verdict
from workbench.report.job import JobView
from workbench.report.lines import Pointer, look_at, pointers

_MATTERS = (Verdict.SLOWER, Verdict.ENVIRONMENT_INVALID, Verdict.UNRESOLVED, Verdict.FASTER, Verdict.UNCHANGED)


@dataclass(frozen=True)
class Change:
    """One comparison with what was before: `ratio` is of the cost, with its interval."""

    verdict: Verdict
    variant: str  # kernel/variant
    what: str  # the metric, as a person says it
    ratio: float
    low: float
    high: float
    reason: str
    job: JobView
    pointer: Pointer | None

    @property
    def machine(self) -> str:
        """Return the host on which it was measured."""
        return self.job.machine.host if self.job.machine else ""


def changes(jobs: Sequence[JobView]) -> list[Change]:
    """Return what the jobs judged against a baseline or another revision, what matters most first."""
    known = pointers(jobs)
    found = []
    for job in jobs:
        judged: list[Comparison | GateCell] = [*job.regressions]
        judged += [cell for gate in job.gates for cell in gate.cells]
        for row in judged:
            variant = row.b.partition("@")[0]
            pointer = look_at(variant, known) if row.verdict is not Verdict.UNCHANGED else None
            found.append(
                Change(row.verdict, variant, metric_of(row), row.ratio, row.low, row.high, row.reason, job, pointer)
            )
    return sorted_changes(found)


def sorted_changes(found: Sequence[Change]) -> list[Change]:
    """Return `found`, what matters most first, and of that the largest."""
    return sorted(found, key=lambda change: (_MATTERS.index(change.verdict), -abs(change.ratio - 1)))


def metric_of(row: Comparison | GateCell) -> str:
    """Return the metric of a comparison as a person says it."""
    if isinstance(row, Comparison):
        return metric_name(row)
    return row.statistic if row.metric == "service_time" else row.metric.replace("_", " ")
