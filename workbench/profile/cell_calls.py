"""Which compiled functions a cell calls, and with which arguments: what ``%%diagnose`` and ``%%cache`` look at."""

from __future__ import annotations

import ast
import inspect
from typing import Any

from workbench.codemap.build import is_compiled_function
from workbench.profile.diagnosis.arguments import copied

RECORDER = "__workbench_call__"


class Calls:
    """Records calls of compiled functions; the last one of each function is kept, with copies of its arguments."""

    def __init__(self) -> None:
        self.last: dict[Any, tuple[Any, ...]] = {}

    def __call__(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call `function`, and keep the arguments as they were before the call."""
        if is_compiled_function(function):
            bound = inspect.signature(function.py_func).bind(*arguments, **named)
            bound.apply_defaults()
            self.last[function] = tuple(copied(value) for value in bound.args)
        return function(*arguments, **named)


class Recorded(ast.NodeTransformer):
    """Rewrites ``f(x)`` to ``recorder(f, x)`` in the code of a cell; the bodies of functions stay as they are."""

    def visit_Call(self, node: ast.Call) -> ast.AST:  # the name is ast's
        """Rewrite one call of something that has a name."""
        self.generic_visit(node)
        if not isinstance(node.func, (ast.Name, ast.Attribute)) or _is_super(node.func):
            return node
        recorder = ast.copy_location(ast.Name(RECORDER, ast.Load()), node)
        return ast.copy_location(ast.Call(recorder, [node.func, *node.args], node.keywords), node)

    def _as_it_is(self, node: ast.AST) -> ast.AST:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = _as_it_is  # noqa: N815


def _is_super(called: ast.expr) -> bool:
    """Whether this is a call that looks at its caller's frame, and so must stay where it is."""
    return isinstance(called, ast.Name) and called.id in ("super", "locals", "globals", "vars", "dir", "eval", "exec")


def recorded(module: ast.Module) -> ast.Module:
    """Return the code of a cell with its calls recorded."""
    changed: ast.Module = ast.fix_missing_locations(Recorded().visit(module))
    return changed
