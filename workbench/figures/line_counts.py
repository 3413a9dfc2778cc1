"""What lines cost, as bars: one counter by line of source, and the same counter of whole variants."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number, plain
from workbench.figures.theme import colour_of, finish, note, row_height


def line_counts(rows: Sequence[tuple[str, float]], what: str, title: str) -> go.Figure:
    """Return a bar for each row: a line of source and its amount of `what`. The rows come ranked."""
    shown = [row for row in rows if row[1] > 0]
    figure = go.Figure()
    if shown:
        figure.add_bar(
            x=[value for _, value in shown],
            y=list(range(len(shown))),
            orientation="h",
            width=0.56,
            marker={"color": colour_of(0)},
            hovertemplate="%{x:.4g}<extra></extra>",
            showlegend=False,
        )
        for place, (_, value) in enumerate(shown):
            figure.add_annotation(x=value, y=place, text=f"  {number(value)}", xanchor="left", showarrow=False)
        figure.update_xaxes(range=[0, 1.18 * max(value for _, value in shown)])
    else:
        note(figure, f"no line has any {what}")
    figure.update_xaxes(title_text=f"{label(what)} (from zero)", tickformat="~s")
    figure.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=[label(name, 56) for name, _ in shown],
        tickfont={"family": "ui-monospace, Menlo, Consolas, monospace", "size": 11},
        range=[len(shown) - 0.4, -0.6],
        showgrid=False,
    )
    table = Table(("line", what), tuple((plain(name, 120), number(value)) for name, value in shown))
    figure = finish(figure, title, "A longer bar is more of it on that line.", table, row_height(shown, 30))
    figure.update_layout(margin_t=56)
    return figure


def counts_by_variant(counts: Sequence[tuple[str, Sequence[tuple[str, float]]]], title: str) -> go.Figure:
    """Return one group of bars for each variant's counts, each relative to the first variant's: below 1 is less.

    `counts` are (variant, ((name, amount), ...)), the amounts of all variants in the same order and unit.
    """
    figure = go.Figure()
    base = dict(counts[0][1]) if counts else {}
    names = [name for name, value in base.items() if value]
    for place, (variant, amounts) in enumerate(counts if names else ()):
        found = dict(amounts)
        figure.add_bar(
            x=[label(name) for name in names],
            y=[found.get(name, 0.0) / base[name] for name in names],
            name=label(variant),
            marker={"color": colour_of(place)},
            customdata=[number(found.get(name, 0.0)) for name in names],
            hovertemplate="%{x}: %{customdata} (× %{y:.3g})<extra>%{fullData.name}</extra>",
        )
    if not names:
        note(figure, "nothing was counted")
    figure.update_layout(barmode="group")
    figure.update_yaxes(title_text=f"against {label(counts[0][0])}" if counts else "", rangemode="tozero")
    table = Table(
        ("variant", *(name for name, _ in (counts[0][1] if counts else ()))),
        tuple((variant, *(number(value) for _, value in amounts)) for variant, amounts in counts),
    )
    return finish(figure, title, "Each count against the first variant's: below 1 is less.", table, 380)
