"""Bounds checks: every array access in the build compares its index with the length and may raise."""

from __future__ import annotations

from workbench.profile.diagnosis.model import Fix, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "bounds checks compiled in"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report the lines where a loop can leave by raising IndexError, in a build with bounds checks."""
    raised = subject.raised_in_loops("IndexError") if subject.bounds_checked else []
    if not raised:
        return []
    return [
        Suspicion(
            check="bounds_check",
            lines=tuple(sorted(set(raised))),
            what="Each array access in the loop is checked against the array's length; the branch also stops vectors.",
            evidence=f"LLVM IR: {len(raised)} × a branch from inside a loop to a raise of IndexError",
            fix="Compile with boundscheck=False once the tests have passed with checks; unset NUMBA_BOUNDSCHECK.",
            tries=(Fix("boundscheck=False", {"boundscheck": False}),),
        )
    ]
