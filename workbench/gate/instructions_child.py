"""Counts the instructions of one side: ``python -m workbench.gate.instructions_child``, its job on standard input.

The side's folders go first on the path before anything of ``kernels`` is imported, while this program's own package is
imported already: so the counted code is the side's and the counting code is this one's, also in the processes that run
under valgrind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import write_text
from workbench.parent import end_with_parent


def main(job: dict[str, Any]) -> None:
    """Count what `job` asks for, and write the answer to the file that it names."""
    sys.path[:0] = [path for path in job["paths"] if path not in sys.path]
    from workbench import workloads
    from workbench.measure.job import Setting
    from workbench.measure.preparing import find_variants

    setting = Setting(**job["setting"])
    chosen, _ = find_variants(setting)
    if setting.input_file is not None:
        loaded = workloads.load(setting.input_file)
    else:
        loaded = workloads.parse(setting.workload) if setting.workload else workloads.default()
    events = loaded.events[: job["events"]]
    counts: dict[str, float] = {}
    notes = []
    for kernel, variants in chosen.items():
        known = {parameter.name for parameter in kernel.parameters}
        parameters = {name: value for name, value in setting.parameters.items() if name in known}
        for variant in variants:
            try:
                counts[variant.full_name] = _count(kernel, variant, events, parameters, tuple(setting.modules))
            except WorkbenchError as error:
                notes.append(f"instructions of {variant.full_name} were not counted: {error}")
    write_text(Path(job["answer"]), json.dumps({"counts": counts, "notes": notes}))


def _count(kernel: Any, variant: Any, events: Any, parameters: dict[str, Any], modules: tuple[str, ...]) -> float:
    from workbench.profile.callgrind import profile_variant

    return profile_variant(kernel, variant.name, events, parameters, modules=modules).total


if __name__ == "__main__":
    JOB = json.load(sys.stdin)
    end_with_parent(JOB["parent"])
    try:
        main(JOB)
    except WorkbenchError as error:
        sys.exit(str(error))
