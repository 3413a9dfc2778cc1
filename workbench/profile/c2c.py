"""``perf c2c``: which cache lines are passed between cores, counted by hardware. Whether it works is tried once."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

from workbench import abilities


@functools.cache
def missing() -> str | None:
    """Return why perf c2c cannot record here, as one clause; None where it did in a trial."""
    ability = abilities.perf()
    if not ability.works:
        return ability.reason
    with tempfile.TemporaryDirectory(prefix="workbench-c2c-") as folder:
        command = ["perf", "c2c", "record", "-o", str(Path(folder) / "data"), "--", "true"]
        try:
            tried = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            return f"perf c2c could not be tried: {error}"
    if tried.returncode == 0:
        return None
    told = [line.strip() for line in (tried.stderr + tried.stdout).splitlines() if line.strip()]
    return f"perf c2c says: {told[-1] if told else f'nothing, and it ended with {tried.returncode}'}"
