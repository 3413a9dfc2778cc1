"""Two profiles side by side as static HTML that survives saving, papermill and export, and as plain text.

Inline styles only, no script and no class names, as in `annotated`, whose colours and columns these are.
"""

from __future__ import annotations

import html as escaping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.profile.differences import Differences, Pair, Side

SHOWN = ("time_ns", "instructions", "d1_misses", "ll_misses", "d1_bytes_unused", "branch_misses", "atomics")
"""The counters that are shown, at most three of those that there are: two sources must fit beside each other."""
MOST_COLUMNS = 3
MOST_ROWS = 60

_TEXT, _MUTED = "light-dark(#1f2328,#e6edf3)", "light-dark(#59636e,#9198a1)"
_RULE, _BAND = "light-dark(#d1d9e0,#3d444d)", "light-dark(#f6f8fa,#151b23)"
_MORE, _LESS = (
    "light-dark(rgba(207,34,46,{0}),rgba(248,81,73,{0}))",
    "light-dark(rgba(26,127,55,{0}),rgba(63,185,80,{0}))",
)
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px"
_CELL = f"padding:0 8px;{_MONO};color:{_TEXT};vertical-align:top;border:0"
_HEAD = f"padding:2px 8px;font-weight:600;color:{_MUTED};border:0;border-bottom:1px solid {_RULE}"
_TABLE = f"border-collapse:collapse;table-layout:auto;margin:8px 0;width:100%;background:none;border:0;{_MONO}"
_PRE = f"margin:0;white-space:pre-wrap;{_MONO};color:{_TEXT};background:none;border:0;padding:0"
_WIDTH_HEAD = f'<th scope="col" style="{_HEAD}">width</th>'
_LABELS = {
    "time_ns": "time",
    "share_percent": "share",
    "d1_misses": "L1 misses",
    "ll_misses": "LL misses",
    "d1_bytes_unused": "L1 bytes unused",
    "branch_misses": "mispredicted",
}


def differences_html(found: Differences) -> str:
    """Return `found` as one HTML fragment: A on the left, B on the right, what changed between them in the middle."""
    names = _columns(found)
    widest = max((abs(pair.change(found.main)) for pair in found.pairs), default=0.0)
    wide = any(side.width for pair in found.pairs for side in (pair.a, pair.b) if side)
    body, function = [], None
    for pair in _shown(found):
        if pair.function != function:
            function = pair.function
            span = 2 * (len(names) + 2 + wide) + 1
            body.append(
                f'<tr style="background:{_BAND};border:0"><th colspan="{span}" scope="rowgroup" '
                f'style="{_HEAD};text-align:left">{_e(function or "compiled code without lines")}</th></tr>'
            )
        body.append(_row(pair, names, found.main, widest, wide))
    labels = "".join(f'<th scope="col" style="{_HEAD};text-align:right">{_e(label(name))}</th>' for name in names)
    side = f'<th scope="col" style="{_HEAD};text-align:right">line</th>{labels}' + _WIDTH_HEAD * wide
    source = f'<th scope="col" style="{_HEAD};text-align:left;width:40%;min-width:18ch">{{0}}</th>'
    middle = f'<th scope="col" style="{_HEAD};text-align:right">B − A</th>'
    head = f"{side}{source.format(_e(found.a))}{middle}{side}{source.format(_e(found.b))}"
    return (
        f'<div style="color:{_TEXT};font-family:system-ui,sans-serif;font-size:13px;line-height:1.45">'
        f'<p style="margin:4px 0"><strong>{_e(found.b)} against {_e(found.a)}</strong> '
        f'<span style="color:{_MUTED}">{_e(_headline(found, names))}</span></p>'
        f'<div style="overflow-x:auto"><table style="{_TABLE}"><thead><tr style="background:none;border:0">{head}</tr>'
        f"</thead><tbody>{''.join(body)}</tbody></table></div>"
        + "".join(f'<p style="margin:4px 0;color:{_MUTED}">{_e(note)}</p>' for note in found.notes)
        + "</div>"
    )


