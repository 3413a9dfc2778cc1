"""Flame graphs: where the time goes by chain of calls, inlined ones included, and how it differs between two profiles.

Source of the idea: Brendan Gregg, "The Flame Graph", CACM 59(6), 2016; differential ones by the same author. Here the
root is on top, as in icicles, each function's box stands above those of its lines, and the table has the boxes' data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, plain
from workbench.figures.theme import COLOURS, finish, note

LEAST_SHARE = 0.002  # narrower boxes cannot be read, nor clicked
MOST_BOXES = 600
TABLE_ROWS = 80
_ROW_PX = 25
_ROW_CHARACTERS = 150  # in a box over the whole width of a report's page
_SAYS = 16  # characters of source below which it is better left out
_TEXT_PX = 11  # smaller is not readable: a box that is too narrow for it has no text until it is widened
_DARK_TEXT, _LIGHT_TEXT = "#1c2430", "#ffffff"
_ROOT, _ROOT_TEXT = "#8a94a0", "#10151c"
_LESS, _SAME, _MORE = (47, 125, 209), (214, 218, 224), (210, 73, 31)
_FULL_CHANGE = 0.10  # of all time: a change of ten percentage points has the strongest colour


class FlameFrame(Protocol):
    """A line of source and the function it stands in; no line is 0."""

    @property
    def function(self) -> str: ...  # noqa: D102
    @property
    def file(self) -> str: ...  # noqa: D102
    @property
    def line(self) -> int: ...  # noqa: D102


class Stacked(Protocol):
    """What a figure needs to know of a profile: `stacks` has the counter `main` by chain of calls, outermost first."""

    title: str
    main: str
    stacks: Any  # dict of tuples of frames
    counters: Any  # dict of lines, used where there are no stacks, as in a profile that was read from a record
    sources: Any  # file: its lines


@dataclass
class Box:
    """One box: a function, or a line of the function above it. `amount` is all of it, `own` what no box below has."""

    name: str
    place: str  # file:line; empty for a function
    source: str = ""
    amount: float = 0.0
    own: float = 0.0
    below: dict[tuple[str, str], Box] = field(default_factory=dict)


def flame(profile: Stacked, name: str = "") -> go.Figure:
    """Return the flame graph of `profile`: compiled code by function and source line.

    A click on a box widens it, one on the top box goes back. Boxes of less than 0.2 % are left out.
    """
    root = tree_of(profile)
    figure = go.Figure()
    boxes = _boxes(root, LEAST_SHARE)
    if root.amount:
        colours = _function_colours(root)
        _draw(
            figure,
            boxes,
            root.amount,
            [_plain_colour(box, root, colours) for _, _, box, _ in boxes],
            _hovers(boxes, root),
        )
    else:
        note(figure, "no sample fell on compiled code")
    rows = tuple(_row(box, depth, root.amount) for _, _, box, depth in _by_amount(boxes[1:])[:TABLE_ROWS])
    columns = ("depth", "function", "line", "share", "share of its own", "source")
    description = (
        "Each box is as wide as its share of the time: a function in a strong colour, its lines below in a pale one, "
        "below a line what it calls, inlined calls too. What nothing below covers is a box's own time."
    )
    height = 110 + _ROW_PX * (1 + max((depth for *_, depth in boxes), default=0))
    return finish(figure, name or f"{profile.title}: time by call and line", description, Table(columns, rows), height)


def differential_flame(before: Stacked, after: Stacked, name: str = "") -> go.Figure:
    """Return the flame graph of what changed from `before` to `after`, by function.

    Functions match by their names along the chain of calls: lines of two variants differ, their functions keep their
    names. A box is as wide as the mean of its two shares, so that what vanished is there too.
    """
    left, right = tree_of(before, lines=False), tree_of(after, lines=False)
    figure = go.Figure()
    rows: tuple[tuple[str, ...], ...] = ()
    boxes: list[tuple[str, str, Box, int]] = []
    if left.amount and right.amount:
        union, changes = _union(left, right, f"{before.title} → {after.title}")
        boxes = _boxes(union, LEAST_SHARE)
        colours = [(_mixed(changes[id(box)][1] - changes[id(box)][0]), _DARK_TEXT) for _, _, box, _ in boxes]
        _draw(figure, boxes, union.amount, colours, [_change_words(box, changes) for _, _, box, _ in boxes])
        ranked = sorted(boxes[1:], key=lambda each: -abs(changes[id(each[2])][1] - changes[id(each[2])][0]))
        rows = tuple(_change_row(box, depth, changes) for _, _, box, depth in ranked[:TABLE_ROWS])
    else:
        note(figure, "one of the two has no samples in compiled code")
    columns = ("depth", "function", "share before", "share after", "change")
    description = (
        "Red takes a larger share of the time than before, blue a smaller one, grey the same; ten percentage points "
        "have the full colour. A box is as wide as the mean of both shares. Shares say nothing of the whole."
    )
    height = 110 + _ROW_PX * (1 + max((depth for *_, depth in boxes), default=0))
    told = name or f"{before.title} → {after.title}: change of share"
    return finish(figure, told, description, Table(columns, rows), height)


def tree_of(profile: Stacked, *, lines: bool = True) -> Box:
    """Return the boxes of `profile` under one root; with `lines`, each function's box holds boxes of its lines."""
    root = Box(profile.title, "")
    stacks: Mapping[tuple[FlameFrame, ...], float] = profile.stacks or {
        (line,): counters.get(profile.main, 0.0) for line, counters in profile.counters.items()
    }
    for stack, amount in stacks.items():
        here = root
        here.amount += amount
        for frame in stack:
            if here.name != frame.function or here.place or here is root:
                here = _under(here, frame.function, "")
                here.amount += amount
            if lines and frame.line:
                here = _under(
                    here, frame.function, f"{frame.file.rpartition('/')[2]}:{frame.line}", _source(profile, frame)
                )
                here.amount += amount
        here.own += amount
    return root


