"""A gate between two git revisions: their files become folders, and both are measured in turns."""

from __future__ import annotations

from dataclasses import replace

from workbench.gate.running import Gate, GateResult, MakeProgress, Options
from workbench.measure.driver import Request
from workbench.measure.git import resolve
from workbench.measure.revisions import arms_of, source_of


def gate_revisions(
    request: Request, against: str, candidate: str, options: Options, make_progress: MakeProgress
) -> GateResult:
    """Judge `candidate` against the revision `against`; ``.`` is the working tree. Raises as `Gate.run`, InputError."""
    source = source_of(request.modules, request.paths)
    sides = [resolve(source.repository, name) for name in (against, candidate)]
    with arms_of(source, sides) as (base, other):
        chosen = replace(options, commits=(sides[0].commit, sides[1].commit))
        return Gate(request, base, other, chosen, make_progress).run()
