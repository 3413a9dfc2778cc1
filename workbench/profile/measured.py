"""A profile that also holds figures which belong to no line of source: of a whole run, a core, a number of threads."""

from __future__ import annotations

import html as escaping
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.profile import annotated
from workbench.profile.profile import Profile

_CELL = "padding:1px 10px;border:0;text-align:{0};white-space:nowrap;font-family:ui-monospace,Menlo,Consolas,monospace"
_RULE = "light-dark(#d1d9e0,#3d444d)"


@dataclass
class MeasuredProfile(Profile):
    """Counters by line, and `measured`: figures by what they are of, each under a name with its unit.

    In a record they are rows without a function and a file: ``measured`` says what they are of.
    """

    measured: dict[str, dict[str, float]] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)  # of what is measured: one clause

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON-able row a line, then one for each thing that was measured."""
        return [*super().rows(), *(measured_row(name, of, self.details) for name, of in self.measured.items())]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._html(), "text/plain": str(self)}

    def page(self) -> str:
        """Return a whole HTML page, light or dark as the reader's system is; it asks for no other file."""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
            f"<title>{escaping.escape(self.title)}: {escaping.escape(self.kind)}</title></head>"
            f'<body style="margin:16px;background:light-dark(#ffffff,#0d1117)">{self._html()}</body></html>\n'
        )

    def __str__(self) -> str:
        head = [annotated.text(self)] if self.counters else [f"{self.title}: {self.kind}", *self.notes]
        rows = [f"{name}: {_told(of)}" for name, of in self.measured.items()]
        costs = [f"overhead: {_told(self.overhead)}"] if self.overhead else []
        return "\n".join([*head, *rows, *costs])

    def _html(self) -> str:
        lines = annotated.html(self) if self.counters else _notes(self)
        rows = "".join(_html_rows(name, of) for name, of in self.measured.items())
        head = "".join(
            f'<th scope="col" style="{_CELL.format("left")};border-bottom:1px solid {_RULE}">{text}</th>'
            for text in ("measured", "figure", "value")
        )
        table = (
            f'<table style="border-collapse:collapse;margin:8px 0;font-size:12px"><caption style="text-align:left">'
            f"Figures that belong to no line</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )
        return lines + f"<details><summary>All figures of this profile</summary>{table}</details>" if rows else lines


def measured_row(name: str, of: Mapping[str, float], details: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of a record that holds the figures `of` what is called `name`."""
    return {
        "measured": name,
        "function": "",
        "file": "",
        "line": 0,
        "source": "",
        "share": 0.0,
        "counters": dict(of),
        "width": "",
        "detail": details.get(name, ""),
        "assembly": [],
    }


def measured_in(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return what was measured, by its name, out of the rows of a profile or of its record."""
    return {str(row["measured"]): dict(row["counters"]) for row in rows if "measured" in row}


def _told(of: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in of.items())


def _html_rows(name: str, of: Mapping[str, float]) -> str:
    return "".join(
        f'<tr><td style="{_CELL.format("left")}">{escaping.escape(name if not place else "")}</td>'
        f'<td style="{_CELL.format("left")}">{escaping.escape(figure.replace("_", " "))}</td>'
        f'<td style="{_CELL.format("right")}">{value:,.4g}</td></tr>'
        for place, (figure, value) in enumerate(of.items())
    )


def _notes(profile: Profile) -> str:
    notes = "".join(f"<p>{escaping.escape(note)}</p>" for note in profile.notes)
    return f"<p><strong>{escaping.escape(profile.title)}</strong></p>{notes}"
