"""Plotly figures as HTML that needs nothing from outside: a named figure, its data for the script, and a table.

nbconvert drops plotly's mime type, the only one that plotly emits in a Jupyter kernel; so figures become text/html
before it runs.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from workbench.figures.table import figure_name, figure_table
from workbench.figures.text import plain
from workbench.figures.theme import CONFIG, DARK, LIGHT

MIME = "application/vnd.plotly.v1+json"


def script_json(value: Any) -> str:
    """Return `value` as JSON that may stand inside a ``<script>``: no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def figure_html(figure: Mapping[str, Any], identifier: str) -> str:
    """Return the HTML of a figure in plotly's JSON form. The page's script draws it; the table reads without one."""
    known = go.Figure(data=figure.get("data", ()), layout=figure.get("layout", {}), skip_invalid=True)
    name, description = figure_name(known)
    height = int(known.layout.height or 450)
    specification = {"data": figure.get("data", []), "layout": _page_layout(figure.get("layout", {}))}
    return (
        f'<figure class="wb-figure" role="group" aria-label="{html.escape(plain(name, 200))}">'
        f'<figcaption><span class="wb-name">{html.escape(plain(name, 200))}</span> '
        f'<span class="wb-how">{html.escape(description)}</span></figcaption>'
        f'<div id="{identifier}" class="wb-plot" role="img" style="height:{height - 40}px" '
        f'aria-label="{html.escape(plain(name, 200))}. {html.escape(description)}"></div>'
        f'<script type="{MIME}" data-plot="{identifier}">{script_json(specification)}</script>'
        f"{_table_html(known)}</figure>"
    )


def _page_layout(layout: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the name to the caption and the colours to the page; the table goes below."""
    kept = {key: value for key, value in layout.items() if key not in ("title", "template", "meta", "height", "width")}
    margin = dict(kept.get("margin") or {})
    kept["margin"] = {**margin, "t": max(24, int(margin.get("t", 84)) - 40)}
    return kept


def _table_html(figure: go.Figure) -> str:
    table = figure_table(figure)
    if not table.rows:
        return ""
    head = "".join(f'<th scope="col">{html.escape(plain(column, 80))}</th>' for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(plain(cell, 200))}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return (
        '<details class="wb-data"><summary>Data of this figure</summary><div class="wb-scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def replace_figures(notebook: Any) -> int:
    """Turn plotly's outputs in `notebook` into HTML, in place; return how many there were."""
    number = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if MIME in data:
                number += 1
                output["data"] = {"text/html": figure_html(data[MIME], f"plot-{number}")}
    return number


def page_scripts(script: str, shared: str | None = None) -> str:
    """Return plotly.js and the page's `script` with its settings, for a page that has figures.

    `shared` is the address of a copy of plotly.js beside the page; None: the page holds it.
    """
    from plotly.offline import get_plotlyjs

    settings = script_json({"light": LIGHT, "dark": DARK, "config": CONFIG})
    first = f'<script src="{html.escape(shared)}"></script>' if shared else f"<script>{get_plotlyjs()}</script>"
    return f"{first}\n<script>const WORKBENCH = {settings};\n{script}</script>"
