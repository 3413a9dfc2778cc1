"""A series over the nights as a line of a table: inline SVG, named, coloured by the page's style."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from workbench.figures.text import number, plain
from workbench.record import Verdict

WIDTH, HEIGHT, EDGE = 168, 34, 4  # in CSS pixels
_MARKS = {
    Verdict.SLOWER: ("slower", "M0-4L4 3L-4 3Z"),
    Verdict.FASTER: ("faster", "M0 4L4-3L-4-3Z"),
    Verdict.ENVIRONMENT_INVALID: ("environment-invalid", "M-3-3L3 3M-3 3L3-3"),
    Verdict.UNRESOLVED: ("unresolved", "M-3 0A3 3 0 1 0 3 0A3 3 0 1 0-3 0"),
}
"""Shapes beside colours: up is slower, down is faster, a cross is no valid night, a ring is open."""


def sparkline(
    name: str, values: Sequence[float | None], verdicts: Sequence[Verdict | None], unit: str = "ns", least: float = 0.1
) -> str:
    """Return one SVG element of `values`, the oldest first; None leaves a gap. All must be above 0.

    The axis is logarithmic and spans at least the relative change `least`, so that noise of a percent looks flat. The
    accessible name tells first, newest and verdicts; the page shows the data as a table beside it. Source of the form:
    Tufte, Beautiful Evidence (2006), sparklines.
    """
    if len(values) != len(verdicts):
        raise ValueError("one verdict belongs to each value: give None where there is none")
    known = [(place, math.log(value)) for place, value in enumerate(values) if value is not None and value > 0]
    label = html.escape(plain(_label(name, values, verdicts, unit), 400), quote=True)
    head = (
        f'<svg class="wb-spark" role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">'
    )
    if not known:
        return f"{head}</svg>"
    low, high = min(value for _, value in known), max(value for _, value in known)
    spare = max(0.0, math.log1p(least) - (high - low)) / 2
    low, high = low - spare, high + spare
    step = (WIDTH - 2 * EDGE) / max(1, len(values) - 1)
    at = {
        place: (EDGE + place * step, HEIGHT - EDGE - (value - low) / (high - low) * (HEIGHT - 2 * EDGE))
        for place, value in known
    }
    line, pen = "", "M"
    for place in range(len(values)):
        if place in at:
            line, pen = line + f"{pen}{at[place][0]:.0f} {at[place][1]:.1f}", "L"
        else:
            pen = "M"
    marks = "".join(_mark(at[place], verdicts[place]) for place in at)
    last_x, last_y = at[known[-1][0]]
    return f'{head}<path class="line" d="{line}"/><circle cx="{last_x:.0f}" cy="{last_y:.1f}" r="2"/>{marks}</svg>'


def _mark(at: tuple[float, float], verdict: Verdict | None) -> str:
    if verdict not in _MARKS:
        return ""
    css, shape = _MARKS[verdict]
    return f'<path class="{css}" transform="translate({at[0]:.0f} {at[1]:.1f})" d="{shape}"/>'


def _label(name: str, values: Sequence[float | None], verdicts: Sequence[Verdict | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return f"{name}: no value yet"
    told = f"{name}, {len(known)} {'night' if len(known) == 1 else 'nights'}: "
    told += f"{number(known[0], unit)} to {number(known[-1], unit)}"
    if len(known) > 2:
        told += f", between {number(min(known), unit)} and {number(max(known), unit)}"
    counts = {verdict: sum(each is verdict for each in verdicts) for verdict in _MARKS}
    marked = ", ".join(f"{verdict.value.lower()} in {count}" for verdict, count in counts.items() if count)
    return f"{told}; {marked}" if marked else told
