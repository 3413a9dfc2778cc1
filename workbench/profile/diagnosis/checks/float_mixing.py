"""Numbers that turn into float64 by mixing: int64 with uint64, float32 with a plain constant, ``int(a / b)``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from numba.core import types

from workbench.profile.diagnosis.model import Fix, Rewrite, Suspicion
from workbench.profile.diagnosis.rewrites import Replacing, numpy_cast
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "integers or float32 that turn into float64 in a loop"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report the operations whose typed IR yields float64 from other types, and whose conversion stays in a loop."""
    converted = _lines_with(subject, ("sitofp", "uitofp"))
    widened = _lines_with(subject, ("fpext",)) & _lines_with(subject, ("fptrunc",))
    back = _lines_with(subject, ("fptosi", "fptoui"))
    back |= {i.line for i in subject.instructions(in_loop=True) if i.line and "@llvm.fpto" in i.text}
    turned = _turned_to_float(subject)
    unsigned, single, divided = set(), set(), set()
    for line, statement in subject.assignments("binop", "inplace_binop"):
        expression = statement.value
        sides = (subject.type_of(expression.lhs), subject.type_of(expression.rhs))
        result = subject.type_of(statement.target)
        if result != types.float64:
            continue
        mixed = _signed_with_unsigned(*sides) or (types.uint64 in sides and _name_of(statement.target) in turned)
        if line in converted and mixed:
            unsigned.add(line)
        elif line in widened and _single_with_other(*sides):
            single.add(line)
        elif line in converted & back and expression.fn is operator.truediv and _both_integers(*sides):
            divided.add(line)
    return [
        *_suspect(unsigned, _UNSIGNED, _casts(subject, unsigned, "uint64", _is_signed), stands=True),
        *_suspect(single, _SINGLE, _casts(subject, single, "float32", _is_wide)),
        *_suspect(divided, _DIVIDED, _whole_division(divided)),
    ]


_UNSIGNED = (
    "Signed and unsigned 64-bit integers are mixed: both turn into float64, which loses whole numbers above 2**53.",
    "typed IR: int64 with uint64 gives float64; LLVM IR: sitofp or uitofp inside the loop",
    "Make both unsigned: np.uint64(31) for the constant, and the same type for the variable's first value.",
    "all of it uint64",
    1e-9,
)
_SINGLE = (
    "float32 data are widened to float64 by a constant or a wide number, and cut back when stored.",
    "typed IR: float32 with a wider type gives float64; LLVM IR: fpext and fptrunc inside the loop",
    "Write the constant as np.float32(0.5), outside the loop if it is a variable.",
    "constants as np.float32",
    1e-5,
)
_DIVIDED = (
    "Integers are divided as float64 and turned back into an integer.",
    "typed IR: true division of integers; LLVM IR: sitofp and fptosi inside the loop",
    "Write a // b (for positive numbers the same), or a shift for a power of two.",
    "int(a / b) as a // b",
    0.0,
)


def _suspect(
    lines: set[int], words: tuple[str, str, str, str, float], rewrite: Rewrite, *, stands: bool = False
) -> list[Suspicion]:
    """Return the suspicion on `lines`, if there are any. `stands`: it loses whole numbers, whatever the fix gains."""
    if not lines:
        return []
    what, evidence, fix, label, tolerance = words
    tried = Fix(label, rewrite=rewrite, tolerance=tolerance)
    return [Suspicion("float_mixing", tuple(sorted(lines)), what, evidence, fix, (tried,), stands=stands)]


def _lines_with(subject: Subject, opcodes: tuple[str, ...]) -> set[int]:
    return {i.line for i in subject.instructions(in_loop=True) if i.line is not None and i.opcode in opcodes}


def _is_signed(kind: Any) -> bool:
    return isinstance(kind, types.Integer) and bool(getattr(kind, "signed", False))


def _is_wide(kind: Any) -> bool:
    return kind == types.float64 or isinstance(kind, types.Integer)


def _is_unsigned(kind: Any) -> bool:
    return bool(kind == types.uint64)


def _both_integers(a: Any, b: Any) -> bool:
    return isinstance(a, types.Integer) and isinstance(b, types.Integer)


def _signed_with_unsigned(a: Any, b: Any) -> bool:
    return (_is_signed(a) and _is_unsigned(b)) or (_is_unsigned(a) and _is_signed(b))


def _turned_to_float(subject: Subject) -> set[str]:
    """Return the variables that begin as integers and are float64 later: mixing did that at their first turn."""
    kinds = subject.named_types()
    return {
        name
        for name, found in kinds.items()
        if types.float64 in found and any(isinstance(kind, types.Integer) for kind in found)
    }


def _name_of(variable: Any) -> str:
    return str(getattr(variable, "name", "")).split(".")[0]


def _single_with_other(a: Any, b: Any) -> bool:
    return (a == types.float32 and _is_wide(b)) or (b == types.float32 and _is_wide(a))


def _casts(subject: Subject, lines: set[int], to: str, wanted: Callable[[Any], bool]) -> Rewrite:
    """Return the rewrite that casts, on `lines`, the constants and the variables of a type that is `wanted`.

    The first value of each variable that those lines assign to is cast too: it would decide the type otherwise.
    """
    kinds = subject.named_types()

    def operand(node: ast.AST) -> bool:
        if isinstance(node, ast.Constant):
            return type(node.value) is int or (type(node.value) is float and to == "float32")
        return isinstance(node, ast.Name) and node.id in kinds and any(wanted(kind) for kind in kinds[node.id])

    def change(node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.BinOp):
            before = node.left, node.right
            node.left = numpy_cast(to, node.left) if operand(node.left) else node.left
            node.right = numpy_cast(to, node.right) if operand(node.right) else node.right
            return node if before != (node.left, node.right) else None
        if isinstance(node, ast.AugAssign) and operand(node.value):
            node.value = numpy_cast(to, node.value)
            return node
        return None

    def rewrite(tree: ast.FunctionDef) -> bool:
        replacing = Replacing(lines, change)
        replacing.visit(tree)
        names = _targets(tree, lines)
        for statement in ast.walk(tree):
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
                target = statement.targets[0]
                if isinstance(target, ast.Name) and target.id in names and operand(statement.value):
                    statement.value = numpy_cast(to, statement.value)
                    replacing.changed += 1
        return replacing.changed > 0

    return rewrite


def _targets(tree: ast.FunctionDef, lines: set[int]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AugAssign)) and node.lineno in lines:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


def _whole_division(lines: set[int]) -> Rewrite:
    def change(node: ast.AST) -> ast.AST | None:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int"):
            return None
        inner = node.args[0] if node.args else None
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Div):
            return ast.BinOp(inner.left, ast.FloorDiv(), inner.right)
        return None

    def rewrite(tree: ast.FunctionDef) -> bool:
        replacing = Replacing(lines, change)
        replacing.visit(tree)
        return replacing.changed > 0

    return rewrite
