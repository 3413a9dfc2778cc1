"""py-spy on a child process: the Python stack and, below it, source lines inside the compiled kernel.

py-spy knows no names for code that was compiled in the process: with ``--native`` it tells the bare address. The child
writes its code map at its end, and the addresses become lines. It traces (ptrace) a process that the workbench started
for this, never the one that asks. Source of the format: py-spy's README, "raw", the collapsed stacks of flamegraph.pl.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import abilities
from workbench.abilities.ability import tool
from workbench.codemap.lines import Frame, own_frames, short_name
from workbench.errors import InputError, WorkbenchError
from workbench.profile.attribute import _WRAPPERS, read_sources
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.profile.watched import ALONE_PART, Child, Watcher, keep_files, state_overhead
from workbench.profile.watched_child import run_watched
from workbench.profile.watched_job import job_of
from workbench.profile.written_map import WrittenMap

RATE_PER_S = 100.0  # each sample stops the process for some ms while its native stack is read
_JIT = re.compile(r"^0x([0-9a-f]+) \(\?\)$")
_PLACE = re.compile(r"^(?P<name>.*) \((?P<file>[^()]*):(?P<line>\d+)\)$")
_LIBRARY = re.compile(r"^(?P<name>.*) \((?P<library>[^()]+)\)$")
_OUR_CALLERS = ("workbench/profile/", "kernels/catalog.py", "kernels/crew.py")  # what stands between child and kernel


@dataclass(frozen=True)
class RawFrame:
    """One frame as py-spy tells it: a line of Python, a library's function, or an address without a name."""

    name: str
    file: str = ""  # of Python
    line: int = 0
    library: str = ""  # of native code
    address: int = 0  # of code without a file


def profile_pyspy(
    subject: Any,
    *arguments: Any,
    seconds: float = 5.0,
    rate_per_s: float = RATE_PER_S,
    workload: Any = None,
    keep: Path | None = None,
    **parameters: int,
) -> Profile:
    """Return the time by line of a variant or a function, as py-spy samples it in a child process.

    `subject` and `arguments` are those of `workbench.profile`; a variant that is not compiled and a plain Python
    function of a module can be given too. `keep` is a folder for py-spy's own file. Raises InputError for what cannot
    be watched, WorkbenchError when py-spy is absent or may not trace.
    """
    ability = abilities.ptrace()
    if not ability.works:
        raise WorkbenchError(f"{ability.reason}: use {ability.fallback} instead")
    if not 1 <= rate_per_s <= 1000 or not 0 < seconds <= 3600:
        raise InputError("py-spy takes 1 .. 1000 samples/s for at most 3600 s")
    job = job_of(subject, *arguments, workload=workload, **parameters)
    with Child(job) as child:
        raw = child.folder / "py-spy.raw.txt"
        alone = [child.run(ALONE_PART * seconds)]
        command = _command(raw, child.pid, rate_per_s)
        watcher = Watcher(command, child.folder / "py-spy.log", lambda spy: "Sampling process" in spy.told())
        with watcher:
            watched = child.run(seconds)
        alone.append(child.run(ALONE_PART * seconds))
        child.finish()
        if not raw.is_file():
            raise WorkbenchError(f"{job.title}: py-spy wrote no samples ({watcher.told().strip()[-200:]})")
        profile = profile_of(read_raw(raw.read_text(errors="replace")), child.code_map(), job.title)
        profile.overhead |= {"samples": profile.total + sum(profile.outside.values()), "rate_per_s": rate_per_s}
        state_overhead(profile, "py-spy", alone, watched, watcher.cpu_s)
        behind = watcher.told().count("behind in sampling")
        if behind:
            profile.notes.append(f"py-spy fell behind its rate {behind} times: fewer samples a second would be fairer")
        keep_files(profile, {raw: f"{job.title.replace('/', '-')}.py-spy.raw.txt"}, keep)
    return profile


