"""How a batch came out, as one JSON object: ``summary.json`` in its folder, also printed by ``batch --json``."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench import record
from workbench.batch.folder import Batch
from workbench.batch.job import PARAMS, Failure, Job, State, read_state, record_files
from workbench.errors import Exit, WorkbenchError, worst
from workbench.files import write_text
from workbench.gate.budgets import judge_budgets
from workbench.gate.outcome import Outcome, read_outcome
from workbench.gate.rules import Rules
from workbench.record import Machine, Result, Verdict

FILE = "summary.json"
Status = Literal["waiting", "running", "finished", "failed"]


class JobSummary(BaseModel):
    """How one job came out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str = Field(description="its folder, relative to the batch's")
    notebook: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    status: Status
    host: str = ""
    attempts: int = 0
    duration_s: float = Field(default=0.0, description="of its last attempt")
    estimated_s: float | None = None
    failure: Failure | None = None
    outcome: Outcome | None = None


class Summary(BaseModel):
    """How a batch came out."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Literal["workbench/batch-summary/1"] = Field(default="workbench/batch-summary/1", alias="schema")
    machine: Machine
    batch: str
    title: str = ""
    plan: str = ""
    created: datetime.datetime
    ended: datetime.datetime
    exit_code: int = Field(description="0 fine, 1 a job failed, 3 regression or budget missed, 4 unresolved, 5 invalid")
    counts: dict[str, int] = Field(description="jobs by status")
    took_s: float = Field(description="the last attempts of all jobs together")
    estimated_s: float | None = Field(default=None, description="what was expected of them before the batch began")
    budgets_missed: list[str] = Field(default_factory=list, description="of the plan's own budgets, surely missed")
    troubles: list[str] = Field(default_factory=list, description="what went wrong outside the jobs")
    index: str = Field(description="the path of the page")
    results: list[JobSummary]


def summarize(
    batch: Batch,
    folder: Path,
    run: Sequence[str],
    troubles: Sequence[str] = (),
    estimates: Mapping[str, float] | None = None,
) -> Summary:
    """Return how `batch` in `folder` came out, from the files of its jobs.

    `run` are the jobs (relative folders) that this time was about: they and the plan's budgets decide the exit code.
    """
    results = [_job_summary(folder, name, (estimates or {}).get(name)) for name in batch.jobs]
    chosen = set(run)
    told = [result for result in results if result.job in chosen]
    missed = missed_budgets(folder, told, batch.rules)
    codes = [result.outcome.exit_code for result in told if result.outcome is not None]
    if troubles or any(result.status != "finished" for result in told):
        codes.append(Exit.FAILED)
    if missed:
        codes.append(Exit.REGRESSION)
    return Summary(
        machine=batch.machine,
        batch=batch.name,
        title=batch.title,
        plan=batch.plan,
        created=batch.created,
        ended=datetime.datetime.now(datetime.UTC),
        exit_code=int(worst(codes)),
        counts=dict(Counter(result.status for result in results)),
        took_s=round(sum(result.duration_s for result in results), 3),
        estimated_s=batch.estimated_s,
        budgets_missed=missed,
        troubles=list(troubles),
        index=str(folder / "index.html"),
        results=results,
    )


def missed_budgets(folder: Path, jobs: Sequence[JobSummary], rules: Rules) -> list[str]:
    """Return which of the plan's own budgets are surely missed, in words: the whole interval lies beyond the limit.

    What was measured where the environment was invalid does not count.
    """
    if not rules.binding:
        return []
    results: list[Result] = []
    for job in jobs:
        valid = job.outcome is None or job.outcome.verdict is not Verdict.ENVIRONMENT_INVALID
        if job.status == "finished" and valid:
            results += _results(folder / job.job)
    judged = judge_budgets(rules.chosen_budgets(), results)
    return [f"{each.title}: {each.words}" for each in judged if each.sure and not each.must_met]


def write_summary(folder: Path, summary: Summary) -> None:
    """Write ``summary.json`` into the batch's folder."""
    write_text(folder / FILE, summary.model_dump_json(by_alias=True, indent=1) + "\n")


def _job_summary(folder: Path, name: str, estimated_s: float | None) -> JobSummary:
    own = folder / name
    job, state, outcome = _params(own), _state(own), None
    if state is not None and state.status == "finished":
        try:
            outcome = read_outcome(own)
        except WorkbenchError:
            outcome = None  # the runner has checked it: damaged since
    return JobSummary(
        job=name,
        notebook="" if job is None else job.title or Path(job.notebook).stem,
        parameters={} if job is None else job.parameters,
        tags=[] if job is None else job.tags,
        status="waiting" if state is None else state.status,
        host="" if state is None else state.host,
        attempts=0 if state is None else len(state.attempts),
        duration_s=0.0 if state is None else state.duration_s,
        estimated_s=estimated_s,
        failure=None if state is None else state.failure,
        outcome=outcome,
    )


def _params(folder: Path) -> Job | None:
    try:
        return Job.model_validate_json((folder / PARAMS).read_bytes())
    except (OSError, ValidationError):
        return None


def _state(folder: Path) -> State | None:
    try:
        return read_state(folder)
    except WorkbenchError:
        return None


def _results(folder: Path) -> list[Result]:
    found: list[Result] = []
    for path in record_files(folder):
        try:
            each = record.read(path)
        except record.RecordError:
            continue
        if isinstance(each, record.Run):
            found += each.results
    return found
