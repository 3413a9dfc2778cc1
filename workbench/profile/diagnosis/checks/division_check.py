"""Division checks: ``error_model='python'`` tests each divisor for zero and may raise, which also stops vectors."""

from __future__ import annotations

import operator

from workbench.profile.diagnosis.model import Fix, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "a test for division by zero in a loop"

DIVISIONS = (operator.truediv, operator.floordiv, operator.mod, operator.itruediv, operator.ifloordiv, operator.imod)


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report the divisions in a loop whose test for zero is still in the optimized IR."""
    if subject.options.get("error_model", "python") != "python":
        return []
    divided = {
        line for line, statement in subject.assignments("binop", "inplace_binop") if statement.value.fn in DIVISIONS
    }
    raised = [line for line in subject.raised_in_loops("ZeroDivisionError") if line in divided]
    if not raised:
        return []
    return [
        Suspicion(
            check="division_check",
            lines=tuple(sorted(set(raised))),
            what="Each division tests its divisor for zero, to raise as Python does; the branch also stops vectors.",
            evidence=f"LLVM IR: {len(raised)} × a branch from inside a loop to a raise of ZeroDivisionError",
            fix="Compile with error_model='numpy' and check the divisors yourself where zero can happen.",
            tries=(Fix("error_model='numpy'", {"error_model": "numpy"}, tolerance=1e-12),),
        )
    ]
