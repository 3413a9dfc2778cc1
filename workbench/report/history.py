"""A history as one self-contained page: what is too slow first, then every series over its nights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.io

from workbench.figures.history import Level, Nights, value_over_nights
from workbench.files import write_text
from workbench.gate import history_words as words
from workbench.gate.history import SeriesHistory
from workbench.record import Verdict
from workbench.report import page
from workbench.report.plots import figure_html, page_scripts

FIGURES = 60
"""Figures on one page, those that need an eye first: a page with hundreds takes a browser seconds to draw."""

_URGENT = (Verdict.SLOWER, Verdict.UNRESOLVED, Verdict.FASTER)


def write_history(path: Path, histories: Sequence[SeriesHistory], where: str = "") -> None:
    """Write the page of `histories`, read from the store `where`, to `path`."""
    write_text(path, history_html(histories, where))


def history_html(histories: Sequence[SeriesHistory], where: str = "") -> str:
    """Return the page. Series of other machines, inputs and parameters stand apart."""
    ordered = sorted(histories, key=_urgency)
    drawn = [history for history in ordered if history.series.nights][:FIGURES]
    parts: dict[str, list[dict[str, Any]]] = {}
    for place, history in enumerate(ordered):
        parts.setdefault(words.about(history), []).append(_row(history, f"series-{place}", history in drawn))
    kernels = ", ".join(dict.fromkeys(history.series.key.kernel for history in histories)) or "nothing yet"
    return page.render(
        "history.html.j2",
        title=f"History of {kernels}",
        where=where,
        badge=words.state(ordered[0]) if ordered else "EMPTY",
        summary=summary(histories),
        parts=[{"about": about, "rows": rows} for about, rows in parts.items()],
        scripts=page_scripts(page.text("figures.js")) if drawn else "",
        policy=page.POLICY,
        style=page.text("style.css"),
    )


def summary(histories: Sequence[SeriesHistory]) -> str:
    """Return in one sentence how many series there are and how many are too slow."""
    slower = sum(history.verdict is Verdict.SLOWER for history in histories)
    steps = sum(len(history.steps) for history in histories)
    told = f"{len(histories)} series, {steps} {'step' if steps == 1 else 'steps'} found"
    return f"{told}; {slower} slower than they were and not accepted." if slower else f"{told}; none is slower now."


def nights_of(history: SeriesHistory) -> Nights:
    """Return what the figure of `history` draws."""
    nights, key = history.series.nights, history.series.key
    costs, sign = history.series.costs(), -1 if key.more_is_better else 1
    edges = [0, *(step.change.index for step in history.steps), len(nights)]
    levels = []
    for place, step in enumerate((None, *history.steps)):
        start, end = edges[place : place + 2]
        if start < end:
            ordered = sorted(costs[start:end])
            middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
            began = "" if step is None else words.change_of(step.change.size) + (" accepted" if step.accepted else "")
            levels.append(
                Level(start, end - 1, math.exp(sign * middle), began, step is not None and step.accepted is not None)
            )
    return Nights(
        title=key.name,
        unit=key.unit,
        dates=[night.moment.strftime("%Y-%m-%d %H:%M") for night in nights],
        values=[night.value for night in nights],
        low=[night.low for night in nights],
        high=[night.high for night in nights],
        levels=levels if history.steps else (),
        base=history.base,
        base_is=history.base_is,
    )


def _row(history: SeriesHistory, link: str, drawn: bool) -> dict[str, Any]:
    figure = ""
    if drawn:
        plotted = plotly.io.from_json(value_over_nights(nights_of(history)).to_json()).to_dict()
        figure = figure_html(plotted, f"plot-{link}")
    return {
        "state": words.state(history),
        "name": history.series.key.name,
        "nights": f"{len(history.series.nights):,}",
        "newest": words.newest_value(history),
        "step": words.step_words(history, history.steps[-1]) if history.steps else "",
        "drift": words.drift_words(history),
        "link": link if drawn else None,
        "figure": figure,
        "lines": words.details(history),
    }


def _urgency(history: SeriesHistory) -> tuple[int, bool]:
    """Sort what is too slow first, then what is open, then what has a step at all."""
    place = _URGENT.index(history.verdict) if history.verdict in _URGENT else len(_URGENT)
    return place, not history.steps
