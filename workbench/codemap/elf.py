"""The relocatable ELF objects that LLVM hands to the process: functions, sections, relocations.

Numba compiles every library into one such object. On x86-64 the large code model puts the code into ``.ltext`` and
named constants into ``.lrodata``; on other targets the names differ, so sections are chosen by their flags.
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

# How many bytes a relocation of this type overwrites. Types that are not listed are taken as 8 (x86-64) or 4 (aarch64).
_WIDTHS = {
    "EM_X86_64": {1: 8, 2: 4, 4: 4, 9: 4, 10: 4, 11: 4, 24: 8, 26: 4, 41: 4, 42: 4},
    "EM_AARCH64": {257: 8, 258: 4, 260: 8, 261: 4},
}
_DEFAULT_WIDTH = {"EM_X86_64": 8, "EM_AARCH64": 4}


@dataclass(frozen=True)
class Symbol:
    """A named place of an object. `section` is None for what another object defines."""

    name: str
    section: int | None
    offset: int
    size_bytes: int
    is_function: bool
    is_global: bool  # strong and visible: its address can be asked for by name
    is_weak: bool = False  # visible, but another object may define it too: the wrappers of gufuncs


@dataclass(frozen=True)
class Relocation:
    """A hole in a section that the linker fills with the address of `symbol` (or of `section`) plus `addend`."""

    offset: int
    kind: int
    width_bytes: int
    symbol: Symbol | None
    section: int | None  # where the target lies, None for another object
    addend: int  # within `section`, the symbol's offset included; relative kinds keep their bias


@dataclass(frozen=True)
class Section:
    """A run of bytes of an object."""

    index: int
    name: str
    data: bytes
    is_code: bool
    entry_bytes: int  # of a table of equal constants, else 0
    relocations: tuple[Relocation, ...]

    def relocations_in(self, begin: int, end: int) -> tuple[Relocation, ...]:
        """Return the relocations whose hole starts in ``begin .. end - 1``."""
        offsets = [relocation.offset for relocation in self.relocations]
        return self.relocations[bisect.bisect_left(offsets, begin) : bisect.bisect_left(offsets, end)]


class ObjectCode:
    """One parsed object. Parsing is lazy: a captured object costs its bytes until somebody asks."""

    def __init__(self, data: bytes):
        self.data = data

    @functools.cached_property
    def elf(self) -> Any:
        """Return the pyelftools view, for DWARF."""
        return ELFFile(BytesIO(self.data))

    @functools.cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """Return all symbols, in the order of the table, so that relocations can name them by index."""
        table = self.elf.get_section_by_name(".symtab")
        return tuple(_symbol(raw) for raw in table.iter_symbols()) if table else ()

    @functools.cached_property
    def sections(self) -> dict[int, Section]:
        """Return the sections that hold bytes of the program, by index."""
        holes = self.relocations
        found = {}
        for index, raw in enumerate(self.elf.iter_sections()):
            if raw["sh_flags"] & SH_FLAGS.SHF_ALLOC and raw["sh_type"] != "SHT_NOBITS":
                is_code = bool(raw["sh_flags"] & SH_FLAGS.SHF_EXECINSTR)
                holes_here = tuple(sorted(holes.get(index, ()), key=lambda hole: hole.offset))
                found[index] = Section(index, raw.name, raw.data(), is_code, raw["sh_entsize"], holes_here)
        return found

    @functools.cached_property
    def functions(self) -> tuple[Symbol, ...]:
        """Return the functions that this object defines, by section and offset."""
        defined = (symbol for symbol in self.symbols if symbol.is_function and symbol.section is not None)
        return tuple(sorted(defined, key=lambda symbol: (symbol.section, symbol.offset)))

    @functools.cached_property
    def functions_by_name(self) -> dict[str, Symbol]:
        """Return the functions that this object defines, by their mangled name."""
        return {symbol.name: symbol for symbol in self.functions}

    def function_at(self, section: int, offset: int) -> Symbol | None:
        """Return the function that covers `offset` of `section`, or None in the padding between functions."""
        keys = [(symbol.section, symbol.offset) for symbol in self.functions]
        place = bisect.bisect_right(keys, (section, offset)) - 1
        if place < 0:
            return None
        symbol = self.functions[place]
        inside = symbol.section == section and offset < symbol.offset + max(symbol.size_bytes, 1)
        return symbol if inside else None

    def object_at(self, section: int, offset: int) -> Symbol | None:
        """Return the named constant that covers `offset` of `section`, or None."""
        for symbol in self.symbols:
            named = symbol.section == section and not symbol.is_function and symbol.name
            if named and symbol.offset <= offset < symbol.offset + max(symbol.size_bytes, 1):
                return symbol
        return None

    def code_bytes(self, function: Symbol) -> bytes:
        """Return the bytes of `function`, holes of relocations set to zero."""
        assert function.section is not None
        section = self.sections[function.section]
        end = function.offset + function.size_bytes
        return masked(section, function.offset, end)

    @functools.cached_property
    def relocations(self) -> dict[int, list[Relocation]]:
        """Return the relocations by the section that they patch, debug sections included."""
        machine = self.elf["e_machine"]
        widths, default = _WIDTHS.get(machine, {}), _DEFAULT_WIDTH.get(machine, 8)
        found: dict[int, list[Relocation]] = {}
        for raw in self.elf.iter_sections():
            if raw["sh_type"] not in ("SHT_RELA", "SHT_REL"):
                continue
            holes = found.setdefault(raw["sh_info"], [])
            for entry in raw.iter_relocations():
                symbol = self.symbols[entry["r_info_sym"]]
                addend = entry["r_addend"] if entry.is_RELA() else 0
                kind = entry["r_info_type"]
                holes.append(
                    Relocation(
                        entry["r_offset"],
                        kind,
                        widths.get(kind, default),
                        symbol if symbol.name else None,
                        symbol.section,
                        addend + (symbol.offset if symbol.section is not None else 0),
                    )
                )
        return found


def masked(section: Section, begin: int, end: int) -> bytes:
    """Return the bytes ``begin .. end - 1`` of `section`, holes of relocations set to zero."""
    data = bytearray(section.data[begin:end])
    for hole in section.relocations_in(begin, end):
        first = hole.offset - begin
        data[first : first + hole.width_bytes] = bytes(min(hole.width_bytes, len(data) - first))
    return bytes(data)


def _symbol(raw: Any) -> Symbol:
    index, info = raw["st_shndx"], raw["st_info"]
    section = index if isinstance(index, int) else None  # SHN_UNDEF, SHN_COMMON and SHN_ABS come as text
    return Symbol(
        raw.name,
        section,
        raw["st_value"] if section is not None else 0,
        raw["st_size"],
        info["type"] == "STT_FUNC",
        info["bind"] == "STB_GLOBAL",
        info["bind"] == "STB_WEAK",
    )
