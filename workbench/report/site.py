"""The site over all nights: a first page with the newest, a page for every month, and lines of every figure.

Static files that a browser opens from disk: no script, no request. Adding a night writes the page of its month, the
table of contents and the first page, whose sizes do not grow with the nights that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from workbench.errors import InputError, WorkbenchError
from workbench.figures.sparkline import sparkline
from workbench.files import write_text
from workbench.gate.budgets import Budget
from workbench.record import Verdict
from workbench.report import page
from workbench.report.diff import PAGE, diff_nights, night_before, write_diff
from workbench.report.index import write_index
from workbench.report.night import Night, Value, night_of
from workbench.report.nights import (
    FOLDER,
    Contents,
    Part,
    entry_of,
    locked,
    neighbours,
    newest_nights,
    pages_of,
    place,
    read_contents,
    read_part,
    with_entry,
    with_night,
    write_contents,
    write_part,
)
from workbench.report.view import BatchView, read_batch_view

INDEX = "index.html"
WINDOW = 30  # nights on the first page
MOST_ROWS = 120
"""Variants on one page, those that need an eye first: with 35 nights each a page stays below 0.8 MB."""

_URGENT = (Verdict.SLOWER, Verdict.ENVIRONMENT_INVALID, Verdict.UNRESOLVED, Verdict.FASTER)
_STATISTICS = ("mean time", "p99")


@dataclass(frozen=True)
class Row:
    """One variant over the nights of a page."""

    name: str
    about: str
    machine: str
    cells: list[dict[str, Any]]  # one for each statistic: the line, the newest value
    verdict: Verdict | None  # of the newest night
    last_seen: str  # the date of the newest night that has this variant, where that is not the newest of all
    table: list[tuple[str, str | None, list[str], str]]  # date, address, values, verdict


def add_night(site: Path, view: BatchView) -> Path:
    """Add the batch `view` to the site in the folder `site`, or bring it up to date there; return the first page.

    Raises InputError where the folder cannot be written, WorkbenchError where a part of it is damaged.
    """
    night, series = night_of(view)
    with locked(site):
        before = read_contents(site)
        name, part = place(site, before, night)
        part = with_night(part, night, series)
        contents = with_entry(before, entry_of(name, part))
        write_part(site, name, part)
        write_contents(site, contents)
        _write_part_page(site, contents, name, part)
        known = neighbours(before)
        for other, beside in neighbours(contents).items():
            if other != name and known.get(other) != beside:  # it links to a page that is new beside it
                _write_part_page(site, contents, other, read_part(site, other))
        return _write_first_page(site, contents, {name: part})


def finish_batch(folder: Path, budgets: Sequence[Budget] = ()) -> Path:
    """Do for the batch in `folder` what its end asks for, and return the site's first page.

    The batch is compared with the night before of the same plan, added to the site in the folder above, and its index
    written once more, with links to both. Raises InputError or WorkbenchError with one sentence; what was measured is
    not touched.
    """
    view = read_batch_view(folder, budgets)
    before = night_before(view)
    if before is not None:
        write_diff(diff_nights(read_batch_view(before), view), folder / PAGE)
    first = add_night(folder.parent, view)
    write_index(folder, budgets)
    return first


def rebuild(site: Path, tell: Callable[[str], None] = lambda sentence: None) -> Path:
    """Write every page of the site anew, with batches in its folder that it did not know; return the first page.

    Nights whose batch is gone stay, without links to it. Those that are known are not read again: `add_night` brings
    one up to date. The parts are those that are there as files; `tell` gets a sentence for each damaged one, which is
    left out and left as it is. Raises InputError where there is neither a night nor a batch.
    """
    with locked(site):
        parts: dict[str, Part] = {}
        contents = Contents()
        for name in pages_of(site):
            try:
                parts[name] = read_part(site, name)
            except WorkbenchError as error:
                tell(str(error))
                continue
            contents = with_entry(contents, entry_of(name, parts[name]))
        known = {night.name for part in parts.values() for night in part.nights}
        for batch in sorted(path.parent for path in site.glob("*/batch.json")):
            if batch.name in known or batch.name.startswith("."):
                continue
            try:
                night, series = night_of(read_batch_view(batch))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # no batch of ours, or one that is being written
            name, part = place(site, contents, night)
            parts[name] = with_night(part, night, series)
            write_part(site, name, parts[name])
            contents = with_entry(contents, entry_of(name, parts[name]))
        if not parts:
            raise InputError(f"{site} holds no batch: give the folder that `workbench batch --out` writes to")
        return write_all(site, parts)


def write_all(site: Path, parts: Mapping[str, Part]) -> Path:
    """Write the whole site from `parts`; return the first page."""
    contents = Contents()
    for name, part in parts.items():
        contents = with_entry(contents, entry_of(name, part))
        write_part(site, name, part)
    write_contents(site, contents)
    for name, part in parts.items():
        _write_part_page(site, contents, name, part)
    return _write_first_page(site, contents, dict(parts))


def _write_part_page(site: Path, contents: Contents, name: str, part: Part) -> None:
    before, after = neighbours(contents)[name]
    write_text(
        site / FOLDER / f"{name}.html",
        page.render(
            "site.html.j2",
            title=f"Nights of {name}",
            where=[("All nights", f"../{INDEX}")]
            + ([(f"before: {before}", f"{before}.html")] if before else [])
            + ([(f"after: {after}", f"{after}.html")] if after else []),
            **_values(site, part, "../"),
            older=[],
            total=len(part.nights),
        ),
    )


def _write_first_page(site: Path, contents: Contents, known: dict[str, Part]) -> Path:
    newest = newest_nights(site, contents, WINDOW, known)
    path = site / INDEX
    _check_ours(path)
    total = sum(entry.nights for entry in contents.parts)
    write_text(
        path,
        page.render(
            "site.html.j2",
            title="All nights",
            where=[],
            **_values(site, newest, ""),
            older=[(entry, f"{FOLDER}/{entry.page}.html") for entry in reversed(contents.parts)],
            total=total,
        ),
    )
    return path


def _check_ours(path: Path) -> None:
    """Raise InputError where `path` is someone else's page: the folder of batches may have been chosen so."""
    if path.is_file() and b'content="Kernel Workbench"' not in path.read_bytes()[:2000]:
        raise InputError(f"{path} is no page of the workbench and was left as it is: choose another folder by --out")


