"""The data of a figure as a table: what a screen reader, a page without JavaScript and a sceptic read."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; not escaped, since only who shows it knows how."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figure_name(figure: go.Figure) -> tuple[str, str]:
    """Return the accessible name of `figure` and one sentence on how to read it."""
    meta = figure.layout.meta or {}
    return str(meta.get("name", "Figure")), str(meta.get("description", ""))


def figure_table(figure: go.Figure) -> Table:
    """Return the data of `figure`. A figure that is not ours has an empty table."""
    meta = figure.layout.meta or {}
    rows = tuple(tuple(str(cell) for cell in row) for row in meta.get("rows", ()))
    return Table(tuple(str(column) for column in meta.get("columns", ())), rows)
