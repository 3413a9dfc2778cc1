"""The build with line tables that belongs to a piece of shipped code: same bytes, and it knows its lines.

So a sampler can watch the code that ships, compiled long before anybody thought of profiling, and still name lines.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numba.core.registry import CPUDispatcher

from workbench.codemap import capture
from workbench.codemap.addresses import CodeMap, FunctionRange, Place, frames_in, lines_of
from workbench.codemap.build import build_with_lines
from workbench.codemap.code_hash import parts_of
from workbench.codemap.disassembly import call_frames, sampled_frames
from workbench.codemap.elf import ObjectCode, Symbol
from workbench.codemap.lines import Frame
from workbench.codemap.same_code import SameCode, compare


@dataclass(frozen=True)
class Twin:
    """One function of a build with line tables, and the proof about it. `proof` is None when it is what ran."""

    code: ObjectCode
    symbol: Symbol
    proof: SameCode | None
    owner: str  # the Python function whose build it is

    @property
    def fits(self) -> bool:
        """Return whether its lines hold for the shipped code."""
        return self.proof is None or self.proof.same


class Twins:
    """Finds twins; keeps what it found. One for each profile."""

    def __init__(self) -> None:
        self._found: dict[tuple[ObjectCode, Symbol], Twin | None] = {}
        self._built: dict[tuple[int, Any], dict[str, Twin]] = {}
        self._by_symbol: dict[str, list[tuple[Any, Any]]] | None = None
        self.failures: list[str] = []

    def twin_of(self, function: FunctionRange) -> Twin | None:
        """Return the twin of `function`, built now if need be; None when the code differs or nobody owns it."""
        key = (function.code, function.symbol)
        if key not in self._found:
            self._found[key] = self._find(function)
        return self._found[key]

    def known_twin_of(self, function: FunctionRange) -> Twin | None:
        """Return the twin of `function` if it was asked for before; nothing is built."""
        return self._found.get((function.code, function.symbol))

    def proofs(self) -> dict[str, SameCode]:
        """Return what was compared, by the name of the Python function."""
        return {
            twin.owner: twin.proof
            for built in self._built.values()
            for twin in built.values()
            if twin.proof is not None
        }

    def place(
        self, code_map: CodeMap, address: int, *, sampled: bool = False, returns_to: bool = False
    ) -> Place | None:
        """Return what lies at `address`, with the line of the twin where the code itself has none.

        `sampled` says that an interrupt noted `address`: the line is that of the instruction that was waited for.
        `returns_to` says that `address` is a return address: the line is then that of the call before it.
        """
        found = code_map.function_at(address - returns_to)
        if found is None:
            return None
        twin = self.twin_of(found)
        offset = address - found.begin
        if twin is None:
            frames: tuple[Frame, ...] = ()
        elif returns_to:
            frames = call_frames(twin.code, twin.symbol, offset)
        elif sampled:
            frames = sampled_frames(twin.code, twin.symbol, offset)
        else:
            frames = frames_in(twin.code, twin.symbol, offset)
        return Place(address, found.function, found.symbol.name, offset, frames)

    def _find(self, function: FunctionRange) -> Twin | None:
        if lines_of(function.code).rows:
            return Twin(function.code, function.symbol, None, function.function)
        name, data = function.symbol.name, function.code.code_bytes(function.symbol)
        for built in self._built.values():  # a callee of what was built already needs no build of its own
            known = built.get(name)
            if known is not None and known.fits and known.code.code_bytes(known.symbol) == data:
                return known
        for code in _objects_with(name, function):
            for owner in code.functions:
                for dispatcher, arguments in self._owners(owner.name) if owner.is_global else ():
                    twin = self._build(dispatcher, arguments).get(name)
                    if twin is not None and twin.fits:
                        return twin
        return None

    def _owners(self, symbol: str) -> list[tuple[Any, Any]]:
        """Return the dispatchers, with the argument types, whose machine code has this name."""
        if self._by_symbol is None:
            self._by_symbol = {}
            for dispatcher in dispatchers():
                for arguments, result in list(dispatcher.overloads.items()):
                    self._by_symbol.setdefault(result.fndesc.llvm_func_name, []).append((dispatcher, arguments))
        return self._by_symbol.get(symbol, [])

    def _build(self, dispatcher: Any, arguments: Any) -> dict[str, Twin]:
        """Return the twins of all functions that one overload reaches, by the mangled name of the shipped one."""
        key = (id(dispatcher), arguments)
        if key not in self._built:
            self._built[key] = {}
            try:
                self._built[key] = _twins(dispatcher, arguments)
            except Exception as failure:  # Numba raises anything; a profile with fewer lines is better than none
                self.failures.append(f"{dispatcher.py_func.__qualname__} could not be built with lines: {failure}")
        return self._built[key]


def _twins(dispatcher: Any, arguments: Any) -> dict[str, Twin]:
    shipped = parts_of(dispatcher, arguments)
    build = build_with_lines(dispatcher, arguments)
    profiled = parts_of(build, arguments)
    proof = compare(shipped, profiled)
    captured, _ = capture.object_of(build, arguments)
    by_name, owner = captured.code.functions_by_name, dispatcher.py_func.__qualname__
    return {
        a.label: Twin(captured.code, by_name[b.label], proof, owner)
        for a, b in zip(shipped, profiled, strict=False)
        if b.label in by_name
    }


def _objects_with(name: str, function: FunctionRange) -> Iterator[ObjectCode]:
    """Return the object of `function`, then others with a copy of it: a parallel body belongs to who calls it."""
    yield function.code
    data = function.code.code_bytes(function.symbol)
    for captured in capture.objects():
        code = captured.code
        if code is not function.code and name.encode() in code.data:
            copy = code.functions_by_name.get(name)
            if copy is not None and code.code_bytes(copy) == data:
                yield code


def dispatchers() -> list[Any]:
    """Return every function that was compiled by ``njit`` and is still there."""
    return [thing for thing in gc.get_objects() if type(thing) is CPUDispatcher]
