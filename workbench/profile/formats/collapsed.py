"""Collapsed stacks, one a line: ``frame;frame count``. For flamegraph.pl, inferno, speedscope and many others.

Source: Brendan Gregg, https://github.com/brendangregg/FlameGraph.
"""

from __future__ import annotations

from pathlib import Path

from workbench.codemap.lines import Frame
from workbench.profile.counted import Counted


def collapsed(profile: Counted) -> str:
    """Return the stacks of `profile` by file and line, outermost first, and what is outside as stacks of one frame."""
    rows = [(";".join(map(frame_name, stack)), amount) for stack, amount in profile.stacks.items()]
    rows += [(f"[{name}]".replace(";", ":"), amount) for name, amount in profile.outside.items()]
    return "".join(f"{name} {amount:.0f}\n" for name, amount in sorted(rows) if round(amount))


def frame_name(frame: Frame) -> str:
    """Return a frame as ``function (file:line)``, without the separators of the format."""
    place = f" ({Path(frame.file).name}:{frame.line})" if frame.line else ""
    return f"{frame.function}{place}".replace(";", ":").replace("\n", " ")
