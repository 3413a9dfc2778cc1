"""Budgets as bullets: where each measured value lies between its old, its required and its aimed-at limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import COLOURS, VERDICT_COLOURS, finish, note, row_height
from workbench.record import Verdict


class Bullet(Protocol):
    """What a bullet needs to know of a budget that was judged; `share` is value over must, below 1 where it holds."""

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def unit(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def must(self) -> float: ...  # noqa: D102
    @property
    def stretch(self) -> float | None: ...  # noqa: D102
    @property
    def old(self) -> float | None: ...  # noqa: D102
    @property
    def above(self) -> bool: ...  # noqa: D102
    @property
    def words(self) -> str: ...  # noqa: D102


def budget_bullets(judged: Sequence[Bullet], title: str = "Budgets") -> go.Figure:
    """Return one row per budget on a common scale: the cost as a multiple of what must hold (log), left is better.

    The grey bar reaches from the old limit to the required one, the tick is the aim, the diamond is what was measured.
    """
    figure = go.Figure()
    names = [f"{bullet.title}" for bullet in judged]
    if judged:
        _draw(figure, judged)
    else:
        note(figure, "no budget covers what was measured")
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[label(name, 60) for name in names],
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
    )
    columns = ("budget", "measured", "must", "stretch", "before", "outcome")
    rows = tuple(
        (
            bullet.title,
            number(bullet.value, bullet.unit),
            _limit(bullet, bullet.must),
            _limit(bullet, bullet.stretch),
            "" if bullet.old is None else number(bullet.old, bullet.unit),
            bullet.words,
        )
        for bullet in judged
    )
    description = (
        "The diamond is what was measured: left of the line at 1 the budget holds, left of the tick the aim is met."
    )
    return finish(figure, title, description, Table(columns, rows), row_height(names))


def _limit(bullet: Bullet, limit: float | None) -> str:
    return "" if limit is None else f"{'≥' if bullet.above else '≤'} {number(limit, bullet.unit)}"


def _share(bullet: Bullet, value: float) -> float:
    """Return the cost of `value` as a multiple of the required limit: below 1 holds."""
    ratio = max(value, 1e-30) / bullet.must
    return 1 / ratio if bullet.above else ratio


def _draw(figure: go.Figure, judged: Sequence[Bullet]) -> None:
    quiet = "#808894"
    shares: list[float] = [1.0]
    stretches: list[tuple[float, int]] = []
    for place, bullet in enumerate(judged):
        if bullet.old is not None:
            old = _share(bullet, bullet.old)
            figure.add_shape(
                type="rect", x0=1, x1=old, y0=place - 0.22, y1=place + 0.22, fillcolor=quiet, opacity=0.25, line_width=0
            )
            shares.append(old)
        if bullet.stretch is not None:
            stretches.append((_share(bullet, bullet.stretch), place))
    values = [_share(bullet, bullet.value) for bullet in judged]
    held = [value <= 1 for value in values]
    figure.add_scatter(
        x=[share for share, _ in stretches],
        y=[place for _, place in stretches],
        mode="markers",
        name="stretch",
        marker={"symbol": "line-ns", "size": 22, "line": {"width": 3, "color": COLOURS[2]}},
        hovertemplate="stretch: %{x:.3g} × the limit<extra></extra>",
    )
    for wanted, name, colour in (
        (True, "must holds", COLOURS[0]),
        (False, "must is missed", VERDICT_COLOURS[Verdict.SLOWER]),
    ):
        places = [place for place, holds in enumerate(held) if holds is wanted]
        if places:
            figure.add_scatter(
                x=[values[place] for place in places],
                y=places,
                mode="markers",
                name=name,
                marker={"symbol": "diamond" if wanted else "diamond-x", "size": 13, "color": colour},
                text=[
                    f"{number(judged[place].value, judged[place].unit)}: {label(judged[place].words, 90)}"
                    for place in places
                ],
                hovertemplate="%{text}<extra></extra>",
            )
    figure.add_vline(x=1, line={"width": 2, "color": quiet})
    shares += [*values, *(share for share, _ in stretches)]
    figure.update_xaxes(
        type="log",
        range=[math.log10(min(shares)) - 0.25, math.log10(max(shares)) + 0.25],
        title_text="cost as a multiple of what must hold (1 is the limit, left is better, log)",
        dtick=1,
        tickformat="~g",
    )