def _values(site: Path, part: Part, up: str) -> dict[str, Any]:
    """Return what both kinds of page show of the nights in `part`."""
    nights = part.nights[::-1]
    rows = rows_of(part, {night.name: _address(site, night, "index.html", up) for night in nights})
    kernels: dict[tuple[str, str], list[Row]] = {}
    for row in rows[:MOST_ROWS]:
        kernels.setdefault((row.name.split("/")[0], row.machine), []).append(row)
    return {
        "newest": nights[0] if nights else None,
        "newest_link": _address(site, nights[0], "index.html", up) if nights else None,
        "nights": [
            (night, _address(site, night, "index.html", up), _address(site, night, "diff.html", up)) for night in nights
        ],
        "kernels": list(kernels.items()),
        "rows_left": max(0, len(rows) - MOST_ROWS) + max((night.left_out for night in nights), default=0),
        "statistics": _STATISTICS,
        "policy": page.POLICY,
        "style": page.text("style.css"),
        "duration": page.duration,
    }


def rows_of(part: Part, links: Mapping[str, str | None]) -> list[Row]:
    """Return one row for each variant, input and machine, what needs an eye first, then by name."""
    grouped: dict[tuple[str, ...], dict[str, str]] = {}
    for identity, series in part.series.items():
        told = (series.kernel, series.variant, series.about, series.hardware_key, series.machine)
        grouped.setdefault((series.of,) if series.of else told, {})[series.statistic] = identity
    rows = [_row(part, identities, links) for identities in grouped.values()]
    return sorted((row for row in rows if row is not None), key=lambda row: (_urgency(row), row.name, row.about))


def _row(part: Part, identities: Mapping[str, str], links: Mapping[str, str | None]) -> Row | None:
    series = part.series[next(iter(identities.values()))]
    having = [night for night in part.nights if any(each in night.values for each in identities.values())]
    if not having:
        return None
    expected = _expected(part.nights, having, series.hardware_key)
    cells = []
    for statistic in _STATISTICS:
        values = [night.values.get(identities.get(statistic, "")) for night in expected]
        cells.append(_cell(f"{series.kernel}/{series.variant}, {statistic}", values))
    table = []
    for night in reversed(having):
        found = [night.values.get(identities.get(statistic, "")) for statistic in _STATISTICS]
        told = ["" if value is None else _number(value.value) for value in found]
        verdict = _worst(found)
        table.append((night.created[:10], links.get(night.name), told, verdict.value if verdict else ""))
    newest = _worst([expected[-1].values.get(each) for each in identities.values()])
    last_seen = "" if having[-1] is expected[-1] else having[-1].created[:10]
    machine = f"{series.machine}, {series.hardware_key}"
    return Row(f"{series.kernel}/{series.variant}", series.about, machine, cells, newest, last_seen, table)


def _expected(nights: Sequence[Night], having: Sequence[Night], hardware_key: str) -> list[Night]:
    """Return the nights that could have what `having` have: of one of their plans, on that kind of machine.

    A night that measured nothing at all is one of them: it tells no kind of machine.
    """
    plans = {night.plan for night in having}
    return [
        night
        for night in nights
        if night.plan in plans and (not night.hardware_keys or hardware_key in night.hardware_keys)
    ]


def _cell(name: str, values: Sequence[Value | None]) -> dict[str, Any]:
    line = sparkline(
        name,
        [value.value if value and value.value > 0 else None for value in values],
        [value.verdict if value else None for value in values],
    )
    last = next((value for value in reversed(values) if value is not None), None)
    return {"line": Markup(line), "newest": _number(last.value) if last else ""}


def _worst(values: Sequence[Value | None]) -> Verdict | None:
    found = {value.verdict for value in values if value is not None}
    return next((verdict for verdict in (*_URGENT, Verdict.UNCHANGED) if verdict in found), None)


def _urgency(row: Row) -> int:
    return _URGENT.index(row.verdict) if row.verdict in _URGENT else len(_URGENT)


def _number(value: float) -> str:
    return str(page.environment().filters["number"](value, "ns"))


def _address(site: Path, night: Night, name: str, up: str) -> str | None:
    """Return where `name` of a night lies; None where it is gone. An index is written right after its batch."""
    needed = "batch.json" if name == INDEX else name
    return f"{up}{quote(night.name, safe='')}/{name}" if (site / night.name / needed).is_file() else None