def _command(raw: Path, pid: int, rate_per_s: float) -> list[str]:
    found = tool("py-spy") or "py-spy"
    options = ["--native", "--full-filenames", "--format", "raw", "--rate", f"{rate_per_s:.0f}"]
    return [found, "record", *options, "--output", str(raw), "--pid", str(pid)]


def read_raw(text: str) -> list[tuple[tuple[RawFrame, ...], int]]:
    """Return the stacks, outermost frame first, and their samples. Raises WorkbenchError for another format."""
    found = []
    for number, row in enumerate(text.splitlines(), 1):
        stack, mark, count = row.rpartition(" ")
        if not mark or not count.isdecimal():
            raise WorkbenchError(f"line {number} of py-spy's file is no stack with its samples: {row[:60]!r}")
        found.append((tuple(map(_frame, stack.split(";"))), int(count)))
    return found


def _frame(text: str) -> RawFrame:
    if address := _JIT.match(text):
        return RawFrame(text, address=int(address[1], 16))
    if place := _PLACE.match(text):
        return RawFrame(place["name"], place["file"], int(place["line"]))
    if library := _LIBRARY.match(text):
        return RawFrame(library["name"], library=library["library"])
    return RawFrame(text)


def profile_of(stacks: Sequence[tuple[tuple[RawFrame, ...], int]], code_map: WrittenMap, title: str) -> Profile:
    """Return the profile of what lies below the watched call, its addresses resolved by `code_map`.

    A sample counts for its innermost frame that has a line; what a library's function took counts for the line that
    called it, in ``in_calls`` too. What has no line at all stands under ``outside``.
    """
    profile = Profile(title, "cpu")
    for stack, count in stacks:
        below = _below_watched(stack)
        if below is None:
            continue
        frames, library = _resolved(below, code_map)
        if not frames:
            name = library or "Python code around the calls"
            profile.outside[name] = profile.outside.get(name, 0.0) + count
            continue
        here = _line(frames[-1])
        profile.add(here, "samples", count)
        if library:
            profile.add(here, "in_calls", count)
        for line in {_line(frame) for frame in frames}:
            profile.add(line, "inclusive", count)
        profile.stacks[frames] = profile.stacks.get(frames, 0.0) + count
    read_sources(profile)
    profile.badges, profile.notes = dict(code_map.badges), list(code_map.failures)
    return profile


def _below_watched(stack: tuple[RawFrame, ...]) -> tuple[RawFrame, ...] | None:
    """Return the frames below the watched call; None for what is no part of it.

    A thread that the target started has no such frame: it counts from its first compiled frame on.
    """
    for place, frame in enumerate(stack):
        if frame.name.rpartition(".")[2] == run_watched.__name__ and "watched_child" in frame.file:
            return stack[place + 1 :]
    in_thread = any(frame.file.endswith("threading.py") for frame in stack)
    first = next((place for place, frame in enumerate(stack) if frame.address), None)
    return stack[first:] if in_thread and first is not None else None


def _resolved(stack: tuple[RawFrame, ...], code_map: WrittenMap) -> tuple[tuple[Frame, ...], str]:
    """Return the frames that have a line, outermost first, and the library that the sample was in below them."""
    found: list[Frame] = []
    library = ""
    for place, frame in enumerate(stack):
        lines = list(_lines_of(frame, code_map, innermost=place == len(stack) - 1))
        found += lines
        if lines:
            library = ""
        elif frame.library and not frame.library.startswith(("python", "libpython", "_dispatcher")):
            library = Path(frame.library).name
    return tuple(found), library


def _lines_of(frame: RawFrame, code_map: WrittenMap, *, innermost: bool) -> Iterator[Frame]:
    if frame.file:
        if not any(part in frame.file for part in _OUR_CALLERS):
            yield Frame(frame.name, frame.file, frame.line)
    elif frame.address:
        place = code_map.place(frame.address, returns_to=not innermost)
        if place is not None and not (not place.frames and place.symbol.startswith(_WRAPPERS)):
            yield from reversed(own_frames(place.frames) or (Frame(short_name(place.function), "", 0),))


def _line(frame: Frame) -> Line:
    return Line(frame.function, frame.file, frame.line)
