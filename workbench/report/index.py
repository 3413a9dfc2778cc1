"""The index of a batch: what a person reads first in the morning.

The first screen says the verdict, what changed and by how much, on which machine, and which line to look at; below it
stand the evidence: every report with what it made, and the budgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.files import write_text
from workbench.gate.budgets import Budget
from workbench.record import Verdict
from workbench.report import page
from workbench.report.job import JobView
from workbench.report.summary import write_summary
from workbench.report.view import BatchView, read_batch_view, summary

INDEX = "index.html"
FIRST_FAILURES = 3  # on the first screen
FIRST_CHANGES = 6  # on the first screen; the others follow the reports
MOST_CHANGES = 120  # rows below them, as on the site; the reports have them all
MOST_LINKS = 20  # to what one job made
_SHOWN_FIRST = (Verdict.SLOWER, Verdict.ENVIRONMENT_INVALID, Verdict.UNRESOLVED, Verdict.FASTER)
_MADE = ("results.json", "outcome.json", "params.json", "state.json", "executed.ipynb", "log.txt", "records/")


def write_index(folder: Path, budgets: Sequence[Budget] = ()) -> Path:
    """Write ``index.html`` and the summaries of the batch in `folder`, from its JSON and the jobs'; return the page."""
    view = read_batch_view(folder, budgets)
    path = folder / INDEX
    write_text(path, index_html(view))
    write_summary(view)
    return path


def index_html(view: BatchView) -> str:
    """Return the page. What needs a person's eye stands first; inside each verdict the plan's order holds."""
    told = [change for change in view.changes if change.verdict in _SHOWN_FIRST]
    facts = page.machine_facts(view.machine) if view.machine else []
    facts += [("begun", f"{view.created[:16].replace('T', ' ')} UTC"), ("took", page.duration(view.duration_s))]
    rows = [_row(job, view) for job in view.ordered]
    failed = [row for row in rows if row["badge"] == "FAILED"]
    return page.render(
        "index.html.j2",
        view=view,
        failed=failed[:FIRST_FAILURES],
        more_failed=max(0, len(failed) - FIRST_FAILURES),
        summary=summary(view.jobs),
        first=told[:FIRST_CHANGES],
        others=told[FIRST_CHANGES : FIRST_CHANGES + MOST_CHANGES],
        others_left=max(0, len(told) - FIRST_CHANGES - MOST_CHANGES),
        unchanged=sum(change.verdict is Verdict.UNCHANGED for change in view.changes),
        facts=facts,
        rows=rows,
        budgets=view.budgets,
        site="../index.html" if (view.folder.parent / INDEX).is_file() else None,
        diff="diff.html" if (view.folder / "diff.html").is_file() else None,
        policy=page.POLICY,
        style=page.text("style.css"),
    )


def _row(job: JobView, view: BatchView) -> dict[str, Any]:
    folder = job.folder.relative_to(view.folder)
    made = [name for name in job.artefacts() if not name.startswith(_MADE)]
    return {
        "badge": job.badge,
        "name": job.name,
        "about": job.about,
        "headline": job.headline,
        "took": page.duration(job.duration_s) if job.duration_s else "",
        "link": view.link(job),
        "host": job.state.get("host", ""),
        "attempts": len(job.state.get("attempts") or ()),
        "made": [(name, quote(str(folder / name)), _size(job.folder / name)) for name in made[:MOST_LINKS]],
        "made_left": max(0, len(made) - MOST_LINKS) + job.artefacts_left,
        "folder": quote(f"{folder}/"),
    }


def _size(path: Path) -> str:
    try:
        return page.size(path.stat().st_size)
    except OSError:
        return ""
