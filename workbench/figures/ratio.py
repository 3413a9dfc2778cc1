"""Comparisons as ratios with their intervals, coloured by verdict, against the margin that counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, percent_change, plain
from workbench.figures.theme import VERDICT_COLOURS, VERDICT_SYMBOLS, finish, note, row_height
from workbench.record import Comparison, Verdict

TICKS = (0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0)


def comparison_ratios(comparisons: Sequence[Comparison], title: str = "Cost against the other side") -> go.Figure:
    """Return one row per comparison: the ratio of costs (log) with its interval; left of 1 is faster.

    The shaded band is the margin: a change inside it does not count. Colour and symbol both say the verdict.
    """
    rows = [_name(comparison) for comparison in comparisons]
    figure = go.Figure()
    for verdict in Verdict:
        places = [place for place, comparison in enumerate(comparisons) if comparison.verdict is verdict]
        if not places:
            continue
        chosen = [comparisons[place] for place in places]
        colour = VERDICT_COLOURS[verdict]
        figure.add_scatter(
            x=[comparison.ratio for comparison in chosen],
            y=places,
            mode="markers",
            name=verdict.value,
            marker={
                "color": colour,
                "symbol": VERDICT_SYMBOLS[verdict],
                "size": 11,
                "line": {"width": 2, "color": colour},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, comparison.high - comparison.ratio) for comparison in chosen],
                "arrayminus": [max(0.0, comparison.ratio - comparison.low) for comparison in chosen],
                "color": colour,
                "thickness": 2,
                "width": 5,
            },
            text=[f"{label(rows[place], 90)}<br>{_words(comparisons[place])}" for place in places],
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    if comparisons:
        _frame(figure, comparisons)
    else:
        note(figure, "nothing was compared")
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[label(row, 60) for row in rows],
        range=[len(rows) - 0.4, -0.6],
        showgrid=False,
    )
    columns = ("comparison", "change", "from", "to", "verdict", "margin", "blocks", "replicates", "remark")
    table = Table(columns, tuple(_row(comparison) for comparison in comparisons))
    description = "Left of 1 is faster, right is slower; the bar is the interval, the band is what does not count."
    figure = finish(figure, title, description, table, row_height(rows))
    figure.update_layout(margin_r=76)
    return figure


def _frame(figure: go.Figure, comparisons: Sequence[Comparison]) -> None:
    """Draw the margin's band, the line of no change, and ticks that fit what is shown."""
    margin = max(comparison.margin for comparison in comparisons)
    low = min(1 - 2 * margin, *(comparison.low for comparison in comparisons)) * 0.97
    high = max(1 + 2 * margin, *(comparison.high for comparison in comparisons)) * 1.03
    for place, row in enumerate(comparisons):
        figure.add_shape(
            type="rect", x0=1 - row.margin, x1=1 + row.margin, y0=place - 0.5, y1=place + 0.5,
            fillcolor="#808894", opacity=0.16, line_width=0, layer="below",
        )  # fmt: skip
        figure.add_annotation(
            text=percent_change(row.ratio), x=1, xref="paper", xanchor="left", xshift=8, y=place, showarrow=False
        )
    figure.add_vline(x=1, line={"width": 1, "color": "#808894"})
    ticks = [tick for tick in TICKS if low <= tick <= high]
    while len(ticks) > 9:
        ticks = [tick for place, tick in enumerate(ticks) if tick == 1.0 or (place - ticks.index(1.0)) % 2 == 0]
    figure.update_xaxes(
        type="log",
        range=[math.log10(max(low, 1e-9)), math.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
        title_text="ratio of costs (below 1 is faster, log)",
    )


def _name(comparison: Comparison) -> str:
    """Return what was compared, without repeating the kernel: ``ladder vs baseline, p99``."""
    kernel, _, variant = comparison.b.rpartition("/")
    other = comparison.a.removeprefix(f"{comparison.b}@")
    if other != comparison.a:
        return f"{plain(variant, 40)} vs saved {plain(other, 40)}, {metric_name(comparison)}"
    if kernel and comparison.a.startswith(f"{kernel}/"):
        return (
            f"{plain(variant, 40)} vs {plain(comparison.a.removeprefix(kernel + '/'), 40)}, {metric_name(comparison)}"
        )
    return f"{plain(comparison.b, 40)} vs {plain(comparison.a, 40)}, {metric_name(comparison)}"


def metric_name(comparison: Comparison) -> str:
    """Return what was compared, as ``p99``; the cost behind a throughput is the mean time of an operation."""
    if comparison.metric == "throughput":
        return "mean time"
    if comparison.metric == "service_time":
        return comparison.statistic
    return f"{comparison.metric} {comparison.statistic}"


def _words(comparison: Comparison) -> str:
    low, high = percent_change(comparison.low), percent_change(comparison.high)
    return f"{percent_change(comparison.ratio)} ({low} to {high})"


def _row(comparison: Comparison) -> tuple[str, ...]:
    return (
        _name(comparison),
        percent_change(comparison.ratio),
        percent_change(comparison.low),
        percent_change(comparison.high),
        comparison.verdict.value,
        f"± {100 * comparison.margin:.0f} %",
        str(comparison.blocks),
        str(comparison.replicates),
        comparison.reason,
    )
