"""The JSON of Chrome's about:tracing, which https://ui.perfetto.dev also opens; both keep the file on the machine.

Format: "Trace Event Format", catapult's trace viewer: complete events (``"ph": "X"``), times in microseconds.
"""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

from workbench.codemap.lines import Frame
from workbench.profile.counted import Counted
from workbench.profile.formats.collapsed import frame_name, stacks_of

PROCESS, COMPILED, OUTSIDE = 1, 1, 2  # numbers of the rows that the viewers draw


def chrome_trace(profile: Counted) -> str:
    """Return `profile` as nested slices: a slice is as long as what was counted inside its frame.

    Samples of time are drawn as time, one over the rate each; other counters as one microsecond each. The slices stand
    in the order of their weight, not in that of events: a profile has forgotten when they happened, and says so.
    """
    rate_per_s = profile.overhead.get("rate_per_s", 0.0)
    us_each = 1e6 / rate_per_s if profile.main == "samples" and rate_per_s else 1.0
    events = [
        _named("process_name", 0, f"{profile.title}: {profile.main}, sorted by weight and not by time"),
        _named("thread_name", COMPILED, "compiled code"),
        _named("thread_name", OUTSIDE, "outside compiled code"),
    ]
    events += _nested(stacks_of(profile), 0.0, us_each, profile.main)
    outside = sorted(profile.outside.items(), key=lambda item: -item[1])
    ends = accumulate(amount for _, amount in outside)
    for (name, amount), end in zip(outside, ends, strict=True):
        begin_us = (end - amount) * us_each
        events.append(_slice(f"[{name}]", OUTSIDE, begin_us, amount * us_each, {profile.main: amount}))
    return json.dumps(
        {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"exporter": "kernel-workbench", "title": profile.title, "notes": list(profile.notes)},
        }
    )


def _nested(
    stacks: dict[tuple[Frame, ...], float], begin_us: float, us_each: float, counter: str
) -> list[dict[str, Any]]:
    """Return a slice for each first frame of `stacks`, the largest first, with the slices of the frames inside it."""
    inside: dict[Frame, dict[tuple[Frame, ...], float]] = {}
    for stack, amount in stacks.items():
        if stack and amount > 0:
            rest = inside.setdefault(stack[0], {})
            rest[stack[1:]] = rest.get(stack[1:], 0.0) + amount
    events = []
    for frame, rest in sorted(inside.items(), key=lambda item: -sum(item[1].values())):
        amount = sum(rest.values())
        told = {counter: amount, "own": rest.get((), 0.0), "file": frame.file, "line": frame.line}
        events.append(_slice(frame_name(frame), COMPILED, begin_us, amount * us_each, told))
        events += _nested(rest, begin_us, us_each, counter)
        begin_us += amount * us_each
    return events


def _slice(name: str, row: int, begin_us: float, long_us: float, told: dict[str, Any]) -> dict[str, Any]:
    place = {"pid": PROCESS, "tid": row, "ts": begin_us, "dur": long_us}
    return {"name": name, "cat": "profile", "ph": "X", **place, "args": told}


def _named(what: str, row: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": PROCESS, "tid": row, "args": {"name": name}}
