"""The JSON of https://www.speedscope.app (file format schema of 2019): drop the file onto the page, it stays local."""

from __future__ import annotations

import json
from typing import Any

from workbench.codemap.lines import Frame
from workbench.profile.counted import Counted
from workbench.profile.formats.collapsed import frame_name, stacks_of

UNITS = {"_ns": "nanoseconds", "_us": "microseconds", "_ms": "milliseconds", "_s": "seconds", "bytes": "bytes"}
"""The units that the page knows, by how the name of a counter ends; all others are plain numbers to it."""

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(profile: Counted) -> str:
    """Return `profile` as a sampled profile; its weights are the main counter, in its own unit."""
    stacks = [(stack, amount) for stack, amount in stacks_of(profile).items() if amount]
    stacks += [((Frame(f"[{name}]", "", 0),), amount) for name, amount in profile.outside.items() if amount]
    numbers: dict[Frame, int] = {}
    frames: list[dict[str, Any]] = []
    for stack, _ in stacks:
        for frame in stack:
            if frame not in numbers:
                numbers[frame] = len(frames)
                place = {"file": frame.file, "line": frame.line} if frame.line else {}
                frames.append({"name": frame_name(frame), **place})
    weights = [amount for _, amount in stacks]
    return json.dumps(
        {
            "$schema": SCHEMA,
            "exporter": "kernel-workbench",
            "name": profile.title,
            "activeProfileIndex": 0,
            "shared": {"frames": frames},
            "profiles": [
                {
                    "type": "sampled",
                    "name": f"{profile.title}: {profile.main}",
                    "unit": next((unit for end, unit in UNITS.items() if profile.main.endswith(end)), "none"),
                    "startValue": 0,
                    "endValue": sum(weights),
                    "samples": [[numbers[frame] for frame in stack] for stack, _ in stacks],
                    "weights": weights,
                }
            ],
        }
    )
