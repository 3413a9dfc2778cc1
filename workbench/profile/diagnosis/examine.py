"""``diagnose(fn, *args)``: what a Numba expert would say about a function, with the measured effect of each fix."""

from __future__ import annotations

import time
import warnings
from typing import Any

from numba.core.errors import NumbaWarning

from workbench.profile.diagnosis.display import as_html, as_text
from workbench.profile.diagnosis.model import Finding, Findings, Fix, Suspicion
from workbench.profile.diagnosis.registry import WITHOUT_TYPES, checks
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

RACE_S = 0.25
NEARLY = 0.9  # of two fixes within a tenth of each other the smaller change is the better advice
COMBINED = {
    "bounds_check",
    "division_check",
    "float_order",
}  # their fixes are options, and stand in each other's way
ADDS = 1.1
LONGEST_TYPE = 60


class Diagnosis(Findings):
    """The findings for one function and one set of arguments. Displays itself, as text and as HTML."""

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def diagnose(function: Any, *arguments: Any, measure: bool = True, seconds: float = RACE_S) -> Diagnosis:
    """Diagnose a compiled function for these arguments, and try the fixes that can be tried.

    `function` is a dispatcher of ``numba.njit`` or ``numba.jit``, or a plain function that is then compiled. Nothing is
    done to it or to the arguments: all trials run on copies. `seconds` is the time for one comparison of two builds;
    ``measure=False`` tries nothing and reports what the code shows. Raises InputError, one sentence, when the function
    has no source or does not compile for the arguments.
    """
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumbaWarning)
        subject = Subject(function, arguments)
        trials = Trials(subject, seconds)
        suspicions = [
            suspicion
            for check in checks()
            if check.name in WITHOUT_TYPES or not subject.result.objectmode
            for suspicion in check.look(subject, trials)
        ]
        judged = [judge(suspicion, trials) if measure else Finding(suspicion, (), True) for suspicion in suspicions]
        judged = together(judged, trials) if measure else judged
    return Diagnosis(
        name=subject.name,
        file=subject.file,
        first_line=subject.first_line,
        source_lines=tuple(subject.source_lines),
        signature=f"({', '.join(_short(str(kind)) for kind in subject.argument_types)})",
        findings=tuple(sorted((f for f in judged if f.confirmed), key=lambda finding: -finding.speedup)),
        dismissed=tuple(finding for finding in judged if not finding.confirmed),
        seconds=time.perf_counter() - began,
    )


def _short(kind: str) -> str:
    """Return the name of a type, cut where it lists the fields of a record or of a state."""
    return (
        kind if len(kind) <= LONGEST_TYPE else f"{kind[: kind.index('(')] if '(' in kind else kind[:LONGEST_TYPE]}(…)"
    )


def judge(suspicion: Suspicion, trials: Trials) -> Finding:
    """Try the fixes of one suspicion, and confirm it or not.

    Of several fixes the smallest that gains nearly as much as the best is put first. A suspicion with no fix that can
    be tried stands on its evidence.
    """
    if suspicion.measured is not None:
        effects = [suspicion.measured()]
    else:
        effects = [effect for effect in map(trials.measure, suspicion.tries) if effect is not None]
    paying = [effect for effect in effects if effect.pays]
    if paying:
        best = max(effect.speedup for effect in paying)
        chosen = next(effect for effect in paying if effect.speedup >= NEARLY * best)
        effects = [chosen, *[effect for effect in effects if effect is not chosen]]
    return Finding(suspicion, tuple(effects), bool(paying) or suspicion.stands or not effects)


def together(judged: list[Finding], trials: Trials) -> list[Finding]:
    """Try all changes of options at once: one may pay only when another is out of its way, as for vectors.

    A suspicion is confirmed, and the whole put first, when all changes together are faster by `ADDS` than each one of
    them alone and than all but its own.
    """
    options = {id(finding): fix for finding in judged if (fix := _option_fix(finding.suspicion))}
    if len(options) < 2:
        return judged
    whole = trials.measure(_merged(list(options.values())))
    alone = max(finding.speedup for finding in judged if id(finding) in options)
    if whole is None or not whole.pays or whole.speedup <= ADDS * alone:
        return judged
    confirmed = set()
    for finding in judged:
        if id(finding) not in options:
            continue
        rest = trials.measure(_merged([fix for key, fix in options.items() if key != id(finding)]))
        if rest is not None and not rest.refused and whole.speedup > ADDS * rest.speedup:
            confirmed.add(id(finding))
    return [
        Finding(finding.suspicion, (whole, *finding.effects), True) if id(finding) in confirmed else finding
        for finding in judged
    ]


def _option_fix(suspicion: Suspicion) -> Fix | None:
    return suspicion.tries[-1] if suspicion.check in COMBINED else None  # the last has the most flags


def _merged(fixes: list[Fix]) -> Fix:
    """Return one fix that makes all the changes of options."""
    merged: dict[str, Any] = {}
    for fix in fixes:
        for name, value in fix.options.items():
            merged[name] = merged[name] | value if isinstance(value, set) and name in merged else value
    label = ", ".join(_option_told(name, value) for name, value in merged.items())
    return Fix(label, merged, tolerance=max(fix.tolerance for fix in fixes))


def _option_told(name: str, value: Any) -> str:
    return f"{name}={{{', '.join(map(repr, sorted(value)))}}}" if isinstance(value, set) else f"{name}={value!r}"
