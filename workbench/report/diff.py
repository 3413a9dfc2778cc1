"""Two nights against each other: the runs that both stored, compared as a run is with a baseline, on one machine."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench import record
from workbench.errors import InputError
from workbench.figures.text import percent_change, plain
from workbench.files import write_text
from workbench.gate.baseline import compare_with_baseline
from workbench.gate.differences import machine_changes
from workbench.record import Comparison, Run, Verdict
from workbench.report import page
from workbench.report.changes import Change, metric_of, sorted_changes
from workbench.report.findings import code_sentence
from workbench.report.job import JobView, record_files
from workbench.report.lines import Pointer, look_at, pointers
from workbench.report.view import BatchView

STATISTICS = ("throughput", "p50", "p99")
PAGE = "diff.html"
FIRST_ROWS = 8  # on the first screen
MOST_ROWS = 120  # of each table and list on the page, as on the site; `--json` has them all


@dataclass(frozen=True)
class Diff:
    """What changed from one night to another. `changes` are all comparisons, what matters most first."""

    before: BatchView
    after: BatchView
    changes: Sequence[Change]
    moved: Sequence[tuple[str, Pointer, Pointer]]  # variant, its costliest line then and now, where that is another
    notes: Sequence[str]  # what was not compared, and why; what else is other
    code: Sequence[str]  # whose machine code changed

    @property
    def badge(self) -> str:
        """Return the verdict that matters most, or that nothing was compared."""
        return self.changes[0].verdict.value if self.changes else "NOTHING COMPARED"


def diff_nights(before: BatchView, after: BatchView) -> Diff:
    """Compare the jobs that both nights have: the same notebook with the same parameters on the same hardware key.

    Each comparison is that of `workbench.gate.baseline`: what the machine did between the nights is taken out by a
    variant whose machine code did not change, where there is one. Runs of other input or parameters are told and not
    compared; neither are nights of other hardware.
    """
    then = {_place(before, job): job for job in before.jobs}
    now = {_place(after, job): job for job in after.jobs}
    found: list[Change] = []
    notes: list[str] = []
    code: list[str] = []
    known = pointers(after.jobs)
    for name in (each for each in now if each in then):
        rows, told, sentence = _compared(then[name], now[name], before.folder.name)
        notes += told
        code += [sentence] if sentence else []
        found += [_change(row, now[name], known) for row in rows]
    notes += _only(then, now, before.folder.name) + _only(now, then, after.folder.name)
    if before.machine and after.machine:
        notes += [f"machine, {line}" for line in machine_changes(before.machine, after.machine)]
    return Diff(
        before, after, sorted_changes(found), _moved(pointers(before.jobs), known), notes, list(dict.fromkeys(code))
    )


def write_diff(diff: Diff, path: Path) -> Path:
    """Write the page of `diff` to `path`, with links to both nights relative to it."""
    write_text(path, diff_html(diff, path.parent))
    return path


def diff_html(diff: Diff, folder: Path) -> str:
    """Return the page; it is to lie in `folder`."""
    told = [change for change in diff.changes if change.verdict is not Verdict.UNCHANGED]

    def link(job: JobView) -> str | None:
        report = job.folder / "report.html"
        return _relative(report, folder) if report.is_file() else None

    return page.render(
        "diff.html.j2",
        diff=diff,
        title=f"{diff.after.folder.name} against {diff.before.folder.name}",
        sides=[(each, _relative(each.folder / "index.html", folder)) for each in (diff.before, diff.after)],
        facts=page.machine_facts(diff.after.machine) if diff.after.machine else [],
        first=told[:FIRST_ROWS],
        told=told[FIRST_ROWS : FIRST_ROWS + MOST_ROWS],
        told_count=len(told) - len(told[:FIRST_ROWS]),
        unchanged=[change for change in diff.changes if change.verdict is Verdict.UNCHANGED],
        most=MOST_ROWS,
        sentence=_sentence(diff),
        link=link,
        policy=page.POLICY,
        style=page.text("style.css"),
    )


def _compared(then: JobView, now: JobView, name: str) -> tuple[list[Comparison], list[str], str | None]:
    """Return the comparisons of one job's runs, why others were not compared, and whose machine code changed."""
    earlier = _runs(then)
    rows: list[Comparison] = []
    notes: list[str] = []
    sentence = None
    for number, run in enumerate(_runs(now)):
        if number >= len(earlier) or not run.replicates or not earlier[number].replicates:
            continue
        try:
            rows += compare_with_baseline(run, earlier[number], name, STATISTICS)
        except InputError as error:
            notes.append(f"{now.name} ({now.about}) was not compared: {error}")
            continue
        told = code_sentence(run, earlier[number])
        sentence = told if told and "changed" in told else sentence
    return rows, notes, sentence


