"""The line table of one object: which source line each instruction comes from, and where it was inlined to."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numba
import numpy as np
from elftools.elf.elffile import ELFFile

from workbench.codemap.elf import ObjectCode

_NUMBA = str(Path(numba.__file__).parent)
_SECTION_SHIFT = 40  # an address of the table is section << 40 | offset: sections of one object never overlap


@dataclass(frozen=True)
class Frame:
    """A line of source, and the function it stands in."""

    function: str
    file: str
    line: int


@dataclass(frozen=True)
class Row:
    """A run of instructions ``begin .. end - 1`` of one section that come from one line."""

    section: int
    begin: int
    end: int
    file: str
    line: int


@dataclass(frozen=True)
class _Range:
    """Where the code of one function lies, or of one inlined call."""

    low: int
    high: int
    depth: int
    function: str
    call_file: str = ""
    call_line: int = 0


def own_frames(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Return `frames` from the first on that is not Numba's own source, or all where there is no other."""
    for first, frame in enumerate(frames):
        if not frame.file.startswith(_NUMBA) and not frame.file.endswith("<string>"):
            return frames[first:]
    return frames


class Lines:
    """The line table and the inlined calls of one object; empty when it was built without."""

    def __init__(self, code: ObjectCode):
        self._code = code

    @functools.cached_property
    def rows(self) -> tuple[Row, ...]:
        """Return the runs of instructions, by address, without those that have no line."""
        if self._dwarf is None:
            return ()
        found = [row for unit in self._dwarf.iter_CUs() for row in self._rows_of(unit)]
        return tuple(sorted(found, key=lambda row: (row.section, row.begin)))

    def row_at(self, section: int, offset: int) -> Row | None:
        """Return the run that covers `offset` of `section`, or None."""
        place = bisect.bisect_right(self._starts, (section, offset)) - 1
        if place < 0:
            return None
        row = self.rows[place]
        return row if row.section == section and row.begin <= offset < row.end else None

    def row_before(self, section: int, offset: int, begin: int) -> Row | None:
        """Return the last run at or before `offset` that starts at `begin` or later, else the first run after it.

        For instructions that LLVM made for several lines at once and gave none (line 0): loop counters, spills.
        """
        place = bisect.bisect_right(self._starts, (section, offset)) - 1
        for near in (place, place + 1):
            if 0 <= near < len(self.rows) and self.rows[near].section == section and self.rows[near].begin >= begin:
                return self.rows[near]
        return None

    def frames_at(self, section: int, offset: int, begin: int, end: int) -> tuple[Frame, ...]:
        """Return the line at `offset`, then the calls through which it was inlined, outermost last.

        ``begin .. end - 1`` is the function around it: an instruction without a line takes its neighbour's in there.
        """
        row = self.row_at(section, offset)
        if row is None:
            row = self.row_before(section, offset, begin)
            if row is None or row.begin >= end:
                return ()
            offset = min(max(offset, row.begin), row.end - 1)
        address = (section << _SECTION_SHIFT) + offset
        low, high = self._bounds
        inside = np.flatnonzero((low <= address) & (address < high))
        around = sorted((self._ranges[place] for place in inside), key=lambda each: -each.depth)
        file, line, frames = row.file, row.line, []
        for each in around:
            if line:  # the wrapper of a ufunc has none
                frames.append(Frame(each.function, file, line))
            file, line = each.call_file, each.call_line
        return tuple(frames) or (Frame("", file, line),)

    @functools.cached_property
    def _starts(self) -> list[tuple[int, int]]:
        return [(row.section, row.begin) for row in self.rows]

    @functools.cached_property
    def _dwarf(self) -> Any:
        elf = ELFFile(BytesIO(self._relocated()))
        return elf.get_dwarf_info(relocate_dwarf_sections=False) if elf.has_dwarf_info() else None

    def _relocated(self) -> bytes:
        """Return the object with its debug sections linked as if each section of code lay at its own far address.

        pyelftools would stop at relocation types that it does not know; only two kinds matter here.
        """
        data = bytearray(self._code.data)
        code_sections = {index for index, section in self._code.sections.items() if section.is_code}
        for index, holes in self._code.relocations.items():
            raw = self._code.elf.get_section(index)
            if not raw.name.startswith(".debug_"):
                continue
            for hole in holes:
                value = hole.addend + (hole.section << _SECTION_SHIFT if hole.section in code_sections else 0)
                first = raw["sh_offset"] + hole.offset
                limit = (1 << 8 * hole.width_bytes) - 1
                data[first : first + hole.width_bytes] = (value & limit).to_bytes(hole.width_bytes, "little")
        return bytes(data)

    def _rows_of(self, unit: Any) -> Iterator[Row]:
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return
        files = _file_names(program, unit)
        begin: Any = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if begin is not None and begin.line and begin.address < state.address:
                section = begin.address >> _SECTION_SHIFT
                first, end = (each & ((1 << _SECTION_SHIFT) - 1) for each in (begin.address, state.address))
                yield Row(section, first, end, files.get(begin.file, "?"), begin.line)
            begin = None if state.end_sequence else state

    @functools.cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        low = np.array([each.low for each in self._ranges], np.int64)
        return low, np.array([each.high for each in self._ranges], np.int64)

    @functools.cached_property
    def _ranges(self) -> tuple[_Range, ...]:
        if self._dwarf is None:
            return ()
        found: list[_Range] = []
        for unit in self._dwarf.iter_CUs():
            program = self._dwarf.line_program_for_CU(unit)
            files = _file_names(program, unit) if program else {}
            for entry in unit.get_top_DIE().iter_children():
                if entry.tag == "DW_TAG_subprogram":
                    self._collect(entry, 0, files, found)
        return tuple(found)

    def _collect(self, entry: Any, depth: int, files: dict[int, str], found: list[_Range]) -> None:
        """Add the ranges of `entry` (a function or an inlined call) and of what was inlined into it."""
        name, attributes = _name_of(entry), entry.attributes
        call_file = files.get(attributes["DW_AT_call_file"].value, "?") if "DW_AT_call_file" in attributes else ""
        call_line = attributes["DW_AT_call_line"].value if "DW_AT_call_line" in attributes else 0
        for low, high in self._extents(entry):
            found.append(_Range(low, high, depth, name, call_file, call_line))
        for child in entry.iter_children():
            if child.tag in ("DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"):
                self._collect(child, depth + (child.tag == "DW_TAG_inlined_subroutine"), files, found)

    def _extents(self, entry: Any) -> Iterator[tuple[int, int]]:
        if entry.tag == "DW_TAG_lexical_block":
            return
        attributes = entry.attributes
        if "DW_AT_ranges" in attributes:
            base = entry.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
            start = base.value if base is not None else 0
            for each in self._dwarf.range_lists().get_range_list_at_offset(attributes["DW_AT_ranges"].value, entry.cu):
                if hasattr(each, "base_address"):
                    start = each.base_address
                    continue
                shift = 0 if getattr(each, "is_absolute", False) else start
                yield shift + each.begin_offset, shift + each.end_offset
        elif "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
            yield low, high.value if high.form == "DW_FORM_addr" else low + high.value


