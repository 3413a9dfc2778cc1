"""A chain of variants as steps: what each costs, what it saved against its parent, what a simulation counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.figures.table import Table
from workbench.figures.text import label, number, percent_change, plain
from workbench.figures.theme import COLOURS, VERDICT_COLOURS, finish, note, row_height
from workbench.record import Comparison, Result, Run, Verdict

_QUIET = "#808894"
_BAR = 0.52  # height of a bar, in rows
SIMULATED = {
    "instructions": "instructions",
    "d1_misses": "L1 data misses",
    "ll_misses": "last-level misses",
    "branch_misses": "mispredictions",
}
"""Metrics of results with the statistic ``simulated``, per operation, and how a person calls them."""

LEAST = 0.005  # a count per operation below this in every step is not worth a panel: one in 200 operations


class Step(Protocol):
    """What a figure needs to know of a variant in the chain; `depth` is how many parents it has there."""

    @property
    def variant(self) -> str: ...  # noqa: D102
    @property
    def parent(self) -> str | None: ...  # noqa: D102
    @property
    def depth(self) -> int: ...  # noqa: D102
    @property
    def peer(self) -> bool: ...  # noqa: D102


def step_costs(run: Run, kernel: str, steps: Sequence[Step]) -> go.Figure:
    """Return one row per step, in the chain's order: ns per operation with its interval, and what it saved.

    The solid bar is what the step costs, the pale one reaches to what its parent costs: blue was saved, red was added.
    The change beside it is that of the paired comparison, not the quotient of the two bars.
    """
    figure = go.Figure()
    means = {row.variant: row for row in run.results if (row.kernel, row.statistic) == (kernel, "batch_mean")}
    shown = [step for step in steps if step.variant in means]
    against = {row.b: row for row in run.comparisons if row.metric == "throughput" and _is_parent(row, kernel, steps)}
    if shown:
        _draw_costs(figure, shown, means, {step.variant: against.get(f"{kernel}/{step.variant}") for step in shown})
    else:
        note(figure, "no step of the chain was measured")
    _name_rows(figure, [_indented(step) for step in shown])
    rows = tuple(_cost_row(step, means[step.variant], against.get(f"{kernel}/{step.variant}")) for step in shown)
    columns = ("step", "parent", "ns per operation", "from", "to", "change", "from", "to", "verdict")
    description = (
        "The bar is the mean time of an operation, the whisker its interval; the pale part reaches to the parent's "
        "bar: blue is what the step saved, red what it added."
    )
    figure = finish(
        figure, f"What each step of {plain(kernel)} costs", description, Table(columns, rows), row_height(shown, 40)
    )
    figure.update_layout(margin_t=56)
    return figure


def _is_parent(row: Comparison, kernel: str, steps: Sequence[Step]) -> bool:
    return any(
        row.a == f"{kernel}/{step.parent}" and row.b == f"{kernel}/{step.variant}" for step in steps if step.parent
    )


def _draw_costs(
    figure: go.Figure, steps: Sequence[Step], means: Mapping[str, Result], against: Mapping[str, Comparison | None]
) -> None:
    widest = max(row.high or row.value for row in means.values())
    for place, step in enumerate(steps):
        parent = means.get(step.parent or "")
        if parent is not None:
            low, high = sorted((means[step.variant].value, parent.value))
            saved = parent.value > means[step.variant].value
            figure.add_shape(
                type="rect", x0=low, x1=high, y0=place - _BAR / 2, y1=place + _BAR / 2, line_width=0, layer="below",
                fillcolor=VERDICT_COLOURS[Verdict.FASTER if saved else Verdict.SLOWER], opacity=0.28,
            )  # fmt: skip
    values = [means[step.variant] for step in steps]
    figure.add_bar(
        x=[row.value for row in values],
        y=list(range(len(steps))),
        orientation="h",
        width=_BAR,
        marker={"color": [_QUIET if step.peer else COLOURS[0] for step in steps]},
        error_x=_whiskers(values),
        text=[f"{label(step.variant)}: {_words(row)}" for step, row in zip(steps, values, strict=True)],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    for place, (step, row) in enumerate(zip(steps, values, strict=True)):
        parent = means.get(step.parent or "")
        end = max(row.high or row.value, parent.value if parent is not None else 0.0)
        compared = against[step.variant]
        change = f", {percent_change(compared.ratio)}" if compared is not None else ""
        figure.add_annotation(
            x=end, y=place, text=f"  {number(row.value, 'ns')}{change}", xanchor="left", showarrow=False
        )
    figure.update_xaxes(range=[0, widest * 1.3], title_text="time of one operation (ns, mean, from zero)")


def _whiskers(rows: Sequence[Result]) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [(row.high if row.high is not None else row.value) - row.value for row in rows],
        "arrayminus": [row.value - (row.low if row.low is not None else row.value) for row in rows],
        "color": _QUIET,
        "thickness": 2,
        "width": 5,
    }


def _words(row: Result) -> str:
    if row.low is None or row.high is None:
        return number(row.value, "ns")
    return f"{number(row.value, 'ns')} ({number(row.low, 'ns')} to {number(row.high, 'ns')})"


def _cost_row(step: Step, mean: Result, compared: Comparison | None) -> tuple[str, ...]:
    ends = ["" if end is None else number(end, "ns") for end in (mean.low, mean.high)]
    first = (step.variant, step.parent or ("a peer's code" if step.peer else ""), number(mean.value, "ns"), *ends)
    if compared is None:
        return (*first, "", "", "", "")
    return (
        *first,
        *(percent_change(ratio) for ratio in (compared.ratio, compared.low, compared.high)),
        compared.verdict.value,
    )


def simulated_counts(run: Run, kernel: str, steps: Sequence[Step], reason: str = "") -> go.Figure:
    """Return what a simulation counted per operation, one row per step and one panel per counter, each from zero.

    `reason` is said where nothing was simulated.
    """
    counted = {
        (row.variant, row.metric): row.value
        for row in run.results
        if row.kernel == kernel and row.statistic == "simulated" and row.metric in SIMULATED
    }
    shown = [step for step in steps if any(variant == step.variant for variant, _ in counted)]
    metrics = [
        name for name in SIMULATED if any(value >= LEAST for (_, metric), value in counted.items() if metric == name)
    ]
    names = [SIMULATED[name] for name in metrics]
    figure = make_subplots(1, max(1, len(metrics)), shared_yaxes=True, horizontal_spacing=0.05)
    for column, name in enumerate(metrics, 1):
        values = [counted.get((step.variant, name), 0.0) for step in shown]
        figure.add_bar(
            x=values,
            y=list(range(len(shown))),
            orientation="h",
            width=_BAR,
            marker={"color": COLOURS[(column - 1) % len(COLOURS)]},
            text=[number(value) for value in values],
            textposition="outside",
            textfont={"color": _QUIET},
            cliponaxis=False,
            customdata=[label(step.variant) for step in shown],
            hovertemplate="%{customdata}: %{text}<extra></extra>",
            showlegend=False,
            row=1,
            col=column,
        )
        figure.update_xaxes(range=[0, max(values) * 1.35], title_text=f"{SIMULATED[name]} (per operation)", col=column)
    if not metrics:
        note(figure, reason or "nothing was simulated")
    _name_rows(figure, [_indented(step) for step in shown])
    rows = tuple(
        (step.variant, *(number(counted.get((step.variant, name), 0.0)) for name in metrics)) for step in shown
    )
    description = (
        "Counted by callgrind for one operation, in a simple model of two cache levels and a build without AVX-512: a "
        "count to compare steps by, not this machine's."
    )
    table = Table(("step", *names), rows)
    figure = finish(
        figure, f"Simulated work of one operation of {plain(kernel)}", description, table, row_height(shown, 36)
    )
    figure.update_layout(margin_t=56)
    return figure


def _name_rows(figure: go.Figure, names: Sequence[str]) -> None:
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.4, -0.6], showgrid=False
    )


def _indented(step: Step) -> str:
    """Return the step's name, moved in under its parent's."""
    if step.peer:
        return f"{label(step.variant)} (peer)"
    return "\N{NO-BREAK SPACE}" * 3 * (step.depth - 1) + ("└ " if step.depth else "") + label(step.variant)
