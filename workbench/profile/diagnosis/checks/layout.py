"""Arrays of layout ``A``: the stride is known at run time only, so the compiled code cannot load a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import ir, types

from workbench.profile.diagnosis.model import Fix, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "array arguments of unknown stride"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report array arguments typed with layout ``A`` that are read or written inside a loop."""
    names = subject.py_func.__code__.co_varnames[: subject.py_func.__code__.co_argcount]
    strided = [
        (position, name)
        for position, (name, kind) in enumerate(zip(names, subject.argument_types, strict=False))
        if isinstance(kind, types.Array) and kind.layout == "A"
    ]
    suspicions = []
    for position, name in strided:
        lines = sorted(_lines_using(subject, name) & subject.loop_lines())
        if lines:
            suspicions.append(_suspicion(subject, position, name, lines))
    return suspicions


def _suspicion(subject: Subject, position: int, name: str, lines: list[int]) -> Suspicion:
    kind = subject.argument_types[position]
    declared = subject.signature is not None
    contiguous = bool(subject.arguments[position].flags.c_contiguous)
    if declared and contiguous:
        axes = ", ".join([":"] * (kind.ndim - 1) + ["::1"])
        fix = f"Declare {name} as {kind.dtype}[{axes}]."
        tried = Fix(f"signature with {name} contiguous", any_signature=True)
    else:
        fix = f"Pass np.ascontiguousarray({name}); the copy pays when the function reads it more than once."
        tried = Fix(
            f"np.ascontiguousarray({name}), copied before the call",
            arguments=_contiguous(position),
            any_signature=declared,
        )
    return Suspicion(
        check="layout",
        lines=tuple(lines),
        what=f"{name} is compiled as {kind}: its stride is known at run time only, so no vector can be loaded.",
        evidence=f"typed IR: {name} has layout A" + (" by the declared signature" if declared else ""),
        fix=fix,
        tries=(tried,),
    )


def _contiguous(position: int) -> Any:
    def change(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        fresh = np.ascontiguousarray(arguments[position])
        return (*arguments[:position], fresh, *arguments[position + 1 :])

    return change


def _lines_using(subject: Subject, name: str) -> set[int]:
    """Return the lines that read or write an element of the variable."""
    lines = set()
    for line, statement in subject.assignments("getitem", "static_getitem"):
        if _is(statement.value.value, name):
            lines.add(line)
    for typed in subject.statements:
        if isinstance(typed.statement, (ir.SetItem, ir.StaticSetItem)) and _is(typed.statement.target, name):
            lines.add(typed.line)
    return lines


def _is(variable: Any, name: str) -> bool:
    return str(getattr(variable, "name", "")).split(".")[0] == name
