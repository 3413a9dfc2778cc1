"""One look for every figure, in light, in dark, and neutral where the page's colours are not known (JupyterLab).

The colours of data are the same in all three: each has a contrast of at least 3:1 to white and to the dark page, and
they stay apart for the common kinds of colour blindness; dashes and symbols repeat what colour says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label
from workbench.record import Verdict

COLOURS = ("#2f7dd1", "#cc6a10", "#15917f", "#a25fd0", "#cf4f7f", "#82801a", "#6f7f92")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")

VERDICT_COLOURS = {
    Verdict.FASTER: "#2f7dd1",
    Verdict.SLOWER: "#d2491f",
    Verdict.UNCHANGED: "#6f7f92",
    Verdict.UNRESOLVED: "#a25fd0",
    Verdict.ENVIRONMENT_INVALID: "#82801a",
}
VERDICT_SYMBOLS = {
    Verdict.FASTER: "triangle-left",
    Verdict.SLOWER: "triangle-right",
    Verdict.UNCHANGED: "circle",
    Verdict.UNRESOLVED: "circle-open",
    Verdict.ENVIRONMENT_INVALID: "x",
}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
CONFIG: dict[str, Any] = {
    "showSendToCloud": False,  # the data stay on the machine
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}


def _template(text: str, quiet: str, grid: str, hover: str) -> dict[str, Any]:
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zeroline": False,
        "tickcolor": grid,
        "ticks": "outside",
        "ticklen": 4,
        "tickfont": {"color": quiet, "size": 12},
        "title": {"font": {"color": quiet, "size": 12}, "standoff": 10},
        "automargin": True,
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 13, "color": text},
            "title": {"font": {"size": 16, "color": text}, "x": 0, "xref": "container", "xanchor": "left"},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(COLOURS),
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
            "hoverlabel": {"bgcolor": hover, "bordercolor": grid, "font": {"family": FONT, "color": text}},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": quiet, "activecolor": text},
            "shapedefaults": {"line": {"color": grid}},
            "annotationdefaults": {"font": {"color": quiet, "size": 12}, "showarrow": False},
        }
    }


LIGHT = _template(text="#1c2430", quiet="#4a5666", grid="#dfe3e8", hover="#ffffff")
DARK = _template(text="#e8ebef", quiet="#aab4c0", grid="#323a45", hover="#1b212a")
NEUTRAL = _template(text="#747d89", quiet="#747d89", grid="rgba(128,136,148,0.35)", hover="#f6f7f9")
NEUTRAL["layout"]["hoverlabel"]["font"]["color"] = "#1c2430"


def colour_of(place: int) -> str:
    """Return the colour of the variant at `place`; the same variant keeps its colour in every figure of a report."""
    return COLOURS[place % len(COLOURS)]


def finish(figure: go.Figure, name: str, description: str, table: Table, height: int) -> go.Figure:
    """Give `figure` the common look, an accessible name, a description and its data as a table."""
    figure.update_layout(
        template=NEUTRAL,
        title={"text": label(name, 90), "y": 0.98, "yanchor": "top"},
        height=height,
        margin={"l": 8, "r": 24, "t": 84, "b": 48},
        meta={"name": name, "description": description, "columns": list(table.columns), "rows": _plain_rows(table)},
    )
    return figure


def note(figure: go.Figure, text: str) -> None:
    """Say in the middle of an empty figure why it is empty."""
    figure.add_annotation(text=label(text, 120), xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)


def row_height(rows: Sequence[object], each: int = 34) -> int:
    """Return the height of a figure with one line per row, in pixels."""
    return 150 + each * max(2, len(rows))


def _plain_rows(table: Table) -> list[list[str]]:
    return [list(row) for row in table.rows]
