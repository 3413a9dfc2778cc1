"""What `workbench batch --dry-run` says: which jobs would run, how long each will take, and how that is known."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import Exit
from workbench.figures.text import plain

if TYPE_CHECKING:
    from workbench.batch.estimate import Estimate
    from workbench.batch.job import Job
    from workbench.commands.batch import Asked

MOST_ROWS = 200  # a longer plan is told by notebook
_ABOUT = 60


def dry_run(asked: Asked, folder: Path, as_json: bool) -> int:
    """Print what would be done in `folder` and how long it will take; return 2 when a job cannot run at all."""
    from workbench.batch.dask_files import finished
    from workbench.batch.engines import open_engine
    from workbench.batch.estimate import batch_seconds, estimate, measured_starts, read_history
    from workbench.batch.local import finished_state

    open_engine(asked.engine)
    key = asked.machine.hardware_key
    left = [
        job
        for job in asked.chosen
        if (finished(folder, job) if asked.anywhere else finished_state(folder / key / job.name, job.key)) is None
    ]
    found = estimate(left, read_history(folder.parent, key, folder), lambda: measured_starts(key))
    total_s = batch_seconds(left, found, asked.engine.at_once)
    done = len(asked.chosen) - len(left)
    tell = _json if as_json else _text
    click.echo(tell(asked, left, found, total_s, done))
    return Exit.USAGE if any(each.problem for each in found) else Exit.FINE


def _text(asked: Asked, jobs: list[Job], found: list[Estimate], total_s: float, done: int) -> str:
    lines = [f"{asked.name}: {_count(len(asked.chosen), 'job')} of {plain(asked.file, 200)}"]
    if done:
        lines.append(f"{done} of them {'is' if done == 1 else 'are'} finished and will not be repeated")
    if unknown := _unknown_thresholds(asked):
        lines.append(f"[thresholds] names {', '.join(unknown)}, and there is no such kernel here")
    lines.append("")
    if len(jobs) <= MOST_ROWS:
        pairs = zip(jobs, found, strict=True)
        rows = [(_time(each), str(each.source), plain(job.title, 40), _about(job, each)) for job, each in pairs]
    else:
        rows = _by_notebook(jobs, found)
    lines += [f"{took:>9}  {source:<13}  {title:<20}  {about}".rstrip() for took, source, title, about in rows]
    sources = Counter(each.source for each in found)
    told = ", ".join(f"{number} {source}" for source, number in sources.items())
    lines += ["", f"about {duration(total_s)} in all ({told})" if jobs else "nothing is left to do"]
    batch_s = asked.plan.limits.batch_s
    if batch_s is not None and total_s > batch_s:
        lines.append(f"more than the plan allows the batch ({duration(batch_s)}): what is left then is not begun")
    if "reckoned" in sources:
        lines.append("reckoned: seconds asked for, and what starts cost here; what is not compiled yet comes on top")
    return "\n".join(lines)


def _by_notebook(jobs: list[Job], found: list[Estimate]) -> list[tuple[str, str, str, str]]:
    grouped: dict[tuple[str, str], list[float]] = {}
    problems: dict[tuple[str, str], str] = {}
    for job, each in zip(jobs, found, strict=True):
        key = (job.title, each.source)
        grouped.setdefault(key, []).append(each.seconds or 0.0)
        problems.setdefault(key, each.problem)
    return [
        (duration(sum(times)), source, plain(title, 40), f"{_count(len(times), 'job')} {problems[title, source]}")
        for (title, source), times in grouped.items()
    ]


def _about(job: Job, each: Estimate) -> str:
    if each.problem:
        return plain(each.problem, 300)
    given = [f"{plain(name, 30)}={plain(json.dumps(value, ensure_ascii=False), _ABOUT)}" for name, value in _own(job)]
    return plain(" ".join(given), 160)


def _own(job: Job) -> list[tuple[str, Any]]:
    """Return the parameters that tell a job from others first."""
    return sorted(job.parameters.items(), key=lambda item: item[0] != "kernel")


def _time(each: Estimate) -> str:
    return "" if each.problem or each.seconds is None else duration(each.seconds)


def _unknown_thresholds(asked: Asked) -> list[str]:
    import kernels

    known = kernels.catalog()
    return [plain(name, 40) for name in asked.rules.margins if name and name not in known]


def _json(asked: Asked, jobs: list[Job], found: list[Estimate], total_s: float, done: int) -> str:
    key = asked.machine.hardware_key
    results = [
        {
            "job": f"{key}/{job.name}",
            "notebook": job.title,
            "parameters": job.parameters,
            "estimated_s": each.seconds,
            "source": each.source,
            "problem": each.problem or None,
        }
        for job, each in zip(jobs, found, strict=True)
    ]
    told = {
        "schema": "workbench/batch-plan/1",
        "machine": asked.machine.model_dump(mode="json"),
        "batch": asked.name,
        "finished": done,
        "estimated_s": round(total_s, 1),
        "results": results,
    }
    return json.dumps(told, default=str)


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