def _under(box: Box, name: str, place: str, source: str = "") -> Box:
    return box.below.setdefault((name, place), Box(name, place, source))


def _source(profile: Stacked, frame: FlameFrame) -> str:
    text = profile.sources.get(frame.file, [])
    return str(text[frame.line - 1]).strip() if 0 < frame.line <= len(text) else ""


def _boxes(root: Box, least_share: float) -> list[tuple[str, str, Box, int]]:
    """Return (id, id of the box above, box, depth) of what is wide enough, the root first, at most `MOST_BOXES`."""
    found: list[tuple[str, str, Box, int]] = [("0", "", root, 0)]
    at = 0
    while at < len(found) and len(found) < MOST_BOXES:
        identifier, _, box, depth = found[at]
        at += 1
        for below in sorted(box.below.values(), key=lambda each: -each.amount):
            if root.amount and below.amount >= least_share * root.amount and len(found) < MOST_BOXES:
                found.append((str(len(found)), identifier, below, depth + 1))
    return found


def _by_amount(boxes: list[tuple[str, str, Box, int]]) -> list[tuple[str, str, Box, int]]:
    return sorted(boxes, key=lambda each: -each[2].amount)


def _draw(
    figure: go.Figure,
    boxes: list[tuple[str, str, Box, int]],
    total: float,
    colours: list[tuple[str, str]],
    hovers: list[str],
) -> None:
    figure.add_trace(
        go.Icicle(
            ids=[identifier for identifier, *_ in boxes],
            parents=[above for _, above, *_ in boxes],
            labels=[_label(box, box.amount / total) for _, _, box, _ in boxes],
            values=[box.amount / total for _, _, box, _ in boxes],
            branchvalues="total",
            sort=False,
            tiling={"orientation": "v", "pad": 1},
            pathbar={"visible": False},
            leaf={"opacity": 1},
            marker={"colors": [colour for colour, _ in colours], "line": {"width": 0}},
            textfont={"color": [text for _, text in colours], "size": _TEXT_PX},
            textposition="middle left",
            texttemplate="%{label}",
            hovertext=hovers,
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    figure.update_layout(uniformtext={"minsize": _TEXT_PX, "mode": "hide"})


def _label(box: Box, share: float) -> str:
    """Return what stands in a box: of a line also as much of its source as there is room for, if that says a thing."""
    short, room = box.place or box.name, int(share * _ROW_CHARACTERS)
    return label(f"{short}  {box.source}", room) if box.source and room >= len(short) + _SAYS else label(short, 110)


def _function_colours(root: Box) -> dict[str, str]:
    """Return a colour for each function, those with most time of their own first."""
    own: dict[str, float] = {}
    waiting = list(root.below.values())  # a function may have the name of the whole
    while waiting:
        box = waiting.pop()
        waiting += box.below.values()
        own[box.name] = own.get(box.name, 0.0) + box.own
    ranked = sorted(own, key=lambda name: (-own[name], name))
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(ranked)}


def _plain_colour(box: Box, root: Box, colours: Mapping[str, str]) -> tuple[str, str]:
    """Return the colours of a box and of its text, which is readable on it whatever the page's colours are."""
    if box is root:
        return _ROOT, _ROOT_TEXT
    colour = colours[box.name]
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    if box.place:
        return _rgb(*(round(255 - 0.35 * (255 - part)) for part in (red, green, blue))), _DARK_TEXT
    return _rgb(*(round(0.72 * part) for part in (red, green, blue))), _LIGHT_TEXT


def _hovers(boxes: list[tuple[str, str, Box, int]], root: Box) -> list[str]:
    return [
        f"<b>{label(box.name, 60)}</b> {label(box.place, 60)}<br>{label(box.source, 110)}<br>"
        f"{100 * box.amount / root.amount:.1f} %, of its own {100 * box.own / root.amount:.1f} %"
        for _, _, box, _ in boxes
    ]


def _row(box: Box, depth: int, total: float) -> tuple[str, ...]:
    return (
        str(depth),
        plain(box.name, 60),
        box.place,
        f"{100 * box.amount / total:.1f} %",
        f"{100 * box.own / total:.1f} %" if box.own else "",
        plain(box.source, 110),
    )


def _union(left: Box, right: Box, title: str) -> tuple[Box, dict[int, tuple[float, float]]]:
    """Return boxes of the mean share of both trees, and by box (its id) the two shares."""
    changes: dict[int, tuple[float, float]] = {}

    def join(name: str, place: str, a: Box | None, b: Box | None) -> Box:
        shares = (a.amount / left.amount if a else 0.0), (b.amount / right.amount if b else 0.0)
        box = Box(name, place, "", sum(shares) / 2)
        changes[id(box)] = shares
        below = {**(a.below if a else {}), **(b.below if b else {})}
        for key in below:
            box.below[key] = join(*key, a.below.get(key) if a else None, b.below.get(key) if b else None)
        box.own = box.amount - sum(each.amount for each in box.below.values())
        return box

    return join(title, "", left, right), changes


def _mixed(change: float) -> str:
    """Return the colour of a change of share: from grey to red for more, to blue for less."""
    strength = min(1.0, abs(change) / _FULL_CHANGE)
    end = _MORE if change > 0 else _LESS
    pale = tuple(255 - 0.75 * (255 - part) for part in end)  # so that dark text stays readable on it
    return _rgb(*(round(a + strength * (b - a)) for a, b in zip(_SAME, pale, strict=True)))


def _change_words(box: Box, changes: Mapping[int, tuple[float, float]]) -> str:
    before, after = changes[id(box)]
    return f"<b>{label(box.name, 60)}</b><br>{100 * before:.1f} % → {100 * after:.1f} %"


def _change_row(box: Box, depth: int, changes: Mapping[int, tuple[float, float]]) -> tuple[str, ...]:
    before, after = changes[id(box)]
    change = f"{100 * (after - before):+.1f} points".replace("-", "\N{MINUS SIGN}")
    return str(depth), plain(box.name, 60), f"{100 * before:.1f} %", f"{100 * after:.1f} %", change


def _rgb(red: int, green: int, blue: int) -> str:
    return f"#{red:02x}{green:02x}{blue:02x}"