def _name_of(entry: Any) -> str:
    origin = entry
    while "DW_AT_name" not in origin.attributes and "DW_AT_abstract_origin" in origin.attributes:
        origin = origin.get_DIE_from_attribute("DW_AT_abstract_origin")
    name = origin.attributes.get("DW_AT_name")
    return short_name(name.value.decode("utf-8", "replace")) if name is not None else ""


def short_name(name: str) -> str:
    """Return the last part of a dotted name: all that LLVM and the symbols both know of a function for sure."""
    last = name.rpartition(".")[2]
    return "parallel body" if last.startswith("__numba_parfor_gufunc") else last


def _file_names(program: Any, unit: Any) -> dict[int, str]:
    """Return the path of each file number of a line program. Numbers count from 1 before DWARF 5, from 0 since."""
    header = program.header
    old = header["version"] < 5
    directories = [_text(each) if old else _text(each.DW_LNCT_path) for each in _entries(header, "directory")]
    home = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    if old:
        directories.insert(0, _text(home.value) if home is not None else "")
    found = {}
    for number, each in enumerate(_entries(header, "file"), start=int(old)):
        name = _text(each.name if old else each.DW_LNCT_path)
        place = each.dir_index if old else each.get("DW_LNCT_directory_index", 0)
        folder = directories[place] if place < len(directories) else ""
        found[number] = name if name.startswith(("/", "<")) else str(PurePosixPath(folder) / name)
    return found


def _entries(header: Any, kind: str) -> list[Any]:
    if kind == "directory":
        return list(header.get("include_directory") or header.get("directories") or ())
    return list(header.get("file_entry") or header.get("file_names") or ())


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
