"""The assembly of a compiled function, each instruction with its source line and what it calls."""

from __future__ import annotations

import collections
import functools
import itertools
from dataclasses import dataclass, replace
from typing import Any

import capstone

from workbench.codemap.addresses import frames_in, lines_of, readable_name
from workbench.codemap.elf import ObjectCode, Symbol
from workbench.codemap.lines import Frame
from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Instruction:
    """One instruction. `offset` is within its function; `target` is what a relocation names: function or constant."""

    offset: int
    size_bytes: int
    mnemonic: str
    operands: str
    target: str | None
    frames: tuple[Frame, ...]  # its line, then the calls through which it was inlined

    @property
    def text(self) -> str:
        """Return the instruction as one line of assembly, with what it refers to as a comment."""
        note = f"  # {self.target}" if self.target else ""
        return f"{self.mnemonic} {self.operands}".rstrip() + note


@functools.lru_cache(maxsize=128)
def disassemble(code: ObjectCode, function: Symbol) -> tuple[Instruction, ...]:
    """Return the instructions of `function`, in order. Raises WorkbenchError for a machine that is not known here.

    Bytes that are no instruction (a table between two parts of the function) are passed over.
    """
    assert function.section is not None
    section = code.sections[function.section]
    data = section.data[function.offset : function.offset + function.size_bytes]
    holes = {
        hole.offset - function.offset: hole
        for hole in section.relocations_in(function.offset, function.offset + function.size_bytes)
    }
    found = []
    for each in _engine(code).disasm(data, 0):
        target = None
        for offset in range(each.address, each.address + each.size):
            if offset in holes:
                target = _target_name(code, holes[offset])
        frames = frames_in(code, function, each.address)
        found.append(Instruction(each.address, each.size, each.mnemonic, each.op_str, target, frames))
    return tuple(_calls_to_their_lines(code, function, found))


def call_frames(code: ObjectCode, function: Symbol, return_offset: int) -> tuple[Frame, ...]:
    """Return the line of the call after which `function` goes on at `return_offset`, and the calls around it."""
    for each in disassemble(code, function):
        if each.offset + each.size_bytes == return_offset:
            return each.frames
    return frames_in(code, function, return_offset - 1)


def sampled_frames(code: ObjectCode, function: Symbol, offset: int) -> tuple[Frame, ...]:
    """Return the line that was waited for when an interrupt noted the program counter `offset`, and the calls around.

    The processor takes an interrupt when an instruction retires, and notes the one after it. So the time belongs to the
    instruction before: the division, not the loop counter that follows it. Where control does not fall through from
    there (a loop's first instruction, or what lies behind an unconditional jump) the noted one itself is taken.
    """
    before = _before(code, function).get(offset)
    return before.frames if before is not None else frames_in(code, function, offset)


@functools.lru_cache(maxsize=128)
def _before(code: ObjectCode, function: Symbol) -> dict[int, Instruction]:
    """Return, by the offset of an instruction, the one from which control falls through to it."""
    instructions = disassemble(code, function)
    jumps = [each for each in instructions if each.mnemonic.startswith("j") and each.operands.startswith("0x")]
    loop_heads = {target for each in jumps if (target := int(each.operands, 16)) <= each.offset}
    return {
        after.offset: each
        for each, after in itertools.pairwise(instructions)
        if after.offset not in loop_heads and each.mnemonic not in ("jmp", "ret", "ud2") and each.frames
    }


def _calls_to_their_lines(code: ObjectCode, function: Symbol, found: list[Instruction]) -> list[Instruction]:
    """Give calls of pure functions (``sin``) the line that uses the result, where LLVM has lost their own.

    LLVM forgets the line of what it moves in or out of a loop. Such a call has no row of its own in the table and
    would count for the line before it, as a rule the loop's head, while the instruction after it has a row and reads
    the result.
    """
    assert function.section is not None
    lines = lines_of(code)

    def starts_row(each: Instruction) -> bool:
        offset = function.offset + each.offset
        row = lines.row_at(function.section or 0, offset)
        return row is not None and row.begin == offset

    for place, (call, after) in enumerate(itertools.pairwise(found)):
        reads_result = "mm0" in after.operands.partition(",")[2]
        if call.mnemonic == "call" and reads_result and starts_row(after) and not starts_row(call):
            found[place] = replace(call, frames=after.frames)
    return found


def by_line(instructions: tuple[Instruction, ...]) -> dict[tuple[str, int], list[Instruction]]:
    """Return the instructions by (file, line), in the order of the code. Those without a line are left out."""
    found: dict[tuple[str, int], list[Instruction]] = collections.defaultdict(list)
    for instruction in instructions:
        if instruction.frames:
            found[instruction.frames[0].file, instruction.frames[0].line].append(instruction)
    return dict(found)


def _target_name(code: ObjectCode, hole: Any) -> str | None:
    if hole.section is None:
        return readable_name(hole.symbol.name) if hole.symbol else None
    section = code.sections.get(hole.section)
    if section is None:
        return None
    if section.is_code:
        function = code.function_at(hole.section, hole.addend)
        return readable_name(function.name) if function else None
    named = code.object_at(hole.section, hole.addend)
    return f"constant {named.name}" if named else f"constant in {section.name}"


@functools.cache
def _engines(machine: str) -> Any:
    if machine == "EM_X86_64":
        engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    elif machine == "EM_AARCH64":
        engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    else:
        raise WorkbenchError(f"code for {machine} cannot be disassembled here: x86-64 and aarch64 can")
    engine.skipdata = True
    return engine


def _engine(code: ObjectCode) -> Any:
    return _engines(code.elf["e_machine"])
