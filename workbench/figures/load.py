"""Response times over the load: what a caller waits at each rate, beside what a closed loop would have told."""

from __future__ import annotations

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import SYMBOLS, colour_of, finish, note
from workbench.record import Result, Run

_LOOKS = (("response_time", "solid", "response"), ("service_time", "dot", "service"))
_COLUMNS = ("variant", "load", "done", "response p50", "response p99", "response p99.9", "service p99")


def response_by_load(run: Run, kernel: str, statistic: str = "p99") -> go.Figure:
    """Return a percentile of the response time (log) over the intended rate (log), and of the service time, dotted.

    Where the two part, operations wait for one another: a closed loop shows the dotted line at every load.
    """
    found = _by_variant(run, kernel)
    figure = go.Figure()
    for place, (variant, rates) in enumerate(found.items()):
        for metric, dash, name in _LOOKS:
            points = [(rate, own[metric, statistic]) for rate, own in rates.items() if (metric, statistic) in own]
            figure.add_scatter(
                x=[rate for rate, _ in points],
                y=[row.value for _, row in points],
                customdata=[f"{number(rate, 'operations/s')}: {number(row.value, 'ns')}" for rate, row in points],
                name=f"{label(variant)}, {name}",
                mode="lines+markers",
                marker={"color": colour_of(place), "symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8},
                line={"color": colour_of(place), "dash": dash, "width": 2},
                hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
            )
        knee = next((row for row in run.results if row.variant == variant and row.metric == "knee"), None)
        if knee is not None and knee.value:
            figure.add_vline(x=knee.value, line={"dash": "dash", "width": 1, "color": colour_of(place)})
    if not found:
        note(figure, "no open loop of this kernel in the record")
    figure.update_xaxes(type="log", title_text="load (operations a second, log)")
    powers = [10.0**power for power in range(12)]
    figure.update_xaxes(exponentformat="SI", minor={"showgrid": False})
    figure.update_yaxes(
        type="log",
        title_text=f"{statistic.replace('999', '99.9')} of one operation (log)",
        tickvals=powers,
        ticktext=[number(power, "ns").replace(".00", "").replace(".0", "") for power in powers],
    )
    description = (
        "Solid: how long after its intended start one of the slowest operations ended; dotted: after its real start. "
        "A dashed upright line is the knee, the highest load that holds the limit."
    )
    table = Table(
        _COLUMNS, tuple(_row(variant, rate, own) for variant, rates in found.items() for rate, own in rates.items())
    )
    return finish(figure, f"Response time of {kernel} under load", description, table, 430)


Rates = dict[float, dict[tuple[str, str], Result]]


def _by_variant(run: Run, kernel: str) -> dict[str, Rates]:
    found: dict[str, Rates] = {}
    for row in run.results:
        if row.kernel == kernel and row.rate_per_s is not None:
            found.setdefault(row.variant, {}).setdefault(row.rate_per_s, {})[row.metric, row.statistic] = row
    return {variant: dict(sorted(rates.items())) for variant, rates in found.items()}


def _row(variant: str, rate: float, own: dict[tuple[str, str], Result]) -> tuple[str, ...]:
    def told(metric: str, statistic: str) -> str:
        row = own.get((metric, statistic))
        return number(row.value, row.unit) if row else ""

    percentiles = [told("response_time", statistic) for statistic in ("p50", "p99", "p999")]
    done, service = told("achieved_rate", "median"), told("service_time", "p99")
    return (variant, number(rate, "operations/s"), done, *percentiles, service)
