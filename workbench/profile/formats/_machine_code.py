"""The compiled functions of this process by address, cut into runs of one source line: what perf's formats tell."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from workbench.codemap.addresses import FunctionRange, code_map
from workbench.codemap.disassembly import disassemble
from workbench.codemap.lines import own_frames, short_name
from workbench.codemap.twin import Twins
from workbench.profile.counted import Counted

_WRAPPERS = ("_ZN7cpython", "cfunc.")  # what Numba writes around a function to call it from Python or C


@dataclass(frozen=True)
class Run:
    """Machine code ``begin .. begin + size_bytes - 1`` that comes from one line; `line` is 0 where none is known."""

    begin: int
    size_bytes: int
    file: str
    line: int


@dataclass(frozen=True)
class Placed:
    """A compiled function where it lies in this process."""

    name: str
    begin: int
    size_bytes: int
    runs: tuple[Run, ...]  # in the order of addresses, without gaps or overlaps

    @property
    def code(self) -> bytes:
        """Return its machine code as it stands in memory, linked."""
        return ctypes.string_at(self.begin, self.size_bytes)


def machine_code(profile: Counted) -> list[Placed]:
    """Return every compiled function of this process; those that `profile` has seen are cut by line.

    The others stay whole: to know their lines each would have to be built a second time.
    """
    wanted = {frame.function for stack in profile.stacks for frame in stack}
    wanted |= {line.function for line in profile.counters}
    twins, found, end = Twins(), [], 0
    for function in code_map().functions:
        if function.begin < end:
            continue  # a name of its own for code that another name covers
        end = function.end
        found.append(_placed(function, twins, short_name(function.function) in wanted))
    return found


def _placed(function: FunctionRange, twins: Twins, by_line: bool) -> Placed:
    wrapper = function.symbol.name.startswith(_WRAPPERS)
    name = f"{short_name(function.function)}{' (called from Python)' if wrapper else ''}"
    size_bytes = function.end - function.begin
    twin = twins.twin_of(function) if by_line and not wrapper else None
    runs: list[Run] = []
    for each in disassemble(twin.code, twin.symbol) if twin is not None else ():
        frames = own_frames(each.frames)
        file, line = (frames[0].file, frames[0].line) if frames else ("", 0)
        if runs and (runs[-1].file, runs[-1].line) == (file, line):
            begin = runs.pop().begin
        else:
            begin = function.begin + each.offset
        runs.append(Run(begin, function.begin + each.offset + each.size_bytes - begin, file, line))
    return Placed(name, function.begin, size_bytes, tuple(runs) or (Run(function.begin, size_bytes, "", 0),))
