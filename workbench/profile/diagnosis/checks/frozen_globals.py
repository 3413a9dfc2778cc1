"""Frozen globals: Numba compiles a global's or closure's value in; a later change is not seen."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import Any

import numpy as np
from numba.core import ir

from workbench.profile.diagnosis.model import Fix, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "a global that changes was compiled in as a constant"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report arrays that were copied into the code, and scalars whose global is assigned more than once."""
    suspicions = []
    for name, (line, value) in subject.constants().items():
        if isinstance(value, np.ndarray):
            suspicions.append(_array(subject, name, line, value))
        elif isinstance(value, (bool, int, float, complex, np.number)):
            stale = _compiled_value(subject, name)
            if stale is not None and not _same(stale, value):
                suspicions.append(_stale(name, line, stale, value))
            elif _assigned_again(subject, name):
                suspicions.append(_scalar(name, line, value))
    return suspicions


def _array(subject: Subject, name: str, line: int, value: np.ndarray) -> Suspicion:
    size = f"{value.nbytes:,} bytes"
    return Suspicion(
        check="frozen_globals",
        lines=(line,),
        what=f"The array {name} was copied into the machine code ({size}) when it was compiled: changes are not seen.",
        evidence=f"typed IR: {name}, {value.dtype}{list(value.shape)}, stored as a constant",
        fix=f"Pass {name} as an argument.",
        tries=(Fix(f"{name} as an argument", **_as_argument(name, value)),),
        stands=True,
    )


def _stale(name: str, line: int, compiled: Any, now: Any) -> Suspicion:
    return Suspicion(
        check="frozen_globals",
        lines=(line,),
        what=f"The compiled code uses {name} = {compiled!r}, but {name} is {now!r} now.",
        evidence=f"typed IR of the overload that is in use: constant {compiled!r}; the global was read just now",
        fix=f"Pass {name} as an argument, or recompile with fn.recompile() after a change.",
        tries=(Fix(f"{name} as an argument", **_as_argument(name, now)),),
        stands=True,
    )


def _scalar(name: str, line: int, value: Any) -> Suspicion:
    return Suspicion(
        check="frozen_globals",
        lines=(line,),
        what=f"{name} = {value!r} is compiled in as a constant, but the program assigns to {name} again elsewhere.",
        evidence=f"typed IR: global {name} as a constant; source: {name} is assigned in a function or more than once",
        fix=f"Pass {name} as an argument.",
        tries=(Fix(f"{name} as an argument", **_as_argument(name, value)),),
        stands=True,
    )


def _as_argument(name: str, value: Any) -> dict[str, Any]:
    """Return a fix's rewrite and arguments that add `name` as a last argument."""

    def rewrite(tree: ast.FunctionDef) -> bool:
        tree.args.args.append(ast.arg(name))
        return True

    return {"rewrite": rewrite, "arguments": lambda arguments: (*arguments, value), "any_signature": True}


def _compiled_value(subject: Subject, name: str) -> Any:
    """Return the value that an overload compiled earlier has taken for the global; None where it is not known."""
    for result in subject.dispatcher.overloads.values():
        annotation = getattr(result, "type_annotation", None)
        for block in getattr(annotation, "blocks", {}).values():
            for statement in block.body:
                value = statement.value if isinstance(statement, ir.Assign) else None
                if isinstance(value, (ir.Global, ir.FreeVar)) and value.name == name:
                    return value.value
    return None


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or a != a)


def _assigned_again(subject: Subject, name: str) -> bool:
    """Whether the module (or the notebook's cells) assign to the global in more than one place."""
    module = sys.modules.get(subject.py_func.__module__)
    try:
        source = inspect.getsource(module) if module is not None else ""
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return False
    assigned = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Global) and name in node.names:
            return True
    for statement in tree.body:
        for node in ast.walk(statement) if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)) else ():
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                assigned += 1
    return assigned > 1
