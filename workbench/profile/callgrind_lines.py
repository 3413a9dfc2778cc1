"""Callgrind's counts by address, joined with the code map into a profile by source line."""

from __future__ import annotations

import json
from pathlib import Path

from workbench.codemap.addresses import CodeMap, FunctionRange, lines_of
from workbench.codemap.elf import ObjectCode
from workbench.codemap.lines import own_frames
from workbench.errors import WorkbenchError
from workbench.files import write_bytes
from workbench.profile.attribute import read_sources
from workbench.profile.cache_geometry import Geometry
from workbench.profile.callgrind_job import Job
from workbench.profile.counted import Line
from workbench.profile.formats import callgrind as dumps
from workbench.profile.portable import Origin
from workbench.profile.profile import Profile

COUNTERS = {
    "Ir": "instructions",
    "Dr": "data_reads",
    "Dw": "data_writes",
    "I1mr": "i1_misses",
    "D1mr": "d1_read_misses",
    "D1mw": "d1_write_misses",
    "ILmr": "ll_instruction_misses",
    "DLmr": "ll_read_misses",
    "DLmw": "ll_write_misses",
    "Bc": "branches",
    "Bcm": "branch_misses",
    "Bi": "indirect_branches",
    "Bim": "indirect_branch_misses",
    "Ge": "atomics",
    "SpLoss1": "d1_bytes_unused",
    "SpLoss2": "ll_bytes_unused",
}
"""What callgrind's events are called in a profile. AcCost1 and AcCost2 (temporal use) are left out."""

SUMS = {"d1_misses": ("d1_read_misses", "d1_write_misses"), "ll_misses": ("ll_read_misses", "ll_write_misses")}


def find_dump(folder: Path, title: str) -> dumps.Dump:
    """Return the dump that the harness asked for."""
    for file in sorted(folder.glob("callgrind.out*")):
        dump = dumps.read(file)
        if "workbench" in dump.trigger:
            return dump
    raise WorkbenchError(f"{title}: valgrind wrote no counts for the kernel; its client requests were not seen")


def read_map(folder: Path) -> CodeMap:
    """Return the child's code map, from the objects that it wrote."""
    objects: dict[int, ObjectCode] = {}
    ranges = []
    for begin, end, number, name, section, offset in json.loads((folder / "map.json").read_text()):
        code = objects.setdefault(number, ObjectCode((folder / f"object-{number}.o").read_bytes()))
        symbol = next(
            each for each in code.functions if (each.name, each.section, each.offset) == (name, section, offset)
        )
        ranges.append(FunctionRange(begin, end, symbol, code))
    return CodeMap(ranges)


def build_profile(job: Job, dump: dumps.Dump, code_map: CodeMap, module: Path) -> Profile:
    """Join addresses with lines. What a compiled line calls in a library counts for that line, and for `in_calls`."""
    profile = Profile(job.title, "cache", main="instructions")
    known: dict[int, Line | None] = {}
    for cost in dump.costs:
        if cost.address not in known:
            known[cost.address] = _line_at(code_map, cost.address, module, job.module.origins)
        line = known[cost.address]
        if cost.called:
            if line is None or _has_lines(code_map, cost.called_address):
                continue  # the callee's own lines have it
            _count(profile, line, dump.events, cost.amounts)
            profile.add(line, "in_calls", cost.amounts[dump.events.index("Ir")])
        elif line is not None:
            _count(profile, line, dump.events, cost.amounts)
    for counters in profile.counters.values():
        for name, parts in SUMS.items():
            if any(part in counters for part in parts):
                counters[name] = sum(counters.get(part, 0.0) for part in parts)
    read_sources(profile)
    return profile


def _line_at(code_map: CodeMap, address: int, module: Path, origins: list[Origin]) -> Line | None:
    """Return the person's line of an address; None for the harness, and for what is no compiled code."""
    place = code_map.lookup(address)
    if place is None:
        return None
    for frame in own_frames(place.frames):
        if Path(frame.file) == module:
            line = next((found for origin in origins if (found := origin.line(frame.line)) is not None), None)
            owner = next((origin.file for origin in origins if origin.line(frame.line) is not None), "")
            return Line(frame.function, owner, line) if line is not None else None
        return Line(frame.function, frame.file, frame.line)
    return None  # no line table: Numba's runtime, whose costs the calling line has


def _has_lines(code_map: CodeMap, address: int) -> bool:
    found = code_map.function_at(address)
    return found is not None and bool(lines_of(found.code).rows)


def _count(profile: Profile, line: Line, events: tuple[str, ...], amounts: tuple[int, ...]) -> None:
    for event, amount in zip(events, amounts, strict=True):
        if amount and event in COUNTERS:
            profile.add(line, COUNTERS[event], float(amount))


def describe(profile: Profile, caches: Geometry, target: str, dump: dumps.Dump, job: Job) -> None:
    """Say in the profile what was simulated, for which build."""
    own = [cost for cost in dump.costs if not cost.called]
    total = sum(cost.amounts[0] for cost in own)
    profile.outside = {"harness and libraries it calls": max(0.0, total - profile.total)}
    profile.notes = [
        "simulated: callgrind counts what a simple cache of this size would do; it is no measurement of this machine",
        f"this build is for {target}, which valgrind can run: it is not the one that is timed",
        f"simulated caches (size, ways, line): I1 {caches.i1}, D1 {caches.d1}, last level {caches.ll}",
        *caches.notes,
        "threads are serialized and share one cache: no contention between cores shows",
        *job.module.notes,
    ]
    profile.badges = {job.title: f"simulated, built for {target}"}


def keep_files(profile: Profile, dump: dumps.Dump, folder: Path, title: str) -> None:
    """Keep valgrind's own file and the one by source line."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = title.replace("/", "-")
    raw, lines = folder / f"{stem}.addresses.callgrind.out", folder / f"{stem}.callgrind.out"
    write_bytes(raw, dump.file.read_bytes())
    names = [event for event in dump.events if event in COUNTERS]
    costs = [
        dumps.LineCost(
            line.function, line.file, line.line, tuple(int(counters.get(COUNTERS[name], 0)) for name in names)
        )
        for line, counters in profile.counters.items()
    ]
    dumps.write(lines, title, names, costs, profile.notes)
    profile.artefacts += [str(lines), str(raw)]
