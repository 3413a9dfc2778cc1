"""Steps of a roadmap as a waterfall: the cost after each, what it changed, and what it is worth alone beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.table import Table
from workbench.figures.text import label, number, percent_change, plain
from workbench.figures.theme import VERDICT_COLOURS, VERDICT_SYMBOLS, finish, note, row_height
from workbench.record import Comparison, Result, Run

START, ALONE = "start", " alone"  # labels of what was measured: the first, and what follows the name of a step alone
_QUIET = "#808894"
_BAR = 0.56  # height of a bar, in rows


class Idea(Protocol):
    """What the figure needs to know of a step."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def phase(self) -> str: ...  # noqa: D102


def compared(run: Run, cell: str, a: str, b: str) -> Comparison | None:
    """Return the comparison of the mean times of two labels of `cell` (kernel/variant); None where there is none."""
    wanted = (f"{cell}@{a}", f"{cell}@{b}", "throughput")
    return next((row for row in run.comparisons if (row.a, row.b, row.metric) == wanted), None)


def paired(run: Run, cell: str, name: str) -> Comparison | None:
    """Return the comparison of a step of the path with what it stands on: of those of its mean time, the first."""
    wanted = (f"{cell}@{name}", "throughput")
    return next((row for row in run.comparisons if (row.b, row.metric) == wanted), None)


def mean_of(run: Run, cell: str, name: str) -> Result | None:
    """Return the mean time of an operation of a label of `cell`; None where it was not measured."""
    kernel, _, variant = cell.partition("/")
    wanted = (kernel, f"{variant}@{name}", "batch_mean")
    return next((row for row in run.results if (row.kernel, row.variant, row.statistic) == wanted), None)


def measured(run: Run, cell: str, steps: Sequence[Idea]) -> list[str]:
    """Return the labels along the path that were measured: the start, then each step's."""
    return [name for name in (START, *(step.name for step in steps)) if mean_of(run, cell, name) is not None]


def waterfall(run: Run, cell: str, steps: Sequence[Idea], absent: Mapping[str, str]) -> go.Figure:
    """Return one row per step in their order: on the left the cost of an operation after it, on the right alone.

    The bar on the left reaches from the cost before the step to the cost after it and has the colour of its verdict,
    which is that of the paired comparison; the whisker is the interval of the cost. On the right stands what the step
    changes alone, against the start. A step that cannot be had here (`absent`, by name: why) has a row and no bar.
    """
    figure = make_subplots(1, 2, shared_yaxes=True, column_widths=[0.64, 0.36], horizontal_spacing=0.03)
    path = measured(run, cell, steps)
    if path:
        _draw_path(figure, run, cell, steps, path)
        _draw_alone(figure, run, cell, steps, path[1:2])
        for place, step in enumerate(steps, 1):
            if step.name in absent:
                figure.add_annotation(
                    text="not to be had here", x=0, y=place, xanchor="left", showarrow=False, row=1, col=1
                )
    else:
        note(figure, "no step was measured")
    rows = [_row(run, cell, step, path, absent) for step in steps]
    first = mean_of(run, cell, START)
    if first is not None:
        rows.insert(0, ("start", "", *_cost(first), "", "", "", "", "", "", "", ""))
    names = [label("start"), *(label(step.title) for step in steps)]
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6], showgrid=False
    )
    costs = ("step", "phase", "ns per operation", "from", "to", "change", "from", "to", "verdict")
    columns = (*costs, "alone", "from", "to", "verdict alone")
    description = (
        "Left: each bar begins at the cost before the step and ends at the cost after it; blue was saved, red was "
        "added, grey does not count, violet is not resolved. Right: what the step changes alone, against the start."
    )
    finish(
        figure, f"What each step is worth: {plain(cell)}", description, Table(columns, tuple(rows)), row_height(names)
    )
    figure.update_layout(margin_t=56, showlegend=False)
    return figure


