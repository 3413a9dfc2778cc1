"""The map by which Linux perf names code without a file: ``/tmp/perf-PID.map``, a line for each run of machine code.

Format: Linux, tools/perf/Documentation/jit-interface.txt: start and size in hexadecimal, then the name.
"""

from __future__ import annotations

from pathlib import Path

from workbench.profile.counted import Counted
from workbench.profile.formats._machine_code import machine_code


def perf_map(profile: Counted) -> str:
    """Return the map of this process: ``function:file.py:42`` for each run of code that comes from one line.

    So every tool that reads such maps draws flame graphs by line. perf looks for the map of process 123 in
    ``/tmp/perf-123.map`` when it reports, not when it records: copy the file there first.
    """
    rows = []
    for function in machine_code(profile):
        for run in function.runs:
            place = f":{Path(run.file).name}:{run.line}" if run.line else ""
            name = f"{function.name}{place}".replace("\n", " ")
            rows.append(f"{run.begin:x} {run.size_bytes:x} {name}\n")
    return "".join(rows)
