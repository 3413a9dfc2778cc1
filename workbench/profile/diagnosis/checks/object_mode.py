"""Object mode: the function, or all of it but a lifted loop, is run by the Python interpreter."""

from __future__ import annotations

from workbench.profile.diagnosis.model import Fix, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "object mode: runs through the interpreter's C API"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report a function that Numba compiled in object mode, with the loops that it could lift out."""
    if not subject.result.objectmode:
        return []
    lifted = list(subject.result.lifted)
    text = subject.result.library.get_llvm_str()
    calls = text.count("call ") and text.count("@PyNumber_") + text.count("@PyObject_")
    evidence = f"Numba's compile result: object mode; LLVM IR: {calls} uses of PyObject_ and PyNumber_ functions"
    if lifted:
        starts = ", ".join(str(loop.lifted_from[1].loc.line if _has_line(loop) else loop) for loop in lifted)
        evidence += f"; loops lifted out and compiled apart: lines {starts}"
    fix = Fix("nopython mode", {"forceobj": False, "nopython": True, "looplift": False}, tolerance=1e-9)
    return [
        Suspicion(
            check="object_mode",
            lines=(subject.first_line,),
            what="The function is compiled in object mode: each operation is a call into the interpreter.",
            evidence=evidence,
            fix="Compile it with @njit, and replace what nopython mode refuses; the trial below names it.",
            tries=(fix,),
            stands=True,
        )
    ]


def _has_line(loop: object) -> bool:
    try:
        return bool(loop.lifted_from[1].loc.line)  # type: ignore[attr-defined]
    except (AttributeError, IndexError, TypeError):
        return False
