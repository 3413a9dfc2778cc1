"""The tools that tell time by line: the workbench's own sampler, and others that watch a child process."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.profile.profile import Profile

OWN = "sampler"
TOOLS = {
    OWN: "workbench.profile.cpu:profile_cpu",
    "py-spy": "workbench.profile.pyspy:profile_pyspy",
    "scalene": "workbench.profile.scalene:profile_scalene",
    "perf": "workbench.profile.perf:profile_perf",
}


def profile_with(tool: str, subject: Any, *arguments: Any, keep: Path | None = None, **options: Any) -> Profile:
    """Profile the time of a variant or a function with `tool`, one of `TOOLS`.

    `keep` is a folder for the tool's own files; `options` go to its profiler: `seconds`, `rate_per_s` (not scalene),
    `clock` (the sampler), `workload`, the kernel's parameters. Raises InputError for a tool that is not known and for
    what cannot be profiled, WorkbenchError where the tool is absent or fails.
    """
    if tool not in TOOLS:
        raise InputError(f"there is no tool {tool!r}: take one of {', '.join(TOOLS)}")
    module, _, name = TOOLS[tool].partition(":")
    if tool != OWN:
        options["keep"] = keep
    found: Profile = getattr(importlib.import_module(module), name)(subject, *arguments, **options)
    if tool != OWN:
        found.notes.insert(0, f"taken with {tool}, which watched a child process")
    return found
