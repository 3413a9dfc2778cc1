"""A profile in the formats of other people's viewers, one file each; `WRITERS` lists those that a folder is given.

A further format is one file here and one row below. The commands know only `begin` and `write_all`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.files import write_bytes
from workbench.profile.counted import Counted


@dataclass(frozen=True)
class Writer:
    """One format. `content` names ``module:function``, which takes the profile and returns text or bytes."""

    name: str
    opens_in: str
    file_name: str  # with {stem}, the profile's title and kind, and {pid}, this process
    content: str
    in_process: bool = False  # it describes the machine code of this process: for samples that were taken in it
    begins: str = ""  # ``module:function``, which takes the file before anything is compiled
    ends: str = ""  # ``module:function``, which takes the finished file, and does not write to it

    def fits(self, profile: Counted) -> bool:
        """Return whether there is something of `profile` that this format can hold."""
        return profile.kind == "cpu" if self.in_process else True

    def path(self, folder: Path, stem: str = "") -> Path:
        """Return the file that this format has in `folder`."""
        return folder / self.file_name.format(stem=stem, pid=os.getpid())


WRITERS = (
    Writer("annotated", "a browser", "{stem}.html", "workbench.profile.annotated:page"),
    Writer("speedscope", "speedscope.app", "{stem}.speedscope.json", "workbench.profile.formats.speedscope:speedscope"),
    Writer(
        "collapsed",
        "flamegraph.pl, inferno, speedscope",
        "{stem}.collapsed.txt",
        "workbench.profile.formats.collapsed:collapsed",
    ),
    Writer(
        "chrome trace",
        "ui.perfetto.dev, about:tracing",
        "{stem}.trace.json",
        "workbench.profile.formats.chrome_trace:chrome_trace",
    ),
    Writer(
        "perf map",
        "perf report, from /tmp",
        "perf-{pid}.map",
        "workbench.profile.formats.perf_map:perf_map",
        in_process=True,
    ),
    Writer(
        "jitdump",
        "perf inject --jit",
        "jit-{pid}.dump",
        "workbench.profile.formats.jitdump:jitdump",
        in_process=True,
        begins="workbench.profile.formats.jitdump:announce",
        ends="workbench.profile.formats.jitdump:show",
    ),
)


def begin(folder: Path) -> None:
    """Do what has to be done before anything is compiled: some formats tell a tool where their file will be."""
    for writer in WRITERS:
        if writer.begins:
            _load(writer.begins)(writer.path(folder))


def write_all(profile: Counted, folder: Path, *, tool: str = "", before: Sequence[Counted] = ()) -> list[Path]:
    """Write `profile` in every format that fits it into `folder`; they become its artefacts. Returns the files.

    `tool` names another program that took it from a process of its own: it stands in the files' names, and formats that
    describe the machine code of this process are left out. `before` are profiles of this process that `folder` has
    already: those formats have one file for a process, which then tells the lines of them all.
    """
    stem = f"{profile.title.replace('/', '-')}-{profile.kind}{'.' if tool else ''}{tool}"
    written = []
    for writer in WRITERS:
        if not writer.fits(profile) or (writer.in_process and tool):
            continue
        content = _load(writer.content)(_together(profile, before) if writer.in_process else profile)
        path = writer.path(folder, stem)
        write_bytes(path, content.encode() if isinstance(content, str) else content)
        if writer.ends:
            _load(writer.ends)(path)
        written.append(path)
    profile.artefacts += [str(path) for path in written]
    return written


def _together(profile: Counted, before: Sequence[Counted]) -> Counted:
    """Return what tells which functions any of the profiles has seen; its amounts tell nothing."""
    seen = Counted(profile.title, profile.kind, profile.main)
    for each in (*before, profile):
        seen.counters.update(each.counters)
        seen.stacks.update(each.stacks)
    return seen


def _load(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
