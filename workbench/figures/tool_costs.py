"""What each profiler cost the program that it watched, and how far it told the same lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, plain
from workbench.figures.theme import colour_of, finish, note, row_height


@dataclass(frozen=True)
class ToolCost:
    """One tool on one variant; what is not known is None, and `absent` says why there is no profile at all."""

    tool: str
    variant: str
    slowdown: float | None = None  # a call's time while watched over that alone: the wall's of py-spy, else CPU time
    samples: float | None = None
    agreement: float | None = None  # of the lines' shares with the workbench's own sampler, 0 .. 1
    own_cpu_s: float | None = None
    absent: str = ""


def tool_costs(costs: Sequence[ToolCost], name: str = "What each profiler costs") -> go.Figure:
    """Return one bar for each tool and variant: how much longer a call took while it was watched."""
    figure = go.Figure()
    known = [cost for cost in costs if cost.slowdown is not None]
    tools = list(dict.fromkeys(cost.tool for cost in costs))
    for cost in reversed(known):
        assert cost.slowdown is not None
        change = 100 * (cost.slowdown - 1)
        words = f"{change:+.1f} %".replace("-", "\N{MINUS SIGN}")
        figure.add_trace(
            go.Bar(
                x=[change],
                y=[label(f"{cost.tool}: {cost.variant}", 60)],
                orientation="h",
                marker={"color": colour_of(tools.index(cost.tool))},
                text=[words],
                textposition="outside",
                cliponaxis=False,
                hovertemplate=f"{label(cost.tool)}, {label(cost.variant)}: {words}<extra></extra>",
                showlegend=False,
            )
        )
    if not known:
        note(figure, "no profiler could be timed")
    else:
        low = min(0.0, *(100 * (cost.slowdown or 1.0) - 100 for cost in known))
        high = max(1.0, *(100 * (cost.slowdown or 1.0) - 100 for cost in known))
        room = 0.2 * (high - low)
        figure.update_xaxes(
            title="a call's time while watched, against alone [%]", range=[low - room if low < 0 else 0, high + room]
        )
    description = (
        "Longer bars disturb more; a bar below 0 tells how far two stretches of one process differ by chance. It is "
        "CPU time, but of py-spy the wall's: it stops its target."
    )
    columns = ("tool", "variant", "slower by", "samples", "same lines as the sampler", "CPU of its own", "missing")
    return finish(figure, name, description, Table(columns, tuple(map(_row, costs))), row_height(known))


def _row(cost: ToolCost) -> tuple[str, ...]:
    return (
        cost.tool,
        plain(cost.variant),
        "" if cost.slowdown is None else f"{100 * (cost.slowdown - 1):+.1f} %".replace("-", "\N{MINUS SIGN}"),
        "" if cost.samples is None else f"{cost.samples:,.0f}",
        "" if cost.agreement is None else f"{100 * cost.agreement:.0f} %",
        "" if cost.own_cpu_s is None else f"{cost.own_cpu_s:.2g} s",
        plain(cost.absent, 200),
    )