def differences_page(found: Differences) -> str:
    """Return `found` as a whole HTML page, light or dark as the reader's system is; it asks for no other file."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f"<title>{_e(found.b)} against {_e(found.a)}</title></head>"
        f'<body style="margin:16px;background:light-dark(#ffffff,#0d1117)">{differences_html(found)}</body></html>\n'
    )


def differences_text(found: Differences, count: int = 20) -> str:
    """Return the lines that changed most as plain text."""
    name = label(found.main)
    head = f"{'A ' + name:>14} {'B ' + name:>14} {'B - A':>14}  {'width':<18}  line"
    out = [f"A = {found.a}, B = {found.b}: {_headline(found, _columns(found))}", head]
    for pair in found.top(count):
        before, after = pair.amounts(found.main)
        widths = " → ".join(side.width if side else "none" for side in (pair.a, pair.b))
        cells = [amount(each, found.main) for each in (before, after)]
        change = _signed(pair.change(found.main), found.main)
        out.append(f"{cells[0]:>14} {cells[1]:>14} {change:>14}  {widths:<18}  {pair.function}: {pair.label}".rstrip())
    return "\n".join([*out, *found.notes])


def label(name: str) -> str:
    """Return what a person calls a counter."""
    return _LABELS.get(name, name.replace("_", " "))


def amount(value: float, name: str) -> str:
    """Return an amount with its unit: times in the unit that fits, shares in %, counts whole; nothing for zero."""
    if not value:
        return ""
    if name.endswith("_percent"):
        return f"{value:.3g} %"
    if not name.endswith("_ns"):
        return f"{value:,.0f}"
    for scale, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if abs(value) >= scale:
            return f"{value / scale:,.3g} {unit}" if abs(value) < 1000 * scale else f"{value / scale:,.0f} {unit}"
    return f"{value:.3g} ns"


def _columns(found: Differences) -> list[str]:
    there = [name for name in SHOWN if name in found.counters]
    others = [name for name in there if name != found.main]
    return [found.main, *others][:MOST_COLUMNS]


def _shown(found: Differences) -> list[Pair]:
    """Return the pairs function by function, the function that costs most first, in the order of their source."""
    weight: dict[str, float] = {}
    kept = sorted(found.pairs, key=lambda pair: -max(pair.amounts(found.main)))[:MOST_ROWS]
    for pair in kept:
        weight[pair.function] = weight.get(pair.function, 0.0) + sum(pair.amounts(found.main))
    return sorted(kept, key=lambda pair: (-weight[pair.function], pair.function, _place(pair)))


def _place(pair: Pair) -> int:
    side = pair.b or pair.a
    return side.line.line if side is not None else 0


def _row(pair: Pair, names: list[str], main: str, widest: float, wide: bool) -> str:
    change = pair.change(main)
    part = 100 * abs(change) / widest if widest else 0.0
    colour = (_MORE if change > 0 else _LESS).format(0.35)
    heat = f"background:linear-gradient(to left,{colour} {part:.1f}%,transparent 0)"
    style = f"{_CELL};text-align:right;white-space:nowrap;min-width:72px;{heat}"
    middle = f'<td style="{style}">{_e(_signed(change, main))}</td>'
    return (
        f'<tr style="background:none;border:0">{_cells(pair.a, names, wide)}{middle}{_cells(pair.b, names, wide)}</tr>'
    )


def _cells(side: Side | None, names: list[str], wide: bool) -> str:
    number = f"{_CELL};text-align:right;white-space:nowrap"
    if side is None:
        return f'<td colspan="{len(names) + 2 + wide}" style="{_CELL};color:{_MUTED};background:{_BAND}">not there</td>'
    amounts = "".join(f'<td style="{number}">{amount(side.counters.get(name, 0.0), name)}</td>' for name in names)
    width = f'<td style="{_CELL};white-space:nowrap">{_e(side.width)}</td>' if wide else ""
    return (
        f'<td style="{number};color:{_MUTED}">{side.line.line or ""}</td>{amounts}'
        f"{width}"
        f'<td style="{_CELL};text-align:left"><pre style="{_PRE}">{_e(side.source.expandtabs(4)) or " "}</pre></td>'
    )


def _headline(found: Differences, names: list[str]) -> str:
    told = []
    for name in names:
        before, after = found.totals[name]
        ratio = f" (× {after / before:.3g})" if before else ""
        told.append(f"{label(name)} {amount(before, name) or '0'} → {amount(after, name) or '0'}{ratio}")
    return ", ".join(told)


def _signed(change: float, name: str) -> str:
    if not change:
        return "0"
    return f"{'+' if change > 0 else '−'}{amount(abs(change), name)}"


def _e(value: str) -> str:
    return escaping.escape(value, quote=True)
