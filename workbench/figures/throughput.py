"""Throughput of variants as bars with their intervals."""

from __future__ import annotations

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import colour_of, finish, note, row_height
from workbench.record import Run


def throughput_bars(run: Run, kernel: str) -> go.Figure:
    """Return one bar per variant, in operations per second from zero, with the interval of its mean."""
    results = [row for row in run.results if row.kernel == kernel and row.metric == "throughput"]
    unit = results[0].unit if results else "operations/s"
    figure = go.Figure()
    if results:
        widest = max(row.high or row.value for row in results)
        figure.add_bar(
            x=[row.value for row in results],
            y=list(range(len(results))),
            orientation="h",
            width=0.56,
            marker={"color": [colour_of(place) for place in range(len(results))]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(row.high if row.high is not None else row.value) - row.value for row in results],
                "arrayminus": [row.value - (row.low if row.low is not None else row.value) for row in results],
                "color": "#808894",
                "thickness": 2,
                "width": 5,
            },
            text=[number(row.value, unit) for row in results],
            hovertemplate="%{text}<extra></extra>",
            textposition="none",
            showlegend=False,
        )
        for place, row in enumerate(results):
            figure.add_annotation(
                x=row.high or row.value, y=place, text=f"  {number(row.value, unit)}", xanchor="left", showarrow=False
            )
        figure.update_xaxes(range=[0, widest * 1.28])
    else:
        note(figure, "no throughput of this kernel in the record")
    figure.update_xaxes(title_text=f"throughput ({unit}, from zero)", tickformat="~s")
    figure.update_yaxes(
        tickvals=list(range(len(results))),
        ticktext=[label(row.variant) for row in results],
        range=[len(results) - 0.4, -0.6],
        showgrid=False,
    )
    rows = tuple(
        (
            row.variant,
            number(row.value, unit),
            "" if row.low is None else number(row.low, unit),
            "" if row.high is None else number(row.high, unit),
            f"{row.samples:,}",
        )
        for row in results
    )
    table = Table(("variant", "throughput", "from", "to", "samples"), rows)
    description = "Longer is faster; the whisker is the interval of the mean."
    figure = finish(figure, f"Throughput of {kernel}", description, table, row_height(results, 40))
    figure.update_layout(margin_t=56)
    return figure
