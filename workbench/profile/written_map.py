"""The code map of a process, written to files before it ends, so that another one can resolve its addresses.

What samples from outside (py-spy, perf) tells addresses when the process is gone. Written are where each compiled
function lay, and the build with line tables that belongs to it (see `workbench.codemap.twin`) with its proof.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.codemap.addresses import FunctionRange, Place, code_map, frames_in, readable_name
from workbench.codemap.disassembly import call_frames, sampled_frames
from workbench.codemap.elf import ObjectCode, Symbol
from workbench.codemap.lines import Frame
from workbench.codemap.twin import Twins
from workbench.codemap.wrapped import UFUNCS, entries
from workbench.files import write_bytes, write_text

FILE = "code-map.json"


@dataclass(frozen=True)
class Written:
    """A compiled function where it lay, and what knows its lines: `code` and `symbol` are None where nothing does."""

    begin: int
    end: int
    name: str  # mangled
    code: ObjectCode | None
    symbol: Symbol | None


class WrittenMap:
    """What lay where in a process that is gone."""

    def __init__(
        self,
        functions: list[Written],
        badges: dict[str, str],
        failures: list[str],
        original: Callable[[Frame], Frame] = lambda frame: frame,
    ):
        """`original` gives a line of a file that was written for the process back to where the person wrote it."""
        self.functions = sorted(functions, key=lambda each: each.begin)
        self.badges = badges  # Python function: "same code", or how the build with lines differs
        self.failures = failures
        self._original = original
        self._begins = [each.begin for each in self.functions]

    def function_at(self, address: int) -> Written | None:
        """Return the compiled function that covered `address`, or None."""
        place = bisect.bisect_right(self._begins, address) - 1
        if place < 0 or address >= self.functions[place].end:
            return None
        return self.functions[place]

    def place(self, address: int, *, returns_to: bool = False) -> Place | None:
        """Return what lay at `address`, which an interrupt noted; None outside compiled code.

        `returns_to` says that it is a return address: the line is then that of the call before it.
        """
        found = self.function_at(address - returns_to)
        if found is None:
            return None
        offset = address - found.begin
        frames: tuple[Frame, ...] = ()
        if found.code is not None and found.symbol is not None:
            frames = (call_frames if returns_to else sampled_frames)(found.code, found.symbol, offset)
            frames = frames or frames_in(found.code, found.symbol, max(0, offset - returns_to))
            frames = tuple(map(self._original, frames))
        return Place(address, readable_name(found.name), found.name, offset, frames)


def write_map(folder: Path, roots: Collection[Any]) -> None:
    """Write the code map of this process into `folder`.

    The builds with line tables of `roots` (dispatchers, ufuncs and gufuncs) are made now, for all their signatures;
    what they call comes with them. Other functions are written without lines: each would have to be compiled again.
    """
    twins = Twins()
    functions = code_map().functions
    wanted = {name for root in roots for name in _names(root)}
    for function in functions:
        if function.symbol.name in wanted:
            twins.twin_of(function)
    numbers: dict[int, int] = {}
    rows = [_row(function, twins, numbers, folder) for function in functions]
    told = {
        "functions": rows,
        "badges": {owner: proof.badge for owner, proof in twins.proofs().items()},
        "failures": twins.failures,
    }
    write_text(folder / FILE, json.dumps(told))


def _names(root: Any) -> list[str]:
    """Return the mangled names of the machine code of `root`."""
    if isinstance(root, UFUNCS):
        return list(entries(root))
    return [result.fndesc.llvm_func_name for result in root.overloads.values()]


def _row(function: FunctionRange, twins: Twins, numbers: dict[int, int], folder: Path) -> list[Any]:
    twin = twins.known_twin_of(function) or twins.twin_at_hand(function)
    row = [function.begin, function.end, function.symbol.name]
    if twin is None or not twin.fits:
        return row
    number = numbers.setdefault(id(twin.code), len(numbers))
    file = folder / f"object-{number}.o"
    if not file.is_file():
        write_bytes(file, twin.code.data)
    return [*row, number, twin.symbol.name, twin.symbol.section, twin.symbol.offset]


def read_map(folder: Path, original: Callable[[Frame], Frame] = lambda frame: frame) -> WrittenMap:
    """Return the map that a process wrote into `folder`; an empty one where it wrote none."""
    if not (folder / FILE).is_file():
        return WrittenMap([], {}, ["the process ended before it wrote its code map"])
    told = json.loads((folder / FILE).read_text(encoding="utf-8"))
    objects: dict[int, ObjectCode] = {}
    functions = []
    for begin, end, name, *lines in told["functions"]:
        code = symbol = None
        if lines:
            number, *key = lines
            if number not in objects:
                objects[number] = ObjectCode((folder / f"object-{number}.o").read_bytes())
            code = objects[number]
            symbol = next(each for each in code.functions if [each.name, each.section, each.offset] == key)
        functions.append(Written(begin, end, name, code, symbol))
    return WrittenMap(functions, told["badges"], told["failures"], original)
