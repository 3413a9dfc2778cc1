"""The index of a batch: what a person reads first in the morning. Verdicts first, then the rest, then the budgets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.files import write_text
from workbench.gate.budgets import Budget, judge_budgets
from workbench.record import Machine
from workbench.report import page
from workbench.report.job import JobView, read_job_view

INDEX = "index.html"


def write_index(folder: Path, budgets: Sequence[Budget] = ()) -> Path:
    """Write ``index.html`` for the batch in `folder`, from its JSON and the jobs'; return its path."""
    batch = json.loads((folder / "batch.json").read_bytes())
    jobs = [read_job_view(folder / name) for name in batch["jobs"]]
    path = folder / INDEX
    write_text(path, index_html(batch, jobs, budgets, folder))
    return path


def index_html(batch: dict[str, Any], jobs: Sequence[JobView], budgets: Sequence[Budget], folder: Path) -> str:
    """Return the page. What needs a person's eye stands first; inside each verdict the plan's order holds."""
    ordered = sorted(jobs, key=lambda job: job.urgency)
    results = [result for job in jobs if job.run is not None for result in job.run.results]
    facts = page.machine_facts(Machine.model_validate(batch["machine"]))
    spent = sum(float(job.state.get("duration_s", 0.0)) for job in jobs)
    facts += [("begun", f"{str(batch['created'])[:16].replace('T', ' ')} UTC"), ("took", page.duration(spent))]
    return page.render(
        "index.html.j2",
        name=batch["name"],
        plan=Path(batch["plan"]).name,
        title=batch["title"] or batch["name"],
        badge=ordered[0].badge if ordered else "EMPTY",
        summary=summary(jobs),
        facts=facts,
        rows=[_row(job, folder) for job in ordered],
        budgets=judge_budgets(budgets, results),
        policy=page.POLICY,
        style=page.text("style.css"),
    )


def summary(jobs: Sequence[JobView]) -> str:
    """Return how the jobs came out, in one sentence."""
    counted = Counter(job.badge for job in sorted(jobs, key=lambda job: job.urgency))
    told = ", ".join(f"{number} {badge.lower()}" for badge, number in counted.items())
    return f"{len(jobs)} {'report' if len(jobs) == 1 else 'reports'}: {told}."


def _row(job: JobView, folder: Path) -> dict[str, Any]:
    parameters = job.params.get("parameters", {})
    about = ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in parameters.items())
    report = job.folder / "report.html"
    return {
        "badge": job.badge,
        "name": job.name,
        "about": about,
        "headline": job.headline,
        "took": page.duration(float(job.state["duration_s"])) if job.state.get("duration_s") else "",
        "link": quote(str(report.relative_to(folder))) if report.is_file() else None,
    }
