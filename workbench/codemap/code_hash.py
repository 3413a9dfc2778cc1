"""One hash for the machine code of a compiled function: equal code, equal hash, in every process.

What goes in: the bytes of the function and of every function of its library that it reaches, the constants they
refer to, and where each hole of a relocation points. What stays out: names (they carry counters and flags), addresses,
and texts that only an error message or an unpickler reads.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from workbench.codemap import capture
from workbench.codemap.elf import ObjectCode, Relocation, Section, Symbol, masked

# Numba's names for things whose content names the source, not the computation: pickled exceptions and their wrappers.
_SOURCE_TEXTS = (".const.pickle", ".const.picklebuf", ".const.missing Environment")


@dataclass(frozen=True)
class Part:
    """A function or a constant: what it is for a person, its bytes with holes as zeros, and what fills the holes."""

    label: str  # a mangled name, or "constant in <section>"
    data: bytes
    holes: tuple[tuple[int, int, str], ...]  # offset in the part, kind of relocation, what it points to


@dataclass(frozen=True)
class _Place:
    """Where a part lies in its object."""

    label: str
    section: int
    begin: int
    end: int


@dataclass
class _Reached:
    """What one function reaches inside its object, in the order in which it is first met."""

    code: ObjectCode
    places: list[_Place] = field(default_factory=list)
    number: dict[_Place, int] = field(default_factory=dict)

    def parts_from(self, root: Symbol) -> list[Part]:
        """Return `root` and all that it reaches; `places` grows while the loop goes over it."""
        self._number_of(self._function_place(root))
        parts = []
        for place in self.places:
            section = self.code.sections[place.section]
            holes = section.relocations_in(place.begin, place.end)
            named = tuple((hole.offset - place.begin, hole.kind, self._target(hole)) for hole in holes)
            parts.append(Part(place.label, masked(section, place.begin, place.end), named))
        return parts

    def _number_of(self, place: _Place) -> int:
        if place not in self.number:
            self.number[place] = len(self.places)
            self.places.append(place)
        return self.number[place]

    def _function_place(self, function: Symbol) -> _Place:
        assert function.section is not None
        return _Place(function.name, function.section, function.offset, function.offset + function.size_bytes)

    def _target(self, hole: Relocation) -> str:
        """Return a name for what `hole` points to that is the same in every process."""
        if hole.section is None:
            name = hole.symbol.name if hole.symbol else "?"
            return "Numba's own" if name.startswith("_ZN") else f"{name}+{hole.addend}"
        section = self.code.sections.get(hole.section)
        if section is None:
            return "storage"
        if section.is_code:
            return self._code_target(hole)
        return self._constant_target(hole, section)

    def _code_target(self, hole: Relocation) -> str:
        assert hole.section is not None
        function = self.code.function_at(hole.section, hole.addend)
        if function is None:
            return "padding"
        return f"part {self._number_of(self._function_place(function))}+{hole.addend - function.offset}"

    def _constant_target(self, hole: Relocation, section: Section) -> str:
        named = self.code.object_at(section.index, hole.addend)
        if named is not None and _is_source_text(named, section):
            return "text"
        begin, end = self._extent(hole, section, named)
        place = _Place(f"constant in {section.name}", section.index, begin, end)
        return f"part {self._number_of(place)}+{hole.addend - begin}"

    def _extent(self, hole: Relocation, section: Section, named: Symbol | None) -> tuple[int, int]:
        """Return where the constant at `hole` begins and ends: the symbol's, the table entry's, else up to the next."""
        if named is not None:
            return named.offset, named.offset + named.size_bytes
        if section.entry_bytes and 0 <= hole.addend < len(section.data):
            begin = hole.addend - hole.addend % section.entry_bytes
            return begin, begin + section.entry_bytes
        starts = sorted({each.addend for each in self._all_holes() if each.section == section.index})
        later = [start for start in starts if start > hole.addend]
        if 0 <= hole.addend < len(section.data):
            return hole.addend, min(later[0] if later else len(section.data), len(section.data))
        return 0, len(section.data)  # a biased address: the constant is somewhere in the section

    def _all_holes(self) -> list[Relocation]:
        return [hole for section in self.code.sections.values() for hole in section.relocations]


def reached_parts(code: ObjectCode, symbol: str) -> list[Part]:
    """Return the function `symbol` and all that it reaches inside its object: functions and constants."""
    return _Reached(code).parts_from(code.functions_by_name[symbol])


def parts_of(dispatcher: Any, signature: Any) -> list[Part]:
    """Return the parts of one overload. Raises WorkbenchError when it is not compiled or its code is not kept."""
    captured, symbol = capture.object_of(dispatcher, signature)
    return reached_parts(captured.code, symbol)


def hash_of_parts(parts: list[Part]) -> str:
    """Return the SHA-256 of `parts`, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr((part.data, part.holes)).encode())
    return digest.hexdigest()


def code_hash(dispatcher: Any, signature: Any) -> str:
    """Return the SHA-256 of one overload's machine code and constants, as 64 hexadecimal digits.

    `signature` is one of ``dispatcher.signatures``. Equal across processes, and whether the code was compiled or loaded
    from a cache. A function that embeds an address of this process (a ctypes function, a closed-over object) has a hash
    of this process only. Raises WorkbenchError when it is not compiled or its code is not kept.
    """
    return hash_of_parts(parts_of(dispatcher, signature))


def _is_source_text(named: Symbol, section: Section) -> bool:
    if named.name.startswith(_SOURCE_TEXTS):
        return True
    text = section.data[named.offset : named.offset + named.size_bytes].rstrip(b"\0").decode("utf-8", "replace")
    label, dot, number = named.name.rpartition(".")
    return named.name == f".const.{text}" or (bool(dot) and number.isdigit() and label == f".const.{text}")
