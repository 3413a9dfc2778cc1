"""Changes of a function's syntax tree that the checks share. Each rewrite says whether it found something to change."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

Loop = ast.For | ast.While


def loops_around(tree: ast.FunctionDef, line: int) -> list[Loop]:
    """Return the loops whose body holds `line`, outermost first."""
    found: list[Loop] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.For, ast.While)) and node.body[0].lineno <= line <= (node.end_lineno or line)
    ]
    return sorted(found, key=lambda loop: (loop.lineno, -(loop.end_lineno or 0)))


def names_stored(node: ast.AST) -> set[str]:
    """Return the names that are assigned to anywhere in `node`, loop variables included."""
    return {
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, (ast.Store, ast.Del))
    }


def names_read(node: ast.AST) -> set[str]:
    """Return the names that `node` reads."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def invariant_in(node: ast.AST, loop: Loop) -> bool:
    """Whether `node` reads no name that `loop` assigns to, and calls nothing: it may then be worked out before it."""
    return not names_read(node) & names_stored(loop)


def bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Iterate over every list of statements in `tree`."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                yield block


def insert_before(tree: ast.FunctionDef, statement: ast.stmt, new: list[ast.stmt]) -> None:
    """Put `new` right before `statement`, on its line."""
    for block in bodies(tree):
        for index, own in enumerate(block):
            if own is statement:
                for fresh in new:
                    ast.copy_location(fresh, statement)
                block[index:index] = new
                return


def replace_statement(tree: ast.FunctionDef, statement: ast.stmt, new: list[ast.stmt]) -> None:
    """Put `new` in the place of `statement`."""
    for block in bodies(tree):
        for index, own in enumerate(block):
            if own is statement:
                for fresh in new:
                    ast.copy_location(fresh, statement)
                block[index : index + 1] = new
                return


class Replacing(ast.NodeTransformer):
    """Replaces the expressions that `change` returns something else for, on the given lines; children first."""

    def __init__(self, lines: set[int], change: Callable[[ast.AST], ast.AST | None]):
        self.lines = lines
        self.change = change
        self.changed = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit children, then the node itself."""
        super().generic_visit(node)
        if getattr(node, "lineno", None) in self.lines:
            new = self.change(node)
            if new is not None:
                self.changed += 1
                return ast.copy_location(new, node)
        return node


def numpy_cast(kind: str, node: ast.expr) -> ast.Call:
    """Return ``np.kind(node)``."""
    return ast.Call(ast.Attribute(ast.Name("__np", ast.Load()), kind, ast.Load()), [node], [])
