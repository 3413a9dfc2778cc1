"""The limits of a machine drawn: latency by working set, and a roofline with the kernels under it.

A roofline (Williams, Waterman, Patterson: Roofline, CACM 52, 2009; for instructions: Ding, Williams, PMBS 2019) says
what a program can reach at most: so many instructions a second as the core can do, or so many as the bytes that they
need can be brought. Here a point is a kernel: its instructions for each byte that it fetches from behind the first
cache, both simulated, and the instructions that it does in a second, by its measured time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number, plain
from workbench.figures.theme import COLOURS, SYMBOLS, colour_of, finish, note
from workbench.record import Result, Run

KERNEL = "machine"  # what the limits are results of
POINTS = "roofline"  # the statistic of what places a kernel
REFUSED_PAGES = "Linux gave no huge pages"  # how the note begins that says so
_QUIET = "#808894"
_LEVELS = {"L2": "solid", "L3": "dash", "memory": "dot"}


def limit(run: Run, variant: str, metric: str) -> Result | None:
    """Return one limit of the machine; None where it was not measured."""
    wanted = (KERNEL, variant, metric)
    return next((row for row in run.results if (row.kernel, row.variant, row.metric) == wanted), None)


def working_set_latency(run: Run, levels: Sequence[tuple[str, int]]) -> go.Figure:
    """Return what a load costs that waits for the one before, by the size of what is read at random (both log).

    `levels` are the sizes of the caches of this machine, in bytes, by name: upright lines.
    """
    rows = [row for row in run.results if (row.kernel, row.metric) == (KERNEL, "chase_latency")]
    figure = go.Figure()
    if not rows:
        note(figure, "no working set was measured")
    sizes = [int(row.variant) for row in rows]
    figure.add_scatter(
        x=sizes,
        y=[row.value for row in rows],
        mode="lines+markers",
        marker={"color": COLOURS[0], "size": 7},
        line={"color": COLOURS[0], "width": 2},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [(row.high if row.high is not None else row.value) - row.value for row in rows],
            "arrayminus": [row.value - (row.low if row.low is not None else row.value) for row in rows],
            "color": COLOURS[0],
            "thickness": 1.5,
        },
        text=[f"{_bytes(size)}: {number(row.value, 'ns')}" for size, row in zip(sizes, rows, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    for name, size in levels:
        figure.add_vline(x=size, line={"width": 1, "dash": "dash", "color": _QUIET})
        figure.add_annotation(x=math.log10(size), y=1, yref="paper", text=label(name), xanchor="right", yanchor="top")
    ticks = sizes[::2]
    figure.update_xaxes(
        type="log", title_text="working set (log)", tickvals=ticks, ticktext=[_bytes(size) for size in ticks]
    )
    nanoseconds = [0.5, 1, 2, 5, 10, 20, 50, 100, 200]
    figure.update_yaxes(
        type="log", title_text="a load that waits for the one before (log)",
        tickvals=nanoseconds, ticktext=[number(each, "ns") for each in nanoseconds],
    )  # fmt: skip
    table = Table(
        ("working set", "ns", "from", "to"), tuple((_bytes(int(row.variant)), *_interval(row)) for row in rows)
    )
    described = "Each step up is a level of memory that the working set no longer fits. Huge pages were asked for"
    refused = any(each.startswith(REFUSED_PAGES) for each in run.notes)
    described += " and refused: misses of the TLB are in it." if refused else ", to keep misses of the TLB out."
    return finish(figure, "What a load waits, by the size of what is read", described, table, 400)


def roofline(run: Run) -> go.Figure:
    """Return the roofs of the core and of each level of memory, and every kernel that was placed, all log."""
    figure = go.Figure()
    peak = limit(run, "core", "instruction_rate")
    points = _points(run)
    if peak is None or not points:
        note(figure, "no kernel was placed" if peak else "the core was not measured")
        return finish(figure, "Roofline", "Nothing to show.", Table((), ()), 260)
    left = min(0.05, *(point[1] for point in points)) / 2
    right = max(100.0, *(point[1] for point in points)) * 2
    for level, dash in _LEVELS.items():
        roof = limit(run, level, "read_bandwidth")
        if roof is not None:
            knee = peak.value / roof.value
            xs = [left, min(max(knee, left), right), right]
            figure.add_scatter(
                x=xs, y=[min(peak.value, x * roof.value) for x in xs], mode="lines",
                line={"color": _QUIET, "dash": dash, "width": 2},
                name=f"{label(level)}: {number(roof.value, 'bytes')}/s", hoverinfo="skip",
            )  # fmt: skip
    for place, (name, intensity, rate, _) in enumerate(points):
        figure.add_scatter(
            x=[intensity], y=[rate], mode="markers", name=label(name),
            marker={"color": colour_of(place), "symbol": _symbol(place), "size": 12},
            text=[f"{label(name)}: {number(intensity)} instructions a byte, {number(rate)}/s"],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(type="log", range=[math.log10(left), math.log10(right)], exponentformat="SI",
                        title_text="instructions for a byte from behind the first cache (log)")  # fmt: skip
    figure.update_yaxes(type="log", exponentformat="SI", title_text="instructions a second (log)")
    rows = tuple(_placed(run, name, intensity, rate, misses) for name, intensity, rate, misses in points)
    table = Table(
        ("kernel", "instructions a byte", "instructions/s", "of the core's", "missed of the last level"), rows
    )
    described = (
        "The level roof is what the core can do, a slanted one what a level of memory can bring. A kernel far below "
        "all of them waits: for one load after the other, for a branch, for a lock."
    )
    finish(figure, "Roofline: what each kernel does, and what it could", described, table, 470 + 12 * len(points))
    figure.update_layout(margin_t=84 + 12 * len(points), legend={"font": {"size": 11}})
    return figure


def _symbol(place: int) -> str:
    """Return the symbol of a point: once all colours were used, each comes again with another symbol."""
    return SYMBOLS[(place + place // len(COLOURS)) % len(SYMBOLS)]


def _points(run: Run) -> list[tuple[str, float, float, float]]:
    """Return of each placed kernel: its name, instructions a byte, instructions a second, last-level misses."""
    found: dict[str, dict[str, float]] = {}
    for row in run.results:
        if row.statistic == POINTS:
            found.setdefault(f"{row.kernel}/{row.variant}", {})[row.metric] = row.value
    return [(name, own["intensity"], own["instruction_rate"], own.get("ll_misses", 0.0)) for name, own in found.items()]


def _placed(run: Run, name: str, intensity: float, rate: float, misses: float) -> tuple[str, ...]:
    peak = limit(run, "core", "instruction_rate")
    assert peak is not None
    return (
        plain(name),
        number(intensity),
        number(rate, "instructions/s"),
        f"{100 * rate / peak.value:.0f} %",
        number(misses),
    )


def _interval(row: Result) -> tuple[str, str, str]:
    low, high = ("" if end is None else number(end, "ns") for end in (row.low, row.high))
    return number(row.value, "ns"), low, high


def _bytes(size: int) -> str:
    for unit, scale in (("MB", 2**20), ("KB", 2**10)):
        if size >= scale:
            return f"{size // scale} {unit}"
    return f"{size} B"
