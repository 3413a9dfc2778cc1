"""From an address in this process to the compiled function, the source line, and where it was inlined from."""

from __future__ import annotations

import bisect
import ctypes
import functools
from dataclasses import dataclass

from workbench.codemap import capture
from workbench.codemap.elf import ObjectCode, Symbol, masked
from workbench.codemap.lines import Frame, Lines, short_name


@dataclass(frozen=True)
class Place:
    """What an address is: the line it comes from, and the calls through which LLVM inlined that line.

    `file` and `line` are None for code without a line table. ``frames[0]`` is the line itself, ``frames[-1]`` the line
    of the outermost function, the one that exists as machine code: `function` is its name, `symbol` the mangled one.
    """

    address: int
    function: str
    symbol: str
    offset: int  # within the function
    frames: tuple[Frame, ...]

    @property
    def file(self) -> str | None:
        """Return the file of the line."""
        return self.frames[0].file if self.frames else None

    @property
    def line(self) -> int | None:
        """Return the line, from 1."""
        return self.frames[0].line if self.frames else None

    @property
    def inlined_from(self) -> tuple[Frame, ...]:
        """Return the call lines around the line, the outermost last; empty where nothing was inlined."""
        return self.frames[1:]


@dataclass(frozen=True)
class FunctionRange:
    """One compiled function in the memory of this process: ``begin .. end - 1``."""

    begin: int
    end: int
    symbol: Symbol
    code: ObjectCode

    @property
    def function(self) -> str:
        """Return the name for a person: ``module.function``."""
        return readable_name(self.symbol.name)


class CodeMap:
    """The functions of every object that was captured, by address. Build it with `code_map`; it is a snapshot."""

    def __init__(self, ranges: list[FunctionRange]):
        self.functions = tuple(sorted(ranges, key=lambda each: each.begin))
        self._begins = [each.begin for each in self.functions]

    def function_at(self, address: int) -> FunctionRange | None:
        """Return the compiled function that covers `address`, or None."""
        place = bisect.bisect_right(self._begins, address) - 1
        if place < 0 or address >= self.functions[place].end:
            return None
        return self.functions[place]

    def lookup(self, address: int) -> Place | None:
        """Return what lies at `address`, or None when no captured object covers it."""
        found = self.function_at(address)
        if found is None:
            return None
        offset = address - found.begin
        return Place(address, found.function, found.symbol.name, offset, frames_in(found.code, found.symbol, offset))


def code_map() -> CodeMap:
    """Return the map of everything compiled so far; call again after more was compiled, known objects cost nothing."""
    return CodeMap([each for captured in capture.objects() for each in _ranges(captured)])


@functools.lru_cache(maxsize=256)
def lines_of(code: ObjectCode) -> Lines:
    """Return the line table of `code`, parsed once."""
    return Lines(code)


def frames_in(code: ObjectCode, function: Symbol, offset: int) -> tuple[Frame, ...]:
    """Return the line at `offset` of `function` and the calls around it; empty without a line table."""
    assert function.section is not None
    begin, end = function.offset, function.offset + function.size_bytes
    frames = lines_of(code).frames_at(function.section, begin + offset, begin, end)
    if frames and not frames[-1].function:  # LLVM lists a function only when something was inlined into it
        frames = (*frames[:-1], Frame(short_name(readable_name(function.name)), frames[-1].file, frames[-1].line))
    return frames


def _ranges(captured: capture.Captured) -> list[FunctionRange]:
    if not captured.base and not captured.lost:
        _find_base(captured)
    found = []
    for symbol in captured.code.functions if captured.base else ():
        assert symbol.section is not None
        if symbol.section in captured.base and symbol.size_bytes:
            begin = captured.base[symbol.section] + symbol.offset
            found.append(FunctionRange(begin, begin + symbol.size_bytes, symbol, captured.code))
    return found


def _find_base(captured: capture.Captured) -> None:
    """Find where each section of code was put, by a symbol, a strong one first; check it against the bytes in memory.

    Two libraries may define a symbol of the same name (one of them loaded from a cache); the process then answers with
    the first, and the comparison tells.
    """
    visible = [symbol for symbol in captured.code.functions if symbol.is_global or symbol.is_weak]
    for symbol in sorted(visible, key=lambda each: each.is_weak):
        assert symbol.section is not None
        if symbol.section in captured.base:
            continue
        address = capture.address_of(symbol.name)
        if address and _same_in_memory(captured.code, symbol, address):
            captured.base[symbol.section] = address - symbol.offset
    captured.lost = not captured.base


def _same_in_memory(code: ObjectCode, symbol: Symbol, address: int) -> bool:
    assert symbol.section is not None
    section = code.sections[symbol.section]
    end = symbol.offset + symbol.size_bytes
    memory = bytearray(ctypes.string_at(address, symbol.size_bytes))
    for hole in section.relocations_in(symbol.offset, end):
        first = hole.offset - symbol.offset
        memory[first : first + hole.width_bytes] = bytes(min(hole.width_bytes, len(memory) - first))
    return bytes(memory) == masked(section, symbol.offset, end)


_WRAPPERS = ("", "cfunc.", "__ufunc__.", "__gufunc__.")  # what Numba puts before the name of the function inside


def readable_name(symbol: str) -> str:
    """Return the Python name in a symbol that Numba mangled, as ``module.function``; another symbol as it is.

    Numba writes ``_ZN`` and then each part with its length in front; ``B`` starts a tag of its own counters.
    """
    prefix, found, rest = symbol.partition("_ZN")
    if not found or prefix not in _WRAPPERS:
        return symbol
    parts = []
    while rest[:1].isdigit():
        digits = len(rest) - len(rest.lstrip("0123456789"))
        length = int(rest[:digits])
        parts.append(rest[digits : digits + length])
        rest = rest[digits + length :]
    return ".".join(_unescaped(part) for part in parts if part) or symbol


def _unescaped(part: str) -> str:
    """Return `part` with the brackets of ``<locals>`` back, which Numba writes as ``_3c`` and ``_3e``.

    It writes other characters so too, but leaves underscores as they are: ``_ad`` in ``divide_and_add`` is no escape.
    A name of Python has no others.
    """
    return part.replace("_3c", "<").replace("_3e", ">")
