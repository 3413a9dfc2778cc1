"""Collapsed stacks, one a line: ``frame;frame count``. For flamegraph.pl, inferno, speedscope and many others.

Source: Brendan Gregg, https://github.com/brendangregg/FlameGraph.
"""

from __future__ import annotations

from pathlib import Path

from workbench.codemap.lines import Frame
from workbench.profile.counted import Counted


def collapsed(profile: Counted) -> str:
    """Return the stacks of `profile` by file and line, outermost first, and what is outside as stacks of one frame."""
    rows = [(";".join(map(frame_name, stack)), amount) for stack, amount in stacks_of(profile).items()]
    rows += [(f"[{name}]".replace(";", ":"), amount) for name, amount in profile.outside.items()]
    return "".join(f"{name} {amount:.0f}\n" for name, amount in sorted(rows) if round(amount))


def stacks_of(profile: Counted) -> dict[tuple[Frame, ...], float]:
    """Return the main counter by stack; where a tool knows no stacks, each line is a stack of its own."""
    if profile.stacks:
        return profile.stacks
    found: dict[tuple[Frame, ...], float] = {}
    for line, counters in profile.counters.items():
        stack = (Frame(*line),)
        found[stack] = found.get(stack, 0.0) + counters.get(profile.main, 0.0)
    return found


def frame_name(frame: Frame) -> str:
    """Return a frame as ``function (file:line)``, without the separators of the format."""
    place = f" ({Path(frame.file).name}:{frame.line})" if frame.line else ""
    return f"{frame.function}{place}".replace(";", ":").replace("\n", " ")