def _draw_path(figure: go.Figure, run: Run, cell: str, steps: Sequence[Idea], path: Sequence[str]) -> None:
    """Draw the bars of the path, the start's from zero."""
    places = {step.name: place for place, step in enumerate(steps, 1)} | {START: 0}
    widest = 0.0
    for name in path:
        mean = mean_of(run, cell, name)
        assert mean is not None
        row = paired(run, cell, name)
        ground = mean_of(run, cell, row.a.rpartition("@")[2]) if row else None
        before = ground.value if ground else 0.0
        colour = VERDICT_COLOURS[row.verdict] if row else _QUIET
        change = f", {percent_change(row.ratio)}" if row else ""
        verdict = f", {row.verdict.value}" if row else ""
        low, high = sorted((before, mean.value))
        figure.add_bar(
            x=[high - low],
            base=[low],
            y=[places[name]],
            orientation="h",
            width=_BAR,
            marker={"color": colour},
            hovertext=f"{label(name)}: {number(mean.value, 'ns')}{change}{verdict}",
            hoverinfo="text",
            row=1,
            col=1,
        )
        _whisker(figure, mean, places[name])
        end = max(high, mean.high or mean.value)
        widest = max(widest, end)
        figure.add_annotation(
            text=f"  {number(mean.value, 'ns')}{change}{verdict}", x=end, y=places[name], xanchor="left",
            showarrow=False, row=1, col=1,
        )  # fmt: skip
    figure.update_xaxes(range=[0, widest * 1.6], title_text="time of one operation (ns, mean, from zero)", col=1)


def _whisker(figure: go.Figure, mean: Result, place: int) -> None:
    if mean.low is None or mean.high is None:
        return
    figure.add_scatter(
        x=[mean.value],
        y=[place],
        mode="markers",
        marker={"size": 1, "color": _QUIET},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [mean.high - mean.value],
            "arrayminus": [mean.value - mean.low],
            "color": _QUIET,
            "thickness": 2,
            "width": 5,
        },
        hoverinfo="skip",
        row=1,
        col=1,
    )


def _draw_alone(figure: go.Figure, run: Run, cell: str, steps: Sequence[Idea], first: Sequence[str]) -> None:
    """Draw what each step is worth alone, as a change in percent of the start's cost."""
    ends = [0.0]
    for place, step in enumerate(steps, 1):
        row = alone_row(run, cell, step, first)
        if row is None:
            continue
        change, low, high = (100 * (ratio - 1) for ratio in (row.ratio, row.low, row.high))
        ends += [low, high]
        colour = VERDICT_COLOURS[row.verdict]
        symbol = VERDICT_SYMBOLS[row.verdict]
        figure.add_scatter(
            x=[change],
            y=[place],
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2, "color": colour}},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - change],
                "arrayminus": [change - low],
                "color": colour,
                "thickness": 2,
                "width": 5,
            },
            hovertext=f"{label(step.title)} alone: {_change(row)}, {row.verdict.value}",
            hoverinfo="text",
            row=1,
            col=2,
        )
    reach = max(ends) - min(ends) or 1.0
    figure.add_vline(x=0, line={"width": 1, "color": _QUIET}, row=1, col=2)
    figure.update_xaxes(
        range=[min(ends) - 0.08 * reach, max(ends) + 0.08 * reach],
        ticksuffix=" %",
        title_text="alone: change in cost against the start",
        col=2,
    )


def alone_row(run: Run, cell: str, step: Idea, first: Sequence[str]) -> Comparison | None:
    """Return what `step` is worth alone; the first step of the path (`first`, by name) is alone there."""
    return compared(run, cell, START, step.name if step.name in first else step.name + ALONE)


def _row(run: Run, cell: str, step: Idea, path: Sequence[str], absent: Mapping[str, str]) -> tuple[str, ...]:
    if step.name not in path:
        return (step.title, step.phase, *[""] * 6, absent.get(step.name, "not measured"), *[""] * 4)
    mean = mean_of(run, cell, step.name)
    assert mean is not None
    judged = _judged(paired(run, cell, step.name)), _judged(alone_row(run, cell, step, path[1:2]))
    return (step.title, step.phase, *_cost(mean), *judged[0], *judged[1])


def _cost(mean: Result) -> tuple[str, str, str]:
    low, high = ("" if end is None else number(end, "ns") for end in (mean.low, mean.high))
    return number(mean.value, "ns"), low, high


def _judged(row: Comparison | None) -> tuple[str, ...]:
    if row is None:
        return ("",) * 4
    return (*(percent_change(ratio) for ratio in (row.ratio, row.low, row.high)), row.verdict.value)


def _change(row: Comparison) -> str:
    return f"{percent_change(row.ratio)} ({percent_change(row.low)} to {percent_change(row.high)})"
