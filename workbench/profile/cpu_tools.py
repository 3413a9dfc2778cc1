"""The tools that tell time by line: the workbench's own sampler, and others that watch a child process."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import write_text
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


def write_formats(profile: Profile, folder: Path, tool: str) -> None:
    """Write a profile of another process into `folder`, in the formats that do not describe the code of this one.

    The files' names tell the tool; they become artefacts of the profile.
    """
    from workbench.profile.formats import WRITERS

    for writer in WRITERS:
        if writer.in_process:
            continue
        module, _, name = writer.content.partition(":")
        path = writer.path(folder, f"{profile.title.replace('/', '-')}-{profile.kind}.{tool}")
        write_text(path, getattr(importlib.import_module(module), name)(profile))
        profile.artefacts.append(str(path))
