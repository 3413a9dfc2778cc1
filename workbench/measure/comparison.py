"""Two variants side by side, as an object that shows itself: text on a terminal, a static table in a notebook."""

from __future__ import annotations

import html
from dataclasses import dataclass

from workbench import record
from workbench.record import Verdict

_COLOURS = {  # light-dark() follows the theme of the page, also where a notebook is not trusted
    Verdict.FASTER: "light-dark(#0a6b2d, #6fd08c)",
    Verdict.SLOWER: "light-dark(#a3182a, #ff8f8f)",
    Verdict.ENVIRONMENT_INVALID: "light-dark(#8a5a00, #f0b95a)",
}
_HEADS = ("metric", "B / A", "interval", "margin", "verdict", "")


@dataclass(frozen=True)
class Comparison:
    """B against A: `rows`, one for each statistic; `notes` on what could not be compared; the `run` behind it."""

    a: str
    b: str
    rows: tuple[record.Comparison, ...]
    notes: tuple[str, ...] = ()
    run: record.Run | None = None

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on throughput: the whole runs, without a probe."""
        return self.row("throughput", "mean").verdict

    def row(self, metric: str, statistic: str) -> record.Comparison:
        """Return one row. Raises KeyError with a sentence that lists what there is."""
        for row in self.rows:
            if (row.metric, row.statistic) == (metric, statistic):
                return row
        there = ", ".join(f"{row.metric} {row.statistic}" for row in self.rows)
        raise KeyError(f"there is no {metric} {statistic} of {self.a} and {self.b}: there is {there or 'nothing'}")

    def __str__(self) -> str:
        rows = [_HEADS, *(cells(row) for row in self.rows)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
        lines = [f"A = {self.a}, B = {self.b}; B / A of the cost: below 1, B is faster"]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join([*lines, *self.notes])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.to_html()}

    def to_html(self) -> str:
        """Return a static table: inline styles only, which survive in a notebook that is not trusted."""
        heads = "".join(f'<th style="text-align:left;padding:2px 12px 2px 0">{head}</th>' for head in _HEADS)
        body = []
        for row in self.rows:
            colour = _COLOURS.get(row.verdict, "inherit")
            made = []
            for head, cell in zip(_HEADS, cells(row), strict=True):
                style = f"color:{colour};font-weight:bold" if head == "verdict" else ""
                made.append(f'<td style="text-align:left;padding:2px 12px 2px 0;{style}">{html.escape(cell)}</td>')
            body.append(f"<tr>{''.join(made)}</tr>")
        caption = html.escape(f"A = {self.a}, B = {self.b}; B / A of the cost: below 1, B is faster")
        return (
            f'<table style="border-collapse:collapse;color:light-dark(#1a1a1a, #e8e8e8)">'
            f'<caption style="text-align:left;padding-bottom:4px">{caption}</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
            + "".join(f'<p style="margin:4px 0">{html.escape(note)}</p>' for note in self.notes)
        )


def cells(row: record.Comparison) -> tuple[str, ...]:
    """Return one comparison as words: metric, ratio, interval, margin, verdict, and why."""
    why = row.reason
    if row.blocks_needed is not None:
        why += f"; about {row.blocks_needed:,} blocks would settle it, {row.blocks:,} were measured"
    return (
        f"{row.metric.replace('_', ' ')} {row.statistic}",
        f"{row.ratio:.3f}",
        f"{row.low:.3f} .. {row.high:.3f}",
        f"{row.margin:.0%}",
        row.verdict.value,
        why,
    )
