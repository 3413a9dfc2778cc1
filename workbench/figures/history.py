"""One figure over the nights: each night with its interval, the levels that were found, and the base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number
from workbench.figures.theme import COLOURS, finish, note

ROWS = 100  # nights in the figure's table, the newest; the plot has all
WHISKERS = 400  # nights up to which intervals can be told apart
_LEVEL, _ACCEPTED, _BASE = "#d2491f", "#15917f", "#82801a"


@dataclass(frozen=True)
class Level:
    """A stretch of nights with one level: places of its first and last night; how it began, "" for the first."""

    first: int
    last: int
    value: float
    began: str = ""
    accepted: bool = False


@dataclass(frozen=True)
class Nights:
    """What is drawn: values in `unit`, one a night, in order of time, with intervals where they are known."""

    title: str
    unit: str
    dates: Sequence[str]
    values: Sequence[float]
    low: Sequence[float | None]
    high: Sequence[float | None]
    levels: Sequence[Level] = field(default=())
    base: int | None = None
    base_is: str = ""


def value_over_nights(nights: Nights) -> go.Figure:
    """Return the value (linear) over the nights, with levels as steps; accepted ones are dashed, the base is a line."""
    figure = go.Figure()
    if nights.values:
        _draw_nights(figure, nights)
        for level in nights.levels:
            _draw_level(figure, nights, level)
        if nights.base is not None:
            _draw_base(figure, nights, nights.base)
    else:
        note(figure, "no night of this series yet")
    figure.update_xaxes(title_text="night (UTC)", type="date")
    figure.update_yaxes(title_text=f"{nights.title.split(' ', 1)[-1]} ({nights.unit})", tickformat="~s")
    description = (
        "A dot is a night, its whisker the interval of that night. Red lines are the levels that were found, a green "
        "dashed one begins with an accepted step; the dotted line is the base that the newest nights are held against."
    )
    rows = tuple(_row(nights, place) for place in range(max(0, len(nights.values) - ROWS), len(nights.values)))
    table = Table(("night", "value", "from", "to", "level"), rows[::-1])
    figure = finish(figure, f"{nights.title} over the nights", description, table, 380)
    figure.update_layout(hovermode="closest", showlegend=False)
    return figure


def _draw_nights(figure: go.Figure, nights: Nights) -> None:
    pairs = list(zip(nights.values, nights.low, nights.high, strict=True))
    above = [(high if high is not None else value) - value for value, _, high in pairs]
    below = [value - (low if low is not None else value) for value, low, _ in pairs]
    whiskers = {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "thickness": 1,
        "width": 0,
        "color": "#808894",
    }
    figure.add_scatter(
        x=list(nights.dates),
        y=list(nights.values),
        error_y=whiskers if len(pairs) <= WHISKERS else None,
        mode="markers",
        marker={"color": COLOURS[0], "size": 6 if len(pairs) <= WHISKERS else 3},
        customdata=[
            f"{date}: {number(value, nights.unit)}" for date, value in zip(nights.dates, nights.values, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
        name="nights",
    )


def _draw_level(figure: go.Figure, nights: Nights, level: Level) -> None:
    colour = _ACCEPTED if level.accepted else _LEVEL
    told = label(f"{level.began or 'first level'}: {number(level.value, nights.unit)}", 160)
    figure.add_scatter(
        x=[nights.dates[level.first], nights.dates[level.last]],
        y=[level.value, level.value],
        mode="lines",
        line={"color": colour, "width": 2.5, "dash": "dash" if level.accepted else "solid"},
        hovertemplate=f"{told}<extra></extra>",
        name="level",
    )
    if level.began:
        figure.add_vline(x=nights.dates[level.first], line={"color": colour, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=nights.dates[level.first],
            y=1,
            yref="paper",
            yanchor="bottom",
            xanchor="left",
            text=label(level.began, 40),
            showarrow=False,
        )


def _draw_base(figure: go.Figure, nights: Nights, base: int) -> None:
    value = next((level.value for level in nights.levels if level.first <= base <= level.last), nights.values[base])
    figure.add_scatter(
        x=[nights.dates[base], nights.dates[-1]],
        y=[value, value],
        mode="lines",
        line={"color": _BASE, "width": 2, "dash": "dot"},
        hovertemplate=f"{label(f'base, {nights.base_is} {nights.dates[base]}', 80)}<extra></extra>",
        name="base",
    )
    figure.add_scatter(
        x=[nights.dates[base]],
        y=[nights.values[base]],
        mode="markers",
        marker={"color": _BASE, "size": 12, "symbol": "diamond-open", "line": {"width": 2}},
        hovertemplate=f"{label(f'base, {nights.base_is} {nights.dates[base]}', 80)}<extra></extra>",
        name="base",
    )


def _row(nights: Nights, place: int) -> tuple[str, ...]:
    low, high = nights.low[place], nights.high[place]
    level = next((level for level in nights.levels if level.first <= place <= level.last), None)
    return (
        nights.dates[place],
        number(nights.values[place], nights.unit),
        "" if low is None else number(low, nights.unit),
        "" if high is None else number(high, nights.unit),
        "" if level is None else number(level.value, nights.unit),
    )
