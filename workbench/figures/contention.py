"""Throughput of variants over the number of threads: what more threads bring, or cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import DASHES, SYMBOLS, colour_of, finish, note

_POINT = re.compile(r"^(.*) with (\d+) threads?$")
_UNIT = "operations/s"


def throughput_by_threads(title: str, rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return throughput from zero over the number of threads, with intervals, one line for each variant.

    The axis ends above the highest value; an interval that is wider leaves the figure, and stands in its table.

    `rows` are those of a contention profile. Dotted lines from each variant's first point show what each further
    thread would bring if they did not meet.
    """
    lines: dict[str, list[tuple[int, Mapping[str, float]]]] = {}
    for row in rows:
        matched = _POINT.match(str(row.get("measured", "")))
        if matched is not None:
            lines.setdefault(matched[1], []).append((int(matched[2]), row["counters"]))
    figure = go.Figure()
    tops = [0.0]
    for place, (variant, found) in enumerate(lines.items()):
        points = [(threads, at) for threads, at in sorted(found, key=lambda pair: pair[0]) if "throughput_per_s" in at]
        if points:
            _draw(figure, place, variant, points)
            alone = points[0][1]["throughput_per_s"] / points[0][0]
            tops += [max(at["throughput_per_s"], alone * threads) for threads, at in points]
    if max(tops) == 0.0:
        note(figure, "no throughput with several threads was measured")
    numbers = sorted({threads for found in lines.values() for threads, _ in found}) or [1]
    figure.update_xaxes(title_text="threads", tickvals=numbers, range=[numbers[0] - 0.3, numbers[-1] + 0.3])
    figure.update_yaxes(title_text=f"throughput ({_UNIT}, from zero)", tickformat="~s", range=[0, 1.15 * max(tops)])
    columns = ("variant", "threads", "throughput", "from", "to", "p50", "p99", "switches an operation", "futex calls")
    cells = tuple(_cells(variant, threads, at) for variant, found in lines.items() for threads, at in found)
    description = (
        "A line that rises along its dotted one scales; one that stays level takes turns; one that falls pays for "
        "every thread that joins."
    )
    return finish(figure, f"Throughput of {title} by threads", description, Table(columns, cells), 420)


def _draw(figure: go.Figure, place: int, variant: str, points: list[tuple[int, Mapping[str, float]]]) -> None:
    values = [at["throughput_per_s"] for _, at in points]
    both = list(zip(points, values, strict=True))
    figure.add_scatter(
        x=[threads for threads, _ in points],
        y=values,
        name=label(variant),
        mode="lines+markers",
        line={"color": colour_of(place), "dash": DASHES[place % 2], "width": 2},
        marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 9},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [at.get("throughput_high_per_s", value) - value for (_, at), value in both],
            "arrayminus": [value - at.get("throughput_low_per_s", value) for (_, at), value in both],
            "thickness": 2,
            "width": 5,
        },
        text=[number(value, _UNIT) for value in values],
        hovertemplate="%{x} threads: %{text}<extra>%{fullData.name}</extra>",
    )
    if len(points) > 1:
        figure.add_scatter(
            x=[threads for threads, _ in points],
            y=[values[0] * threads / points[0][0] for threads, _ in points],
            mode="lines",
            line={"color": colour_of(place), "dash": "dot", "width": 1},
            showlegend=False,
            hoverinfo="skip",
        )


def _cells(variant: str, threads: int, at: Mapping[str, float]) -> tuple[str, ...]:
    def told(name: str, unit: str) -> str:
        return number(at[name], unit) if name in at else ""

    def each(name: str) -> str:
        return f"{at[name]:.3g}" if name in at else ""

    return (
        variant,
        str(threads),
        told("throughput_per_s", _UNIT),
        told("throughput_low_per_s", _UNIT),
        told("throughput_high_per_s", _UNIT),
        told("service_p50_ns", "ns"),
        told("service_p99_ns", "ns"),
        each("watched_voluntary_switches_per_operation"),
        each("futex_calls_per_operation"),
    )
