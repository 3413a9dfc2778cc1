"""Samples in, a profile out: which line of source each program counter stands on."""

from __future__ import annotations

import bisect
import collections
import linecache
from pathlib import Path

from workbench import codemap
from workbench.codemap import wrapped
from workbench.codemap.addresses import CodeMap, Place
from workbench.codemap.lines import Frame, own_frames, short_name
from workbench.codemap.twin import Twins
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.profile.sampler import Samples
from workbench.profile.vectorization import annotate

# A stack of the interpreter may hold left-over addresses of compiled code: nobody called it from there.
_WRAPPERS = ("_ZN7cpython", "cfunc.")
OTHER_THREADS = "threads that ran no compiled code (most of them wait)"
_INTERPRETER = ("python", "libpython", "_dispatcher", "[vdso]")


def profile_of(samples: Samples, title: str) -> Profile:
    """Return the profile of `samples`: time by line of compiled code, and what lies outside by library.

    A sample inside a library that a compiled function called (``libm``, an allocator) counts for the calling line, in
    ``samples`` and in ``in_calls``. A line that LLVM inlined counts where it stands; the lines it was inlined through
    have it in ``inclusive``. Numba's own source is skipped over, so that ``np.sum`` counts for the line that says it.
    """
    profile = Profile(title, "cpu")
    code_map, twins, libraries = codemap.code_map(), Twins(), _Libraries()
    pairs = collections.Counter(zip(samples.pc.tolist(), samples.caller.tolist(), strict=True))
    outside: dict[tuple[int, int], str] = {}
    for (pc, caller), amount in pairs.most_common():  # the root first: its build brings its callees
        place, library = _place(pc, caller, code_map, twins, libraries)
        if place is None:
            outside[pc, caller] = library
        else:
            _count(profile, place, amount, in_call=bool(library))
    profile.outside = _outside(samples, outside)
    read_sources(profile)
    profile.badges = {owner: proof.badge for owner, proof in twins.proofs().items()}
    profile.overhead = {
        "samples": float(len(samples.pc)),
        "lost": float(samples.lost),
        "duration_s": samples.duration_s,
        "rate_per_s": samples.rate_per_s,
        "sample_cost_ns": samples.sample_cost_ns,
        "estimated_slowdown": 1 + samples.rate_per_s * samples.sample_cost_ns / 1e9,
    }
    profile.notes = [*samples.notes, *twins.failures, *(wrapped.lost() if profile.outside else [])]
    annotate(profile, twins)
    return profile


def _outside(samples: Samples, libraries: dict[tuple[int, int], str]) -> dict[str, float]:
    """Return the samples outside compiled code, by library; a thread that never was in it is no part of the question.

    Most of those wait: a notebook's process has several that listen for messages, and time passes for them too.
    """
    triples = collections.Counter(
        zip(samples.thread.tolist(), samples.pc.tolist(), samples.caller.tolist(), strict=True)
    )
    working = {thread for thread, pc, caller in triples if (pc, caller) not in libraries}
    found: collections.Counter[str] = collections.Counter()
    for (thread, pc, caller), amount in triples.items():
        if (pc, caller) in libraries:
            found[libraries[pc, caller] if thread in working else OTHER_THREADS] += amount
    return {name: float(amount) for name, amount in found.most_common()}


def read_sources(profile: Profile) -> None:
    """Fill in the text of the files that `profile` names, cells of a notebook included."""
    for file in {line.file for line in profile.counters if line.file}:
        if file not in profile.sources:
            profile.sources[file] = [text.rstrip("\n") for text in linecache.getlines(file)]


def _place(pc: int, caller: int, code_map: CodeMap, twins: Twins, libraries: _Libraries) -> tuple[Place | None, str]:
    """Return where a sample counts, and the library it was in when that is not compiled code."""
    place = twins.place(code_map, pc, sampled=True)
    if place is not None:
        return place, ""
    library = libraries.at(pc)
    if caller and not library.startswith(_INTERPRETER):
        place = twins.place(code_map, caller, returns_to=True)
    if place is not None and not place.frames and place.symbol.startswith(_WRAPPERS):
        return None, "Numba's wrapper around a call from Python"
    return place, library


def _count(profile: Profile, place: Place, amount: float, *, in_call: bool) -> None:
    frames = own_frames(place.frames)
    if frames and frames[0].file.endswith("<string>"):  # nothing but what Numba wrote around a parallel body
        frames = ()
    here = (
        Line(frames[0].function, frames[0].file, frames[0].line) if frames else Line(short_name(place.function), "", 0)
    )
    profile.add(here, "samples", amount)
    if in_call:
        profile.add(here, "in_calls", amount)
    for line in {here, *(Line(*frame) for frame in map(_fields, frames[1:]))}:
        profile.add(line, "inclusive", amount)
    stack = tuple(reversed(frames)) or (Frame(short_name(place.function), "", 0),)
    profile.stacks[stack] = profile.stacks.get(stack, 0.0) + amount


def _fields(frame: Frame) -> tuple[str, str, int]:
    return frame.function, frame.file, frame.line


class _Libraries:
    """Which file is mapped at an address of this process."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, str]] = []
        for text in Path("/proc/self/maps").read_text().splitlines():
            fields = text.split(maxsplit=5)
            begin, end = (int(number, 16) for number in fields[0].split("-"))
            self._rows.append((begin, end, Path(fields[5]).name if len(fields) > 5 else "memory without a file"))
        self._begins = [row[0] for row in self._rows]

    def at(self, address: int) -> str:
        place = bisect.bisect_right(self._begins, address) - 1
        if place < 0 or address >= self._rows[place][1]:
            return "Linux"
        return self._rows[place][2]
