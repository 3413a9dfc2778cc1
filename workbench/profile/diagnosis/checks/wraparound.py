"""Wraparound: an index that could be negative costs a compare, a select and an add at each access.

Numba leaves them out where it can prove that the index is not negative, as for the variable of a ``range``. What it
reads from an array it cannot prove. An unsigned index needs no such code.
"""

from __future__ import annotations

import ast

from numba.core import types

from workbench.profile.diagnosis.llvm_text import Function
from workbench.profile.diagnosis.model import Fix, Rewrite, Suspicion
from workbench.profile.diagnosis.rewrites import Replacing, numpy_cast
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "negative indices are allowed for in a loop"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report the lines where a test of an index's sign and a correction by the length remain inside a loop."""
    found = {line for function in subject.functions for line in _corrected_lines(function)}
    lines = sorted(found & _signed_index_lines(subject))
    if not lines:
        return []
    count = sum(1 for function in subject.functions for _ in _corrected_lines(function))
    return [
        Suspicion(
            check="wraparound",
            lines=tuple(lines),
            what="The index is signed, so each access tests whether it is negative and then adds the length.",
            evidence=f"LLVM IR: {count} × compare with 0 and select of the length, inside a loop",
            fix="Index with an unsigned value, as a[np.uint64(i)], or keep the index array unsigned.",
            tries=(Fix("unsigned index", rewrite=unsigned_indices(set(lines)), guard=True),),
        )
    ]


def _corrected_lines(function: Function) -> list[int]:
    """Return the line of each ``x < 0 ? length : 0`` (or ``x < 0 ? x + length : x``) inside a loop."""
    defined = function.definitions()
    lines = []
    for instruction in function.instructions():
        if not instruction.in_loop or instruction.line is None:
            continue
        operands = [defined.get(name) for name in instruction.operands]
        sign_tests = [
            test
            for test in operands
            if test is not None
            and test.opcode in ("icmp", "ashr", "lshr")
            and (
                "icmp slt i64" in test.text
                or "icmp sgt i64" in test.text
                or "hr i64" in test.text
                or "> %" in test.text
            )
            and _tests_sign(test.text)
        ]
        if instruction.opcode in ("select", "and") and sign_tests and "i64" in instruction.text:
            lines.append(instruction.line)
    return lines


def _tests_sign(text: str) -> bool:
    body = text.split(", !dbg")[0]
    return body.endswith((", 0", ", -1", ", 63", "zeroinitializer", "splat (i64 -1)", "splat (i64 63)"))


def _signed_index_lines(subject: Subject) -> set[int]:
    lines = set()
    for line, statement in subject.assignments("getitem"):
        lines.update({line} if _signed(subject.type_of(statement.value.index)) else set())
    for typed in subject.statements:
        if type(typed.statement).__name__ == "SetItem" and _signed(subject.type_of(typed.statement.index)):
            lines.add(typed.line)
    return lines


def _signed(kind: object) -> bool:
    if isinstance(kind, (types.UniTuple, types.Tuple)):
        return any(_signed(part) for part in kind)
    return isinstance(kind, types.Integer) and bool(getattr(kind, "signed", False))


def unsigned_indices(lines: set[int]) -> Rewrite:
    """Return the rewrite of ``a[i]`` to ``a[np.uint64(i)]`` on `lines`. Slices, constants and tuples' slices stay."""

    def wrap(index: ast.expr) -> ast.expr:
        if isinstance(index, ast.Tuple):
            index.elts = [wrap(part) for part in index.elts]
            return index
        if isinstance(index, (ast.Slice, ast.Constant)) or (
            isinstance(index, ast.UnaryOp) and isinstance(index.operand, ast.Constant)
        ):
            return index
        return ast.copy_location(numpy_cast("uint64", index), index)

    def change(node: ast.AST) -> ast.AST | None:
        if not isinstance(node, ast.Subscript):
            return None
        node.slice = wrap(node.slice)
        return node

    def rewrite(tree: ast.FunctionDef) -> bool:
        replacing = Replacing(lines, change)
        replacing.visit(tree)
        return replacing.changed > 0

    return rewrite