def _runs(job: JobView) -> list[Run]:
    """Return the runs of `job` with every timed run: a view has none of these."""
    found = []
    for path in record_files(job.folder):
        try:
            read = record.read(path)
        except (record.RecordError, OSError):
            continue
        found += [read] if isinstance(read, Run) else []
    return found


def _change(row: Comparison, job: JobView, known: dict[str, Pointer]) -> Change:
    pointer = look_at(row.b, known) if row.verdict is not Verdict.UNCHANGED else None
    return Change(row.verdict, row.b, metric_of(row), row.ratio, row.low, row.high, row.reason, job, pointer)


def _moved(then: Mapping[str, Pointer], now: Mapping[str, Pointer]) -> list[tuple[str, Pointer, Pointer]]:
    """Return the variants whose costliest line reads otherwise than before: its text, since numbers shift."""
    return [
        (variant, then[variant], found)
        for variant, found in now.items()
        if variant in then and then[variant].line.source != found.line.source
    ]


def _only(these: Mapping[str, JobView], others: Mapping[str, JobView], night: str) -> list[str]:
    """Return what one night has alone; the same job on another kind of machine is told as such."""
    elsewhere = {name.partition("/")[2] for name in others}
    found = []
    for name in (each for each in these if each not in others):
        job, key = these[name], name.partition("/")[0]
        why = f"other hardware, {key}" if name.partition("/")[2] in elsewhere else "not in the other night"
        found.append(f"{night} alone has {job.name} ({job.about}): {why}")
    return found


def _place(view: BatchView, job: JobView) -> str:
    return str(job.folder.relative_to(view.folder))


def _relative(path: Path, folder: Path) -> str:
    return quote(os.path.relpath(path.absolute(), folder.absolute()))


def _sentence(diff: Diff) -> str:
    if not diff.changes:
        return "No run of the two nights could be compared; the reasons stand below."
    counts: dict[str, int] = {}
    for change in diff.changes:
        counts[change.verdict.value] = counts.get(change.verdict.value, 0) + 1
    told = ", ".join(f"{number} {verdict.lower()}" for verdict, number in counts.items())
    return f"{len(diff.changes)} comparisons: {told}."


def diff_lines(diff: Diff) -> list[str]:
    """Return the comparison for a terminal: a line each, what matters most first, then what was not compared."""
    lines = [f"{diff.badge}: {diff.after.folder.name} against {diff.before.folder.name}. {_sentence(diff)}"]
    for change in diff.changes:
        size = f"{percent_change(change.ratio)} ({percent_change(change.low)} to {percent_change(change.high)})"
        look = f"; look at {plain(change.pointer.line.place, 80)}" if change.pointer else ""
        reason = f"; {plain(change.reason, 200)}" if change.reason else ""
        lines.append(f"{change.verdict.value:<20} {plain(change.variant, 80)}, {change.what}: {size}{look}{reason}")
    return lines + [plain(note, 400) for note in (*diff.code, *diff.notes)]


def diff_json(diff: Diff) -> dict[str, Any]:
    """Return the comparison as one JSON object."""
    machine = diff.after.machine
    names = ("verdict", "variant", "what", "ratio", "low", "high", "reason")
    return {
        "schema": "workbench/night-diff/1",
        "machine": machine.model_dump(mode="json") if machine else None,
        "before": diff.before.folder.name,
        "after": diff.after.folder.name,
        "results": [{name: getattr(change, name) for name in names} for change in diff.changes],
        "notes": [*diff.code, *diff.notes],
    }


def find_night(name: str, site: Path) -> Path:
    """Return the folder of the night `name`: a path of a batch, or the name of one below `site`; the start is enough.

    Raises InputError when there is not exactly one.
    """
    for folder in (Path(name), site / name):
        if (folder / "batch.json").is_file():
            return folder.absolute()
    found = sorted(path.parent for path in site.glob("*/batch.json") if path.parent.name.startswith(name))
    if not found:
        there = ", ".join(sorted(path.parent.name for path in site.glob("*/batch.json"))[-5:]) or "none yet"
        raise InputError(f"{site} has no night {name[:80]!r}: the newest there are {there}")
    if len(found) > 1:
        told = ", ".join(path.name for path in found[:5])
        raise InputError(f"{name[:80]!r} begins the names of several nights ({told}): write more of it")
    return found[0].absolute()


def night_before(view: BatchView) -> Path | None:
    """Return the folder of the newest earlier night of the same plan beside `view`'s; None for the first."""
    stem = Path(view.plan).stem
    if not stem:
        return None
    beside = view.folder.parent.glob(f"{glob.escape(stem)}-????-??-??")
    earlier = [each for each in beside if each.name < view.folder.name and (each / "batch.json").is_file()]
    return max(earlier, default=None, key=lambda folder: folder.name)
