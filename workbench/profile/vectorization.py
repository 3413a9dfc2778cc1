"""What the machine code of a line does: the vector width it uses, remainders, gathers, spills, calls.

Read from the assembly, so it says what runs and not what the compiler meant to do. x86-64 in full; for other machines
only the assembly is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.codemap.addresses import code_map
from workbench.codemap.disassembly import Instruction, by_line, disassemble
from workbench.codemap.lines import own_frames
from workbench.codemap.twin import Twins
from workbench.profile.counted import Counted, LineNote

_BITS = {"zmm": 512, "ymm": 256, "xmm": 128}
_PACKED_FLOAT = re.compile(
    r"^v?(add|sub|mul|div|sqrt|max|min|fn?m(add|sub)\w*?|rcp14|rsqrt14|cmp\w*?|blend\w*|round)p([sd])$"
)
_SCALAR_FLOAT = re.compile(r"^v?(add|sub|mul|div|sqrt|max|min|fn?m(add|sub)\w*?|rcp14|rsqrt14|u?comi|round)s([sd])$")
_PACKED_INTEGER = re.compile(r"^v?p(add|sub|mul\w*|max[su]|min[su]|abs|sll|srl|sra|cmp\w*)[us]?([bwdq])$")
_SCALAR_INTEGER = re.compile(r"^(add|sub|imul|mul|idiv|div|and|or|xor|shl|shr|sar)$")
_SIZES = {"s": 32, "d": 64, "b": 8, "w": 16, "q": 64}
_INTEGER_SIZES = {"b": 8, "w": 16, "d": 32, "q": 64}
_STACK = re.compile(r"\[(rsp|rbp)\b")


def note_of(instructions: Sequence[Instruction], in_loop: set[int] | None = None) -> LineNote:
    """Return what `instructions` (those of one line) do. `in_loop` holds the offsets of instructions inside a loop."""
    assembly = [f"{each.offset:6d}  {each.text}" for each in instructions]
    looped = [each for each in instructions if in_loop is None or each.offset in in_loop]
    judged = looped or list(instructions)
    packed = [found for each in judged if (found := _packed(each)) is not None]
    scalar = [each for each in judged if _SCALAR_FLOAT.match(_stem(each))]
    integer = [each for each in judged if _SCALAR_INTEGER.match(_stem(each)) and not _is_address_work(each)]
    if packed:
        register, lanes = max(packed, key=lambda found: (_BITS[found[0]], found[1]))
        width = f"{register} ×{lanes}"
    else:
        width = "scalar" if scalar or integer else ""
    return LineNote(width, _detail(judged, bool(packed), bool(scalar)), assembly)


def annotate(profile: Counted, twins: Twins) -> None:
    """Put the machine code of its lines into `profile`, from the functions that `twins` has seen."""
    wanted = {(line.file, line.line) for line in profile.counters if line.line}
    files = {file for file, _ in wanted}
    found: dict[tuple[str, int], tuple[list[Instruction], set[int]]] = {}
    seen = set()
    for function in code_map().functions:
        twin = twins.known_twin_of(function)
        if twin is None or (twin.code, twin.symbol) in seen:
            continue
        seen.add((twin.code, twin.symbol))
        instructions = disassemble(twin.code, twin.symbol)
        if not any(frame.file in files for each in instructions for frame in each.frames):
            continue
        in_loop = loops(instructions)
        owned = tuple(_with_own_frames(each) for each in instructions)
        for key, here in by_line(owned).items():
            if key in wanted and (key not in found or len(here) > len(found[key][0])):
                found[key] = (here, in_loop)  # of several copies (inlined here, called there) the longest is shown
    for line in profile.counters:
        if (line.file, line.line) in found:
            profile.notes_by_line[line] = note_of(*found[line.file, line.line])


def loops(instructions: Sequence[Instruction]) -> set[int]:
    """Return the offsets of the instructions that lie between a backward jump and its target."""
    inside: set[int] = set()
    for each in instructions:
        if each.mnemonic.startswith("j") and each.operands.startswith("0x"):
            target = int(each.operands, 16)
            if target <= each.offset:
                inside |= {other.offset for other in instructions if target <= other.offset <= each.offset}
    return inside


def _with_own_frames(each: Instruction) -> Instruction:
    frames = own_frames(each.frames)
    return Instruction(each.offset, each.size_bytes, each.mnemonic, each.operands, each.target, frames)


def _stem(each: Instruction) -> str:
    return each.mnemonic.split(" ")[-1]


def _packed(each: Instruction) -> tuple[str, int] | None:
    """Return the register and the number of lanes of a packed computation, or None."""
    stem = _stem(each)
    found, sizes = _PACKED_FLOAT.match(stem), _SIZES
    if found is None:
        found, sizes = _PACKED_INTEGER.match(stem), _INTEGER_SIZES
    register = next((name for name in _BITS if name in each.operands), None)
    if found is None or register is None:
        return None
    return register, _BITS[register] // sizes[found.groups()[-1]]


def _is_address_work(each: Instruction) -> bool:
    """Return whether this is bookkeeping: a counter, the stack pointer, a register set to zero."""
    first, _, second = each.operands.partition(", ")
    return first in ("rsp", "rbp") or first == second or re.fullmatch(r"-?(0x)?[0-9a-f]+", second) is not None


def _detail(judged: Sequence[Instruction], packed: bool, scalar: bool) -> str:
    """Return what else is worth knowing, as a list in one sentence; empty when there is nothing."""
    stems = [_stem(each) for each in judged]
    told = []
    if packed and scalar:
        told.append("scalar remainder")
    if gathers := sum("gather" in stem for stem in stems):
        told.append(f"{gathers} gather{'s' * (gathers > 1)}")
    if divisions := sum(bool(re.match(r"^(v?div[ps][sd]|i?div)$", stem)) for stem in stems):
        told.append(f"{divisions} division{'s' * (divisions > 1)}")
    if atomics := sum("lock" in each.mnemonic or (each.mnemonic == "xchg" and "[" in each.operands) for each in judged):
        told.append(f"{atomics} atomic")
    spills = sum(
        bool(re.match(r"^v?mov", stem)) and bool(_STACK.search(each.operands))
        for stem, each in zip(stems, judged, strict=True)
    )
    if spills:
        told.append(f"{spills} stack access{'es' * (spills > 1)}")
    called = {each.target or "through a register" for each in judged if each.mnemonic == "call"}
    if calls := sum(each.mnemonic == "call" for each in judged):
        told.append(f"{calls} call{'s' * (calls > 1)} ({', '.join(sorted(called)[:3])})")
    return ", ".join(told)
