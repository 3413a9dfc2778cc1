"""What the machine code of each line holds, without running it: the fallback where no cache can be simulated.

It counts instructions as they stand in the code, once each, however often they run. So it shows what a line is made of
and how wide it computes, and nothing of misses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.codemap import capture
from workbench.codemap.addresses import readable_name
from workbench.codemap.code_hash import reached_parts
from workbench.codemap.disassembly import Instruction, disassemble
from workbench.codemap.elf import ObjectCode, Symbol
from workbench.codemap.lines import own_frames, short_name
from workbench.codemap.wrapped import UFUNCS
from workbench.errors import InputError
from workbench.profile.attribute import read_sources
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.profile.target import target_of
from workbench.profile.vectorization import _packed, loops, note_of

MAIN = "instructions_in_code"
KINDS = (MAIN, "loads", "stores", "vector", "jumps", "calls", "atomics")


def instruction_mix(subject: Any, *arguments: Any, workload: Any = None, **parameters: int) -> Profile:
    """Return, by line, how many instructions its code has, and of what kind: memory, vector, branch, atomic, call.

    `subject` and `arguments` are those of `workbench.profile`. The function runs once, to be compiled, in this process
    and for its processor. Raises InputError for what has no machine code of its own.
    """
    target = target_of(subject, *arguments, workload=workload, **parameters)
    if isinstance(target.function, UFUNCS):
        raise InputError(f"{target.title} is a ufunc, whose code is not read here: give the function inside it")
    target.prepare()
    target.run(target.function)
    build = target.with_lines()
    profile = Profile(target.title, "cache", MAIN)
    by_line: dict[Line, tuple[list[Instruction], set[int]]] = {}
    for code, symbol in _functions(build):
        instructions = disassemble(code, symbol)
        in_loop = loops(instructions)
        for each in instructions:
            frames = own_frames(each.frames)
            line = Line(frames[0].function, frames[0].file, frames[0].line) if frames else _unlined(symbol)
            for counter in (MAIN, *_kinds(each)):
                profile.add(line, counter, 1.0)
            by_line.setdefault(line, ([], in_loop))[0].append(each)
    profile.notes_by_line = {line: note_of(here, looped) for line, (here, looped) in by_line.items() if line.line}
    read_sources(profile)
    profile.overhead = {"runs_counted": 0.0}
    profile.notes = ["instructions as they stand in the code, once each however often they run: no cache was simulated"]
    return profile


def _functions(build: Any) -> Iterator[tuple[ObjectCode, Symbol]]:
    """Yield the functions that the build consists of: itself and what it reaches."""
    for signature in build.signatures:
        captured, name = capture.object_of(build, signature)
        by_name = captured.code.functions_by_name
        for part in reached_parts(captured.code, name):
            if part.label in by_name:
                yield captured.code, by_name[part.label]


def _unlined(symbol: Symbol) -> Line:
    return Line(short_name(readable_name(symbol.name)), "", 0)


def _kinds(each: Instruction) -> Iterator[str]:
    """Yield the counters, beside the main one, that an instruction counts for."""
    if "[" in each.operands and not each.mnemonic.startswith(("lea", "nop")):
        first = each.operands.partition(",")[0]
        yield "stores" if "[" in first and not each.mnemonic.startswith(("cmp", "test")) else "loads"
    if _packed(each) is not None:
        yield "vector"
    if each.mnemonic.startswith("j"):
        yield "jumps"
    if each.mnemonic == "call":
        yield "calls"
    if "lock" in each.mnemonic or (each.mnemonic == "xchg" and "[" in each.operands):
        yield "atomics"
