"""Where an allocation was made: the line inside compiled code where there is one, else the line of Python.

memray keeps for each allocation the native frames up to the first one that it cannot unwind: the call inside code that
Numba compiled. That address is no symbol of any library, so memray itself leaves it out; joined with the code map it is
a source line, through everything that LLVM inlined.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numba

from workbench import codemap
from workbench.codemap.lines import Frame, own_frames, short_name
from workbench.codemap.twin import Twins
from workbench.errors import WorkbenchError
from workbench.profile.counted import Line
from workbench.profile.memory_records import NEXT_CALL, Site

OWN = "the profiler itself"
BEFOREHAND = "what a call needs beforehand (the reset of a state)"
WRAPPER = "Numba's wrapper around a call from Python"
_WRAPPERS = ("_ZN7cpython", "cfunc.")
_NUMBA = str(Path(numba.__file__).parent)
_LIBRARIES = tuple(
    {sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {"<frozen"}
)
_PROFILER = ("workbench/profile/memory_child.py", "workbench/profile/memory_subject.py")
_CALLERS = ("kernels/catalog.py", "kernels/crew.py", *_PROFILER)
_NODE = re.compile(r"NATIVE_FRAME_ID ip=(0x[0-9a-f]+) index=(\d+)")


def native_frames(trace: Path) -> list[tuple[int, int]]:
    """Return address and caller's number of each native frame of a memray file, by its number; 0 is none.

    From ``memray parse``, which prints the records of a file: its reader tells the number, but not the address.
    """
    nodes = [(0, 0)]
    command = [sys.executable, "-m", "memray", "parse", str(trace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith("NATIVE_FRAME_ID"):
                found = _NODE.match(text)
                if found is None:
                    raise WorkbenchError(f"this version of memray writes frames that are not known here: {text[:80]!r}")
                nodes.append((int(found[1], 16), int(found[2])))
        told = process.stderr.read() if process.stderr else ""
    if process.returncode:
        raise WorkbenchError(f"memray cannot read its own file ({told.strip()[-200:]})")
    return nodes


class Places:
    """Tells the site of each record of one file. Make it in the process that was recorded, when recording is over."""

    def __init__(self, nodes: list[tuple[int, int]]):
        self._nodes = nodes
        self._map = codemap.code_map()
        self.twins = Twins()
        self._known: dict[tuple[int, int], Site] = {}
        self._compiled: dict[int, tuple[tuple[Frame, ...], bool]] = {}

    def __call__(self, record: Any) -> Site:
        """Return where `record` was made."""
        key = (record.native_stack_id, record.stack_id)
        if key not in self._known:
            python = [Frame(*frame) for frame in record.stack_trace()]
            self._known[key] = site_of(*self._frames(record.native_stack_id), python)
        return self._known[key]

    def _frames(self, number: int) -> tuple[tuple[Frame, ...], bool]:
        """Return the lines of the compiled call behind a native frame, innermost first, and whether it is a wrapper."""
        if number not in self._compiled:
            self._compiled[number] = self._find(number)
        return self._compiled[number]

    def _find(self, number: int) -> tuple[tuple[Frame, ...], bool]:
        while number:
            address, number = self._nodes[number]
            function = self._map.function_at(address - 1)  # a return address: the call lies before it
            if function is None:
                continue
            if function.symbol.name.startswith(_WRAPPERS):
                return (), True
            place = self.twins.place(self._map, address, returns_to=True)
            frames = place.frames if place is not None else ()
            return frames or (Frame(short_name(function.function), "", 0),), False
        return (), False


def site_of(compiled: tuple[Frame, ...], wrapper: bool, python: list[Frame]) -> Site:
    """Return the site of compiled frames and Python frames, each innermost first.

    Numba's and other libraries' lines are skipped over: what ``np.empty`` allocates belongs to the line that says so.
    """
    called, caller = _inside(python)
    own = own_frames(compiled)
    stack = (*reversed(called), *reversed(own))
    if caller == "prepare":
        return Site(None, BEFOREHAND, stack)
    if caller == "next_call":
        return Site(None, NEXT_CALL, stack)
    if own and not own[0].file.startswith(_NUMBA):
        return Site(Line(own[0].function, own[0].file, own[0].line), "", stack)
    if wrapper:
        return Site(None, WRAPPER, stack)
    mine = next((frame for frame in called if _is_own(frame)), None)
    if mine is None and called and not called[-1].file.endswith(_CALLERS):
        mine = called[-1]  # a function of a library, when that is what is profiled
    if mine is None:
        return Site(None, f"Python: {Path(called[0].file).name}" if called else OWN, stack)
    return Site(Line(mine.function, mine.file, mine.line), "", stack)


def _inside(python: list[Frame]) -> tuple[list[Frame], str]:
    """Return the frames inside the call that is counted, and the function of the profiler that called them."""
    for place, frame in enumerate(python):
        if frame.file.endswith(_PROFILER[0]):
            return [each for each in python[:place] if not each.file.endswith(_PROFILER[1])], frame.function
    return python, ""


def _is_own(frame: Frame) -> bool:
    return not frame.file.startswith(_LIBRARIES) and not frame.file.endswith(_CALLERS)
