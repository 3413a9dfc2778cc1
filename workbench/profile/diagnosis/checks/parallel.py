"""``prange`` that does not pay: starting the threads costs more than they save; or prange without ``parallel=True``."""

from __future__ import annotations

import ast

from workbench.profile.diagnosis.model import Fix, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "parallel loops that do not pay"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report parallel regions that run faster serially, prange that runs serially, and parallel=True without effect."""
    lines = _prange_lines(subject)
    parallel = bool(subject.options.get("parallel"))
    if parallel:
        regions = subject.result.library.get_llvm_str().count("@numba_parallel_for")
        return [_pays_not(lines or [subject.first_line], regions)] if regions else [_no_effect(subject)]
    return [_serial(lines)] if lines else []


def _pays_not(lines: list[int], regions: int) -> Suspicion:
    return Suspicion(
        check="parallel",
        lines=tuple(lines),
        what="The loop is handed to several threads, but handing over costs more than they save at this size.",
        evidence=f"LLVM IR: {regions} references to numba_parallel_for; both builds were timed",
        fix="Drop parallel=True for this size, or let one call do more work.",
        tries=(Fix("parallel=False", {"parallel": False}, tolerance=1e-9),),
    )


def _serial(lines: list[int]) -> Suspicion:
    return Suspicion(
        check="parallel",
        lines=tuple(lines),
        what="prange stands here, but the function is compiled without parallel=True, so the loop runs on one thread.",
        evidence="the function's options, and no call of numba_parallel_for in the LLVM IR",
        fix="Compile with parallel=True, or write range.",
        tries=(Fix("parallel=True", {"parallel": True}, tolerance=1e-9),),
    )


def _no_effect(subject: Subject) -> Suspicion:
    return Suspicion(
        check="parallel",
        lines=(subject.first_line,),
        what="parallel=True is set, but nothing in the function was made parallel.",
        evidence="LLVM IR: no reference to numba_parallel_for",
        fix="Drop parallel=True (it only costs compile time), or write prange for the loop that is independent.",
        tries=(Fix("parallel=False", {"parallel": False}, tolerance=1e-9),),
        stands=True,
    )


def _prange_lines(subject: Subject) -> list[int]:
    lines = []
    for node in ast.walk(subject.tree):
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
            called = node.iter.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("prange", "pndindex"):
                lines.append(node.lineno)
    return lines
