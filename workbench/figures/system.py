"""System calls of one operation, by name: how often, and which part of its time they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import colour_of, finish, note, row_height

_CALL = "system call "
MOST = 12
LEAST_SHOWN = 1e-4  # calls an operation; rarer ones are what a run makes anyway


def calls_per_operation(title: str, rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return one bar for each system call of `rows` (of a system profile), in calls an operation (log).

    Calls that compiled code made have the first colour, those of libraries and the interpreter the last.
    """
    found = [row for row in rows if str(row.get("measured", "")).startswith(_CALL)]
    shown = sorted(
        (row for row in found if row["counters"].get("calls_per_operation", 0.0) >= LEAST_SHOWN),
        key=lambda row: -row["counters"]["calls_per_operation"],
    )[:MOST]
    figure = go.Figure()
    for compiled, colour, name in ((True, colour_of(0), "by compiled code"), (False, colour_of(6), "by anything else")):
        own = [
            (place, row) for place, row in enumerate(shown) if (row["counters"]["compiled_share"] >= 0.5) is compiled
        ]
        if own:
            figure.add_bar(
                x=[row["counters"]["calls_per_operation"] for _, row in own],
                y=[place for place, _ in own],
                orientation="h",
                width=0.56,
                name=name,
                marker={"color": colour},
                text=[f"{row['counters']['calls_per_operation']:.3g}" for _, row in own],
                textposition="outside",
                hovertemplate="%{text} an operation<extra></extra>",
            )
    if not found:
        note(figure, "no system calls were counted here")
    elif not shown and any("calls_per_operation" not in row["counters"] for row in found):
        note(figure, "how often an operation makes them could not be told")
    elif not shown:
        note(figure, "an operation makes no system call")
    figure.update_xaxes(type="log", title_text="calls an operation (log)")
    figure.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=[label(str(row["measured"]).removeprefix(_CALL)) for row in shown],
        range=[max(len(shown), 1) - 0.4, -0.6],
        showgrid=False,
    )
    table = Table(
        ("call", "an operation", "in the traced run", "by compiled code", "typical time", "of the operation", "where"),
        tuple(_cells(row) for row in sorted(found, key=lambda row: -row["counters"].get("calls_per_operation", 0.0))),
    )
    description = "Longer is more often; one call an operation is the line at 1. A clean operation has no bar."
    return finish(figure, f"System calls of an operation of {title}", description, table, row_height(shown, 40))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    counters = row["counters"]
    return (
        str(row["measured"]).removeprefix(_CALL),
        f"{counters['calls_per_operation']:.4g}" if "calls_per_operation" in counters else "not known",
        f"{counters['calls']:,.0f}",
        f"{100 * counters['compiled_share']:.0f} %" if counters["unwound"] else "not known",
        number(counters["typical_ns"], "ns"),
        f"{100 * counters['share_of_operation']:.1f} %" if "share_of_operation" in counters else "not known",
        str(row["detail"]),
    )
