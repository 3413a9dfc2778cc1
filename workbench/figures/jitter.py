"""What is taken from a core: how long the gaps are in which somebody else had it, by percentile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import DASHES, SYMBOLS, colour_of, finish, note

_PREFIX = "jitter of "
_TICKS = (50.0, 90.0, 99.0, 99.9, 99.99)
_LAST = 1e5  # where the longest gap is drawn: as rare as that


def jitter_percentiles(title: str, rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return the length of gaps (log) over their percentile, one line for each core that was watched.

    `rows` are those of a system profile. The legend says which part of the time was taken.
    """
    found = {name: row["counters"] for row in rows if (name := str(row.get("measured", ""))).startswith(_PREFIX)}
    figure = go.Figure()
    cells = []
    for place, (name, counters) in enumerate(found.items()):
        points = sorted((float(key[1:-3]), value) for key, value in counters.items() if _is_percentile(key))
        shown = [(percentile, value) for percentile, value in points if percentile > 0 and value > 0]
        figure.add_scatter(
            x=[_rarity(percentile) for percentile, _ in shown],
            y=[value for _, value in shown],
            customdata=[f"{percentile:g} % of the gaps: {number(value, 'ns')} or less" for percentile, value in shown],
            name=label(f"{name.removeprefix(_PREFIX)}: {100 * counters['share']:.3g} % of the time", 80),
            mode="lines+markers",
            line={"color": colour_of(place), "dash": DASHES[place % len(DASHES)], "width": 2, "shape": "hv"},
            marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 7},
            hovertemplate="%{customdata}<extra></extra>",
        )
        cells.append(_cells(name, counters))
    if not found:
        note(figure, "jitter was not measured here")
    elif not any(counters["gaps"] for counters in found.values()):
        note(figure, "no gap above the threshold was seen")
    figure.update_xaxes(
        type="log",
        title_text="percentile of gaps",
        tickvals=[*(_rarity(percentile) for percentile in _TICKS), _LAST],
        ticktext=[*(f"{percentile:g} %" for percentile in _TICKS), "longest"],
    )
    ticks = [10.0**power for power in range(3, 11)]
    figure.update_yaxes(
        type="log",
        title_text="length of a gap (log)",
        tickvals=ticks,
        ticktext=[number(tick, "ns").replace(".00", "").replace(".0", "") for tick in ticks],
        minor={"dtick": "D1", "showgrid": False},
    )
    columns = ("core", "watched", "taken", "gaps/s", "p50", "p99", "p99.9", "longest", "steal")
    description = (
        "A loop that only reads the clock notes each gap: lower is a quieter core, a steep rise on the right means "
        "rare and long interruptions."
    )
    return finish(figure, f"Jitter while {title} was profiled", description, Table(columns, tuple(cells)), 400)


def _is_percentile(key: str) -> bool:
    return key.startswith("p") and key.endswith("_ns") and key[1:-3].replace(".", "").isdigit()


def _rarity(percentile: float) -> float:
    return min(_LAST, 100.0 / max(100.0 - percentile, 1e-9))


def _cells(name: str, counters: Mapping[str, float]) -> tuple[str, ...]:
    lengths = (number(counters[key], "ns") if key in counters else "" for key in ("p50_ns", "p99_ns", "p99.9_ns"))
    return (
        name.removeprefix(_PREFIX),
        f"{counters['duration_s']:.2f} s",
        f"{100 * counters['share']:.3g} %",
        f"{counters['gaps_per_s']:.4g}",
        *lengths,
        number(counters["longest_ns"], "ns"),
        f"{counters['steal_s']:.2f} s",
    )
