"""From a trace and from counts to figures for one operation: how often, by which line, at what cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.codemap.addresses import CodeMap
from workbench.codemap.lines import own_frames, short_name
from workbench.profile.counted import Line
from workbench.profile.portable import Origin
from workbench.profile.strace import Call, Log, Phase
from workbench.stats.median import median

INTERPRETER = "interpreter"
_BELOW = ("libc.so", "libc-", "libpthread", "ld-linux", "[vdso]", "linux-vdso")
_MACHINE = "/kernels/machine/"
_START = "/kernels/start_line.py"
SLEEPING = frozenset(
    [
        "nanosleep",
        "clock_nanosleep",
        "select",
        "pselect6",
        "poll",
        "ppoll",
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "pause",
    ]
)
"""Calls by which a thread goes to sleep of its own will, for a time or until something comes."""

HARNESS = "start of the threads"  # what waits there is no part of an operation


@dataclass
class Called:
    """One system call: how often an operation makes it, what strace saw it take, and which lines made it."""

    name: str
    per_operation: float | None  # without what a run makes whatever its size; None where it could not be told
    calls: int  # in the largest run that was traced whole
    typical_ns: float  # the median that strace saw, less what a call that does nothing shows
    errors: int
    by_line: dict[Line, int] = field(default_factory=dict)  # made by compiled code
    by_other: dict[str, int] = field(default_factory=dict)  # made by a library or the interpreter

    @property
    def by_compiled_code(self) -> int:
        """Return how many of the calls compiled code made."""
        return sum(self.by_line.values())


def calls_of(
    log: Log,
    operations: Mapping[str, float],
    code_map: CodeMap | None,
    origins: Sequence[Origin] = (),
    module: str = "",
    threads: int = 1,
) -> list[Called]:
    """Return what was called, most often first. `operations` are those of each phase, by its name.

    Where two sizes were traced whole, what is left between them is the operations' own; else, and where only compiled
    code is looked at, calls are divided by operations. A phase that was broken off gives a lower bound. With several
    `threads` and neither, what belongs to an operation cannot be told, and is None.
    """
    whole = [phase for phase in log.phases if phase.ended_s is not None and operations.get(phase.name)]
    chosen = max(whole or log.phases, key=lambda phase: operations.get(phase.name, 0.0), default=None)
    if chosen is None:
        return []
    least = min(whole, key=lambda phase: operations[phase.name], default=None)
    found = [
        _called(name, chosen, least if least is not chosen else None, operations, log.call_cost_s, places, threads)
        for places in [_Places(code_map, origins, module)]
        for name in dict.fromkeys(call.name for call in chosen.calls if places.of(call) != HARNESS)
    ]
    return sorted(found, key=lambda each: (-(each.per_operation or 0.0), -each.calls, each.name))


def _called(
    name: str,
    phase: Phase,
    least: Phase | None,
    operations: Mapping[str, float],
    cost_s: float,
    places: _Places,
    threads: int,
) -> Called:
    calls = [call for call in phase.calls if call.name == name and places.of(call) != HARNESS]
    own = operations.get(phase.name, 0.0)
    took_s = median([call.took_s for call in calls])
    called = Called(name, None, len(calls), max(0.0, took_s - cost_s) * 1e9, sum(bool(call.error) for call in calls))
    for call in calls:
        place = places.of(call)
        if isinstance(place, Line):
            called.by_line[place] = called.by_line.get(place, 0) + 1
        else:
            called.by_other[place] = called.by_other.get(place, 0) + 1
    if least is not None and own > operations[least.name]:
        before = sum(call.name == name and places.of(call) != HARNESS for call in least.calls)
        called.per_operation = max(0.0, (len(calls) - before) / (own - operations[least.name]))
    elif own:
        known = any(call.frames for call in phase.calls)
        if known or threads == 1:
            called.per_operation = (called.by_compiled_code if known else len(calls)) / own
    return called


def whole_runs(log: Log, operations: Mapping[str, float]) -> int:
    """Return how many runs were traced from their begin to their end: without one, no call says nothing."""
    return sum(phase.ended_s is not None and bool(operations.get(phase.name)) for phase in log.phases)


class _Places:
    """Finds who made a call: a line of compiled code, or a library by its name."""

    def __init__(self, code_map: CodeMap | None, origins: Sequence[Origin], module: str):
        self._map, self._origins, self._module = code_map, origins, module
        self._known: dict[int, Line | str | None] = {}

    def of(self, call: Call) -> Line | str:
        """Return the line of compiled code, or the library, that is the first outside of the C library."""
        for text, address in call.frames:
            place = self._place(address) if address else None
            if place is not None:
                return place
            library = text.partition("(")[0].rpartition("/")[2]
            if library.startswith(("python", "libpython")):
                return INTERPRETER
            if text.startswith("/") and not library.startswith(_BELOW):
                return library
        return "unknown" if call.frames else "not unwound"

    def _place(self, address: int) -> Line | str | None:
        if address not in self._known:
            self._known[address] = self._find(address)
        return self._known[address]

    def _find(self, address: int) -> Line | str | None:
        place = None if self._map is None else self._map.lookup(address - 1)  # a return address: the call is before it
        if place is None:
            return None
        frames = own_frames(place.frames)
        for frame in frames:
            if frame.file == self._module:
                line = next((at for origin in self._origins if (at := origin.line(frame.line)) is not None), None)
                owner = next((each.file for each in self._origins if each.line(frame.line) is not None), "")
                return Line(frame.function, owner, line) if line is not None else None
            if frame.file.endswith(_START):
                return HARNESS
            if _MACHINE not in frame.file or frame is frames[-1]:  # locks and sleeps are somebody's: their caller's
                return Line(frame.function, frame.file, frame.line)
        return Line(short_name(place.function), "", 0)


def wait_shares(seen: Mapping[str, int]) -> dict[str, float]:
    """Return the part of the threads' time in each call that they waited in, and how many looks that rests on."""
    looks = sum(seen.values())
    if not looks:
        return {}
    shares = {f"waiting_in_{name.replace(' ', '_')}_share": count / looks for name, count in sorted(seen.items())}
    shares.pop("waiting_in_running_share", None)
    return shares | {"looks": float(looks)}


def run_figures(sizes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return what an operation costs and causes, from runs of the smallest and the largest size.

    What the smallest run causes too, as the start of its threads, is taken off; what remains is the operations' own.
    """
    largest = sizes[-1]
    runs, operations = largest["runs"], largest["operations"]
    base: Mapping[str, float] = {}
    if len(sizes) > 1 and sizes[0]["operations"] < operations:
        base = {name: amount / sizes[0]["runs"] for name, amount in sizes[0].items()}
        operations -= sizes[0]["operations"]

    def each(name: str) -> float:
        return max(0.0, (largest[name] / runs - base.get(name, 0.0)) / operations)

    names = ("voluntary_switches", "involuntary_switches", "minor_faults", "major_faults")
    found = {f"{name}_per_operation": each(name) for name in names}
    cpu_ns = largest["user_ns"] + largest["system_ns"]
    return found | {
        "ns_per_operation": each("elapsed_ns") or largest["elapsed_ns"] / runs / largest["operations"],
        "cpu_ns_per_operation": each("user_ns") + each("system_ns"),
        "system_share": largest["system_ns"] / cpu_ns if cpu_ns else 0.0,
        "run_queue_share": min(1.0, largest["run_queue_ns"] / largest["elapsed_ns"]) if largest["elapsed_ns"] else 0.0,
        "migrations": sum(size["migrations"] for size in sizes),
        "runs": runs,
        "operations": largest["operations"],
    }
