"""The build with line tables that belongs to a piece of shipped code: same bytes, and it knows its lines.

So a sampler can watch the code that ships, compiled long before anybody thought of profiling, and still name lines.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numba.core.registry import CPUDispatcher

from workbench.codemap import capture, wrapped
from workbench.codemap.addresses import CodeMap, FunctionRange, Place, frames_in, lines_of
from workbench.codemap.build import build_with_lines
from workbench.codemap.code_hash import parts_of, reached_parts
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

    def twin_at_hand(self, function: FunctionRange) -> Twin | None:
        """Return the twin that needs no build: the code knows its lines, or it is a callee of what was built."""
        if lines_of(function.code).rows:
            return Twin(function.code, function.symbol, None, function.function)
        name, data = function.symbol.name, function.code.code_bytes(function.symbol)
        for built in self._built.values():
            known = built.get(name)
            if known is not None and known.fits and known.code.code_bytes(known.symbol) == data:
                return known
        return None

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
        at_hand = self.twin_at_hand(function)
        if at_hand is not None:
            return at_hand
        name, data = function.symbol.name, function.code.code_bytes(function.symbol)
        for code in _objects_with(name, function.code):
            for owner in code.functions:
                for thing, overload in self._owners(owner.name) if owner.is_global or owner.is_weak else ():
                    twin = self._build(thing, overload).get(name)
                    if twin is not None and twin.fits:
                        same = twin.code.code_bytes(twin.symbol) == data
                        twin = twin if same else _copy_of(twin, function)
                        if twin is not None:
                            return twin
        return None

    def _owners(self, symbol: str) -> list[tuple[Any, Any]]:
        """Return whose machine code has this name: dispatchers with argument types, wrapped ones with a number."""
        if self._by_symbol is None:
            self._by_symbol = {}
            for dispatcher in dispatchers():
                for arguments, result in list(dispatcher.overloads.items()):
                    self._by_symbol.setdefault(result.fndesc.llvm_func_name, []).append((dispatcher, arguments))
            for thing in wrapped.all_wrapped():
                for number, name in enumerate(wrapped.entries(thing)):
                    self._by_symbol.setdefault(name, []).append((thing, number))
        return self._by_symbol.get(symbol, [])

    def _build(self, thing: Any, overload: Any) -> dict[str, Twin]:
        """Return the twins of all functions that one overload reaches, by the mangled name of the shipped one."""
        key = (id(thing), overload)
        if key not in self._built:
            self._built[key] = {}
            try:
                self._built[key] = _twins(thing, overload)
            except Exception as failure:  # Numba raises anything; a profile with fewer lines is better than none
                self.failures.append(f"{_name_of(thing)} could not be built with lines: {failure}")
        return self._built[key]


def _twins(thing: Any, overload: Any) -> dict[str, Twin]:
    if isinstance(thing, wrapped.KINDS):
        shipped, code, profiled = wrapped.both_parts(thing, overload)
    else:
        shipped = parts_of(thing, overload)
        build = build_with_lines(thing, overload)
        profiled, code = parts_of(build, overload), capture.object_of(build, overload)[0].code
    proof = compare(shipped, profiled)
    by_name, owner = code.functions_by_name, _name_of(thing)
    return {
        a.label: Twin(code, by_name[b.label], proof, owner)
        for a, b in zip(shipped, profiled, strict=False)
        if b.label in by_name
    }


def _name_of(thing: Any) -> str:
    return str(thing.__name__ if isinstance(thing, wrapped.KINDS) else thing.py_func.__qualname__)


def _copy_of(twin: Twin, function: FunctionRange) -> Twin | None:
    """Return the copy of `twin` that is the code of `function`.

    The body of a parallel loop is compiled by itself and linked into who runs it. LLVM optimizes each copy again, and
    the process may run any of them.
    """
    shipped = reached_parts(function.code, function.symbol.name)
    for code in _objects_with(twin.symbol.name, twin.code):
        proof = compare(shipped, reached_parts(code, twin.symbol.name))
        if proof.same:
            return Twin(code, code.functions_by_name[twin.symbol.name], proof, twin.owner)
    return None


def _objects_with(name: str, first: ObjectCode) -> Iterator[ObjectCode]:
    """Return `first`, then the other objects that define the function `name`."""
    yield first
    for captured in capture.objects():
        code = captured.code
        if code is not first and name.encode() in code.data and name in code.functions_by_name:
            yield code


def dispatchers() -> list[Any]:
    """Return every function that was compiled by ``njit`` and is still there."""
    return [thing for thing in gc.get_objects() if type(thing) is CPUDispatcher]
