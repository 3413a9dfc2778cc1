"""The optimized LLVM IR of a function as blocks and instructions with source lines, and which of them loop.

llvmlite hands the module over as text; LLVM's optimization remarks are not within its reach. So the checks read the
text: what survived the optimizer, on which line, inside a loop or not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

_DEFINE = re.compile(r'^define .*?@("[^"]+"|[\w.$-]+)\(.*?\{$')
_LABEL = re.compile(r'^("[^"]+"|[\w.$-]+):')
_TARGET = re.compile(r'label %("[^"]+"|[\w.$-]+)')
_DBG = re.compile(r"!dbg !(\d+)")
_METADATA = re.compile(r"^!(\d+) = (?:distinct )?!(DI\w+)\((.*)\)$")
_FIELD = re.compile(r'(\w+): (?:!(\d+)|(\d+)|"([^"]*)")')
_RESULT = re.compile(r'^%("[^"]+"|[\w.$-]+) = ')
_OPCODE = re.compile(r"^(?:(?:tail|musttail|notail) )?(\w+)")
_OPERAND = re.compile(r'%("[^"]+"|[\w.$-]+)')


@dataclass
class Instruction:
    """One instruction: its text, its place in the source, and whether it repeats."""

    text: str
    line: int | None  # of the diagnosed function's file; None where LLVM kept no line
    block: str
    in_loop: bool = False

    @property
    def result(self) -> str | None:
        """Return the name that it defines."""
        found = _RESULT.match(self.text)
        return found.group(1) if found else None

    @property
    def opcode(self) -> str:
        """Return ``fadd``, ``call``, ``select``…"""
        found = _OPCODE.match(_RESULT.sub("", self.text, count=1))
        return found.group(1) if found else ""

    @property
    def operands(self) -> list[str]:
        """Return the local values that it reads."""
        return _OPERAND.findall(_RESULT.sub("", self.text, count=1).split(", !dbg")[0])


@dataclass
class Function:
    """One function of the module, with its blocks in order."""

    name: str
    blocks: dict[str, list[Instruction]] = field(default_factory=dict)
    successors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def instructions(self) -> Iterator[Instruction]:
        """Iterate over all instructions in order."""
        for block in self.blocks.values():
            yield from block

    def definitions(self) -> dict[str, Instruction]:
        """Return the instruction that defines each name."""
        return {instruction.result: instruction for instruction in self.instructions() if instruction.result}


def parse(text: str, first_line: int, last_line: int, file: str) -> list[Function]:
    """Return the functions that carry line information, each instruction with its line and whether it loops.

    An instruction inlined from elsewhere counts for the line of `file`, within the range, that called it.
    """
    places = _Places(text, first_line, last_line, file)
    functions: list[Function] = []
    current: Function | None = None
    block, last = "entry", None
    for raw in text.splitlines():
        opened = _DEFINE.match(raw)
        if opened:
            current = Function(opened.group(1)) if _DBG.search(raw) else None
            block, last = "entry", None
        elif current is None:
            continue
        elif raw == "}":
            _mark_loops(current)
            functions.append(current)
            current = None
        elif _LABEL.match(raw):
            block = _LABEL.match(raw).group(1)  # type: ignore[union-attr]
            current.blocks.setdefault(block, [])
        elif raw.strip() and not raw.lstrip().startswith("#dbg"):
            line = places.line(raw)
            last = line if line is not None else last  # reference counts carry no line: they belong to what precedes
            current.successors[block] += _TARGET.findall(raw)
            current.blocks.setdefault(block, []).append(Instruction(raw.strip(), last, block))
    return functions


class _Places:
    """The debug metadata: from an instruction's location to a line of the diagnosed function."""

    def __init__(self, text: str, first_line: int, last_line: int, file: str):
        self._nodes: dict[str, tuple[str, dict[str, str]]] = {}
        for raw in text.splitlines():
            found = _METADATA.match(raw)
            if found:
                fields = {name: ref or number or string for name, ref, number, string in _FIELD.findall(found.group(3))}
                self._nodes[found.group(1)] = (found.group(2), fields)
        self._range = range(first_line, last_line + 1)
        self._file = file
        self._known: dict[str, int | None] = {}

    def line(self, instruction: str) -> int | None:
        """Return the line for an instruction's text."""
        found = _DBG.search(instruction)
        if not found:
            return None
        reference = found.group(1)
        if reference not in self._known:
            self._known[reference] = self._resolve(reference)
        return self._known[reference]

    def _resolve(self, reference: str | None) -> int | None:
        while reference is not None and reference in self._nodes:
            fields = self._nodes[reference][1]
            line = int(fields.get("line", 0))
            if line in self._range and self._in_file(fields.get("scope")):
                return line
            reference = fields.get("inlinedAt")
        return None

    def _in_file(self, scope: str | None) -> bool:
        seen = 0
        while scope is not None and scope in self._nodes and seen < 20:
            fields = self._nodes[scope][1]
            if "file" in fields and fields["file"] in self._nodes:
                return self._file.endswith(self._nodes[fields["file"]][1].get("filename", "\0"))
            scope, seen = fields.get("scope"), seen + 1
        return False


def _mark_loops(function: Function) -> None:
    """Mark the instructions of every block that can reach itself (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    looping: set[str] = set()
    for root in function.blocks:
        if root in index:
            continue
        work = [(root, iter(function.successors[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, children = work[-1]
            child = next(children, None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    if len(component) > 1 or node in function.successors[node]:
                        looping.update(component)
            elif child not in index:
                index[child] = low[child] = len(index)
                stack.append(child)
                on_stack.add(child)
                work.append((child, iter(function.successors[child])))
            elif child in on_stack:
                low[node] = min(low[node], index[child])
    for name, block in function.blocks.items():
        for instruction in block:
            instruction.in_loop = name in looping
