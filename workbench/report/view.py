"""A batch as the pages read it: its list of jobs, and what is known of each, from JSON files alone."""

from __future__ import annotations

import datetime
import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from workbench.gate.budgets import Budget, BudgetOutcome, judge_budgets
from workbench.record import Machine
from workbench.report.changes import Change, changes
from workbench.report.job import JobView, read_job_view, record_files


@dataclass(frozen=True)
class BatchView:
    """A batch as the pages read it: its list of jobs, and what is known of each."""

    folder: Path
    batch: Mapping[str, Any]
    jobs: Sequence[JobView]
    budgets: Sequence[BudgetOutcome] = ()

    @property
    def name(self) -> str:
        """Return the batch's name: its plan and its date."""
        return str(self.batch.get("name") or self.folder.name)

    @property
    def title(self) -> str:
        """Return what the plan is called."""
        return str(self.batch.get("title") or self.name)

    @property
    def plan(self) -> str:
        """Return the file name of the plan."""
        return Path(str(self.batch.get("plan") or "")).name

    @property
    def created(self) -> str:
        """Return when the batch was begun, in ISO 8601."""
        return str(self.batch.get("created") or "")

    @property
    def ordered(self) -> list[JobView]:
        """Return the jobs, those that need an eye first; inside each verdict in the plan's order."""
        return sorted(self.jobs, key=lambda job: job.urgency)

    @property
    def badge(self) -> str:
        """Return the word that comes first: that of the job that needs an eye most."""
        return self.ordered[0].badge if self.jobs else "EMPTY"

    @property
    def machine(self) -> Machine | None:
        """Return where the batch was begun; None where its file does not tell."""
        try:
            return Machine.model_validate(self.batch.get("machine"))
        except ValidationError:
            return None

    @property
    def changes(self) -> list[Change]:
        """Return what was judged in all jobs, what matters most first."""
        return changes(self.jobs)

    @property
    def span(self) -> tuple[datetime.datetime, datetime.datetime] | None:
        """Return when the first job began and the last one ended; None where none has begun.

        A batch that was resumed reaches from its first beginning to its last end.
        """
        spans = [span for job in self.jobs if (span := job.span) is not None]
        return (min(begun for begun, _ in spans), max(ended for _, ended in spans)) if spans else None

    @property
    def duration_s(self) -> float:
        """Return how long the batch took by the clock, however many jobs ran at once; 0 where that is not known."""
        return (self.span[1] - self.span[0]).total_seconds() if self.span is not None else 0.0

    def link(self, job: JobView) -> str | None:
        """Return the address of a job's report, relative to the batch; None where there is none."""
        report = job.folder / "report.html"
        return quote(str(report.relative_to(self.folder))) if report.is_file() else None


def read_batch_view(folder: Path, budgets: Sequence[Budget] = ()) -> BatchView:
    """Return what is known of the batch in `folder`. Raises OSError or ValueError where its ``batch.json`` is lost.

    A job is read again only when its files are others than at the last time: a batch asks after every job.
    """
    batch = json.loads((folder / "batch.json").read_bytes())
    jobs = [_view(folder / str(name), _stamps(folder / str(name))) for name in batch["jobs"]]
    results = [result for job in jobs if job.run is not None for result in job.run.results]
    return BatchView(folder, batch, jobs, judge_budgets(budgets, results))


def summary(jobs: Sequence[JobView]) -> str:
    """Return how the jobs came out, in one sentence."""
    counted = Counter(job.badge for job in sorted(jobs, key=lambda job: job.urgency))
    told = ", ".join(f"{number} {badge.lower()}" for badge, number in counted.items())
    return f"{len(jobs)} {'report' if len(jobs) == 1 else 'reports'}: {told}."


def _stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what tells whether a job's files changed: their times and sizes."""
    found = []
    for path in (folder / "params.json", folder / "state.json", folder / "outcome.json", *record_files(folder)):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(found)


@functools.lru_cache(maxsize=100_000)
def _view(folder: Path, _stamps: tuple[tuple[str, int, int], ...]) -> JobView:
    return read_job_view(folder)
