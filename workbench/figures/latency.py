"""Latency over percentiles: one line per variant, from the merged histograms."""

from __future__ import annotations

import math

import plotly.graph_objects as go
from hdrh.histogram import HdrHistogram

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import DASHES, colour_of, finish, note
from workbench.record import Run

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
SAMPLES_ABOVE = 3.68  # ln(40): with fewer samples beyond it, a percentile has no finite two-sided 95 % bound
_PLACES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "p9999": 99.99}


def latency_percentiles(run: Run, kernel: str) -> go.Figure:
    """Return latency in nanoseconds (log) over the percentile, spaced by how rare it is; one line per variant.

    A line ends where too few samples lie beyond for the percentile to mean anything. Where a latency is that of a group
    of operations, the axes say so. Without histograms in the record the percentiles among its results are drawn as
    they are.
    """
    lines = _from_histograms(run, kernel) or _from_results(run, kernel)
    together = max((result.operations_per_sample for result in run.results if result.kernel == kernel), default=1)
    figure = go.Figure()
    rows = []
    for place, (variant, (count, points)) in enumerate(lines.items()):
        figure.add_scatter(
            x=[_rarity(percentile) for percentile, _ in points],
            y=[value for _, value in points],
            customdata=[f"p{percentile:.6g}: {number(value, 'ns')}" for percentile, value in points],
            name=label(variant),
            mode="lines" if len(points) > 6 else "lines+markers",
            line={"color": colour_of(place), "dash": DASHES[place % len(DASHES)], "width": 2},
            hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
        )
        shown = dict(points)
        cells = [_cell(shown, points, percentile) for percentile in PERCENTILES]
        rows.append((variant, *cells, f"{count:,}" if count else ""))
    floor = max((replicate.clock.floor_ns for replicate in run.replicates), default=0.0)
    if not lines:
        note(figure, "no latency of this kernel in the record")
    elif floor:
        figure.add_hline(y=floor, line={"dash": "dot", "width": 1, "color": "#808894"})
        figure.add_annotation(
            text=f"clock's floor: {number(floor, 'ns')}", x=1, xref="paper", xanchor="right", y=math.log10(floor),
            yanchor="bottom", showarrow=False,
        )  # fmt: skip
    figure.update_xaxes(
        type="log",
        title_text="percentile of operations" if together == 1 else f"percentile of groups of {together} operations",
        tickvals=[_rarity(percentile) for percentile in PERCENTILES],
        ticktext=[f"{percentile:g} %" for percentile in PERCENTILES],
    )
    ticks = [10.0**power for power in range(0, 12)]
    figure.update_yaxes(
        type="log",
        title_text="latency of one operation (log)"
        if together == 1
        else f"time of {together} operations together (log)",
        tickvals=ticks,
        ticktext=[f"{number(tick, 'ns').replace('.00', '').replace('.0', '')}" for tick in ticks],
        minor={"dtick": "D1", "showgrid": False},
    )
    columns = ("variant", *(f"p{percentile:g}" for percentile in PERCENTILES), "samples")
    description = (
        "Each line gives, from left to right, the latency that rarer and rarer operations exceed; lower is faster, "
        "a steep rise on the right is a long tail."
    )
    return finish(figure, f"Latency of {kernel} by percentile", description, Table(columns, tuple(rows)), 430)


def _rarity(percentile: float) -> float:
    """Return how many operations there are for each one beyond `percentile`: 10 for p90, 100 for p99."""
    return 100.0 / max(100.0 - percentile, 1e-9)


def _cell(shown: dict[float, float], points: list[tuple[float, float]], percentile: float) -> str:
    if percentile in shown:
        return number(shown[percentile], "ns")
    return "too few samples" if points and percentile > points[-1][0] else ""


Lines = dict[str, tuple[int, list[tuple[float, float]]]]


def _from_histograms(run: Run, kernel: str) -> Lines:
    merged: dict[str, HdrHistogram] = {}
    for replicate in run.replicates:
        for block in replicate.blocks:
            for side in block.sides:
                if side.histogram is None or not side.variant.startswith(f"{kernel}/"):
                    continue
                variant = side.variant.removeprefix(f"{kernel}/")
                decoded = HdrHistogram.decode(side.histogram)
                if variant in merged:
                    merged[variant].add(decoded)
                else:
                    merged[variant] = decoded
    lines: Lines = {}
    for variant, histogram in merged.items():
        count = histogram.get_total_count()
        last = 100.0 * (1 - SAMPLES_ABOVE / count) if count > 2 * SAMPLES_ABOVE else 50.0
        grid = {*PERCENTILES, *(100 * (1 - 10 ** (-step / 24)) for step in range(1, 120)), last}
        at = [percentile for percentile in sorted(grid) if percentile <= last]
        lines[variant] = (count, [(p, float(histogram.get_value_at_percentile(p))) for p in at])
    return lines


def _from_results(run: Run, kernel: str) -> Lines:
    lines: Lines = {}
    for result in run.results:
        if result.kernel == kernel and result.metric == "service_time" and result.statistic in _PLACES:
            _count, points = lines.setdefault(result.variant, (result.samples, []))
            points.append((_PLACES[result.statistic], result.value))
    return {variant: (count, sorted(points)) for variant, (count, points) in lines.items()}
