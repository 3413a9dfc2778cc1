"""Signatures that recompile: the same function compiled again for arguments that differ in a detail."""

from __future__ import annotations

from collections import Counter
from typing import Any

from numba.core import types

from workbench.profile.diagnosis.model import Effect, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials, refused

HELP = "compiled again for arguments that differ in a detail"

MANY = 4  # overloads; so many for truly different types are rare and worth a look
# Named tuples of different classes are not counted together: who makes a class for each choice wants a body for each.


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report overloads of the person's own dispatcher that differ in integer width, layout, mutability or constness."""
    results = [(signature, result) for signature, result in subject.dispatcher.overloads.items()]
    if len(results) < 2 or not subject.dispatcher._can_compile:
        return []
    plain: dict[tuple[Any, ...], list[int]] = {}
    for index, (signature, _) in enumerate(results):
        plain.setdefault(tuple(_plain(kind) for kind in signature), []).append(index)
    groups = [group for group in plain.values() if len(group) > 1]
    families = Counter(tuple(map(_class_of, signature)) for signature, _ in results)
    if not groups and max(families.values()) < MANY:
        return []
    details = sorted({told for group in groups for told in _differences([results[i][0] for i in group])})
    extra = sum(len(group) - 1 for group in groups) or len(results) - 1
    what = f"Compiled {len(results)} times" + (
        f", {extra} of them for a detail: {'; '.join(details)}." if groups else "."
    )
    signatures = "; ".join(str(signature) for signature, _ in results)
    return [
        Suspicion(
            check="recompiles",
            lines=(subject.first_line,),
            what=what,
            evidence=f"the dispatcher's overloads: {signatures}",
            fix="Convert at the border (int(...), np.ascontiguousarray, one dtype), or give njit explicit signatures.",
            measured=lambda: _compile_effect([result for _, result in results], groups),
            stands=True,
        )
    ]


def _class_of(kind: Any) -> Any:
    """Return the class of a named tuple, the one thing that tells two of them apart; None for any other type."""
    return getattr(kind, "instance_class", None) if isinstance(kind, types.BaseNamedTuple) else None


def _plain(kind: Any) -> Any:
    """Return a type with the details taken away that seldom mean anything to the person who calls."""
    kind = types.unliteral(kind)
    if isinstance(kind, types.Omitted):
        return "omitted"
    if isinstance(kind, types.Optional):
        return _plain(kind.type)
    if isinstance(kind, types.Boolean):
        return kind
    if isinstance(kind, types.Integer):
        return "integer"
    if isinstance(kind, types.Array):
        return ("array", _plain_dtype(kind.dtype), kind.ndim)
    if isinstance(kind, types.UniTuple):
        return ("tuple of one type", _plain(kind.dtype))
    return kind


def _plain_dtype(kind: Any) -> Any:
    return kind


def _differences(signatures: list[tuple[Any, ...]]) -> list[str]:
    told = []
    for position, kinds in enumerate(zip(*signatures, strict=True)):
        names = sorted({str(kind) for kind in kinds})
        if len(names) > 1:
            told.append(f"argument {position + 1} as {' and '.join(names)}")
    return told


def _compile_effect(results: list[Any], groups: list[list[int]]) -> Effect:
    """Return what compiling once instead would have saved, from the times that Numba noted."""
    seconds = [_seconds(result) for result in results]
    total = sum(seconds)
    if not total:
        return refused("one signature", "compile times are not known: these overloads were loaded from a cache")
    spared = sum(seconds[i] for group in groups for i in group[1:]) if groups else total - max(seconds)
    ratio = total / max(total - spared, 1e-9)
    unit = f"compile time of {total:.2f} s in all"
    return Effect("one signature", ratio, ratio, ratio, 1, 0.0, True, unit)


def _seconds(result: Any) -> float:
    """Return the time that Numba noted for the passes and for LLVM of one overload."""
    times = (getattr(result, "metadata", None) or {}).get("pipeline_times", {})
    return float(sum(pass_.run for pipeline in times.values() for pass_ in pipeline.values()))
