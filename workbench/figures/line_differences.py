"""What changed between two variants, line by line: bars to the left are saved, bars to the right are added."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number, plain
from workbench.figures.theme import VERDICT_COLOURS, finish, note, row_height
from workbench.record import Verdict

SHORT = ("ns", "bytes")  # units that are written at each bar; others stand at the axis alone


def line_differences(rows: Sequence[tuple[str, float, float]], a: str, b: str, unit: str = "ns") -> go.Figure:
    """Return a bar for each row: a line of source, what it costs in `a` and what in `b`, both in `unit`.

    The rows come ranked; `workbench.profile.differences.Differences.rows` gives them. A line that one side does not
    have costs it nothing.
    """
    figure = go.Figure()
    changes = [after - before for _, before, after in rows]
    for verdict, name in ((Verdict.FASTER, "less"), (Verdict.SLOWER, "more")):
        places = [place for place, change in enumerate(changes) if (change < 0) == (verdict is Verdict.FASTER)]
        places = [place for place in places if changes[place]]
        if places:
            figure.add_bar(
                x=[changes[place] for place in places],
                y=places,
                orientation="h",
                width=0.56,
                name=f"{name} in {label(b)}",
                marker={"color": VERDICT_COLOURS[verdict], "pattern": {"shape": "" if changes[places[0]] < 0 else "/"}},
                customdata=[[number(each, unit) for each in rows[place][1:]] for place in places],
                hovertemplate="%{customdata[0]} → %{customdata[1]}<extra></extra>",
            )
    if any(changes):
        _frame(figure, rows, changes, unit)
    else:
        note(figure, "no line changed")
    table = Table(
        ("line", a, b, "change"),
        tuple(
            (plain(name, 120), number(before, unit), number(after, unit), _signed(after - before, unit))
            for name, before, after in rows
        ),
    )
    description = "A bar to the left is what a line costs less, one to the right what it costs more."
    name = f"Line by line: {plain(b)} against {plain(a)}"
    return finish(figure, name, description, table, row_height(rows, 32))


def _frame(figure: go.Figure, rows: Sequence[tuple[str, float, float]], changes: Sequence[float], unit: str) -> None:
    """Write each amount at the end of its bar, and the source on the left."""
    widest = max(map(abs, changes))
    for place, change in enumerate(changes):
        side = "right" if change < 0 else "left"
        figure.add_annotation(
            x=change,
            y=place,
            text=f" {_signed(change, unit if unit in SHORT else '')} ",
            xanchor=side,
            yanchor="middle",
            showarrow=False,
        )
    low, high = min(0.0, *changes), max(0.0, *changes)
    figure.update_xaxes(
        range=[low - 0.22 * widest * (low < 0) - 0.02 * widest, high + 0.22 * widest * (high > 0) + 0.02 * widest],
        title_text=f"change ({unit}, from zero)" if unit else "change (from zero)",
        tickformat="~s",
    )
    figure.add_vline(x=0, line={"width": 1, "color": "#808894"})
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[label(name, 56) for name, _, _ in rows],
        tickfont={"family": "ui-monospace, Menlo, Consolas, monospace", "size": 11},
        range=[len(rows) - 0.4, -0.6],
        showgrid=False,
    )


def _signed(change: float, unit: str) -> str:
    sign = "+" if change > 0 else "\N{MINUS SIGN}" if change < 0 else ""
    return f"{sign}{number(abs(change), unit)}"
