"""A table that displays itself, in a notebook and in its report: text only, without a script or a style sheet."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

_QUIET, _RULE = "light-dark(#4a5666,#aab4c0)", "light-dark(#d9dee4,#323a45)"
_CELL = "padding:4px 14px 4px 0;border:0;vertical-align:top"
_TABLE = "border-collapse:collapse;margin:6px 0;font-size:13px;background:none;border:0;table-layout:auto"


@dataclass(frozen=True)
class Listing:
    """Rows under columns. `numbers` are the columns that are aligned to the right; the first names its row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    numbers: tuple[int, ...] = field(default=())

    def __str__(self) -> str:
        widths = [max(len(row[i]) for row in (self.columns, *self.rows)) for i in range(len(self.columns))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                 for row in (self.columns, *self.rows)]  # fmt: skip
        return "\n".join([self.caption, *lines])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        heads = "".join(
            f'<th scope="col" style="{self._style(i)};color:{_QUIET};font-weight:600">{html.escape(name)}</th>'
            for i, name in enumerate(self.columns)
        )
        rows = "".join(
            f'<tr style="border-top:1px solid {_RULE};background:none">{self._cells(row)}</tr>' for row in self.rows
        )
        caption = f'<caption style="text-align:left;color:{_QUIET}">{html.escape(self.caption)}</caption>'
        table = f'<table style="{_TABLE}">{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        named = f'role="region" tabindex="0" aria-label="{html.escape(self.caption)}"'
        return f'<div {named} style="overflow-x:auto;max-width:100%">{table}</div>'

    def _cells(self, row: tuple[str, ...]) -> str:
        first, *others = row
        made = f'<th scope="row" style="{self._style(0)};font-weight:600">{html.escape(first)}</th>'
        return made + "".join(
            f'<td style="{self._style(i)}">{html.escape(cell)}</td>' for i, cell in enumerate(others, 1)
        )

    def _style(self, column: int) -> str:
        if column in self.numbers:
            return f"{_CELL};text-align:right;white-space:nowrap"
        return f"{_CELL};text-align:left"
