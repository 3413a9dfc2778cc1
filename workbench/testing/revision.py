"""A function as it is now against the same function of a git revision, in processes that take turns."""

from __future__ import annotations

import sys
from typing import Any

from workbench.errors import InputError
from workbench.measure.driver import Report, Request
from workbench.measure.function_name import FunctionName
from workbench.measure.git import resolve
from workbench.measure.revisions import arms_of, source_of
from workbench.measure.turns import measure_in_turns


def measure_against(request: Request, function: FunctionName, revision: str, progress: Any) -> tuple[Report, str, str]:
    """Measure what `request` names in `revision` and in the working tree; return the report and the two labels.

    Raises InputError for no repository, an unknown revision, or one that does not have the function's module.
    """
    source = source_of([function.module], [path for path in sys.path if path])
    then = resolve(source.repository, revision)
    if then.commit is None:
        raise InputError("--performance-against names the working tree, which is compared with: name a commit")
    with arms_of(source, [then, resolve(source.repository, ".")]) as arms:
        report = measure_in_turns(request, arms, progress)
        return report, arms[0].label, arms[1].label
