"""A batch in a few lines for mail or chat: Markdown, and HTML that needs no style sheet and no script."""

from __future__ import annotations

import html
from collections.abc import Sequence

from workbench.figures.text import percent_change, plain
from workbench.files import write_text
from workbench.record import Verdict
from workbench.report import page
from workbench.report.changes import Change
from workbench.report.job import JobView
from workbench.report.markdown import code, escaped
from workbench.report.view import BatchView, summary

MARKDOWN, HTML = "summary.md", "summary.html"
MOST_ROWS = 25
"""Of changes and of jobs: with the longest names a summary stays below 100 KB, the least that mail programs show."""

_TOLD = (Verdict.SLOWER, Verdict.ENVIRONMENT_INVALID, Verdict.UNRESOLVED, Verdict.FASTER)
_QUIET = ("UNCHANGED", "MEASURED", "BASELINE", "DONE")
_COLOURS = {"SLOWER": "#a8260b", "FAILED": "#a8260b", "FASTER": "#1a5fb4", "UNRESOLVED": "#7a34ad"}
_CELL = "padding:4px 12px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid #d9dee4"


def write_summary(view: BatchView) -> None:
    """Write ``summary.md`` and ``summary.html`` into the batch's folder."""
    write_text(view.folder / MARKDOWN, summary_markdown(view))
    write_text(view.folder / HTML, summary_html(view))


def summary_markdown(view: BatchView) -> str:
    """Return the summary in Markdown, as GitHub, GitLab and chats read it. Whatever was named is escaped."""
    told, jobs = _told(view), _jobs(view)
    lines = [f"### {escaped(view.badge)}: {escaped(view.title, 120)}", "", escaped(_sentence(view), 600), ""]
    if told:
        lines += ["| verdict | what | change of cost | where to look |", "| --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(_cells(change))} |" for change in told[:MOST_ROWS]]
        lines += [*_more(told), ""]
    if jobs:
        lines += [
            f"- **{escaped(job.badge)}** {escaped(job.name)}: {escaped(job.headline, 300)}" for job in jobs[:MOST_ROWS]
        ]
        lines += [*_more(jobs), ""]
    missed = [budget for budget in view.budgets if not budget.must_met]
    lines += [
        f"- budget missed: {escaped(budget.title, 120)}, {escaped(budget.words, 160)}" for budget in missed[:MOST_ROWS]
    ]
    lines += ["", f"{escaped(_where(view), 300)}", f"Report: `{code(str(view.folder / 'index.html'))}`"]
    return "\n".join(lines).strip() + "\n"


def summary_html(view: BatchView) -> str:
    """Return the summary as a page with inline styles only: mail programs drop style sheets and scripts."""
    told, jobs = _told(view), _jobs(view)
    parts = [
        f'<h1 style="font-size:20px;margin:0 0 8px">{_badge(view.badge)} {_e(view.title, 120)}</h1>',
        f'<p style="margin:0 0 12px">{_e(_sentence(view), 600)}</p>',
    ]
    if told:
        rows = [
            (
                _badge(change.verdict.value),
                f"{_e(change.variant)}, {_e(change.what)}",
                _size(change),
                _e(_look(change), 160),
            )
            for change in told[:MOST_ROWS]
        ]
        parts.append(_table("What changed", ("verdict", "what", "change of cost", "where to look"), rows, _more(told)))
    if jobs:
        rows_of_jobs = [(_badge(job.badge), _e(job.name), _e(job.headline, 300)) for job in jobs[:MOST_ROWS]]
        parts.append(_table("Reports", ("state", "report", "finding"), rows_of_jobs, _more(jobs)))
    missed = [budget for budget in view.budgets if not budget.must_met]
    if missed:
        rows_of_budgets = [(_e(budget.title, 120), _e(budget.words, 160)) for budget in missed[:MOST_ROWS]]
        parts.append(_table("Budgets missed", ("budget", "by"), rows_of_budgets, _more(missed)))
    parts.append(f'<p style="margin:12px 0 0;color:#4a5666">{_e(_where(view), 300)}</p>')
    parts.append(f'<p style="margin:4px 0 0;color:#4a5666">Report: {_e(view.folder / "index.html", 300)}</p>')
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{_e(view.title, 120)}</title></head>'
        '<body style="margin:16px;background:#ffffff;color:#1c2430;font:14px/1.5 system-ui,sans-serif;'
        f'overflow-wrap:anywhere">{"".join(parts)}</body></html>\n'
    )


def _told(view: BatchView) -> list[Change]:
    return [change for change in view.changes if change.verdict in _TOLD]


def _jobs(view: BatchView) -> list[JobView]:
    """Return the jobs that a person has to hear of."""
    return [job for job in view.ordered if job.badge not in _QUIET]


def _sentence(view: BatchView) -> str:
    unchanged = sum(change.verdict is Verdict.UNCHANGED for change in view.changes)
    return summary(view.jobs) + (f" {unchanged} comparisons are unchanged." if unchanged else "")


def _where(view: BatchView) -> str:
    facts = page.machine_facts(view.machine) if view.machine else []
    told = [value for name, value in facts if name in ("machine", "code")]
    return ", ".join([*told, f"begun {view.created[:16].replace('T', ' ')} UTC", page.duration(view.duration_s)])


def _cells(change: Change) -> tuple[str, ...]:
    what = f"{escaped(change.variant)}, {escaped(change.what)}"
    return change.verdict.value, what, _size(change), escaped(_look(change), 160)


def _look(change: Change) -> str:
    found = change.pointer
    return f"{found.line.place} {found.line.source} ({found.because})" if found else ""


def _size(change: Change) -> str:
    interval = f"{percent_change(change.low)} to {percent_change(change.high)}"
    return f"{percent_change(change.ratio)} ({interval})"


def _more(rows: Sequence[object]) -> list[str]:
    return ["", f"and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], more: Sequence[str]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL};color:#4a5666">{name}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    after = f'<p style="margin:0 0 12px;color:#4a5666">{more[-1]}</p>' if more else ""
    return (
        '<table style="border-collapse:collapse;margin:0 0 12px;font-size:13px">'
        f'<caption style="text-align:left;padding:0 0 4px;font-weight:600">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{after}"
    )


def _badge(word: str) -> str:
    return f'<strong style="color:{_COLOURS.get(word, "#1c2430")}">{_e(word, 40)}</strong>'


def _e(text: object, limit: int = 80) -> str:
    return html.escape(plain(text, limit), quote=True)
