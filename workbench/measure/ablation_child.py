"""One arm of an ablation: without a probe, pinned only where that is switched on, and asked what it computed.

Without a probe half as much is compiled, and a step's worth is told from whole runs, which no stamp is part of.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.measure import switches, turns_child
from workbench.measure.alike import digest
from workbench.measure.child import Driver
from workbench.measure.turns_child import Party
from workbench.measure.turns_job import TurnsJob


def work(text: str, driver: Driver) -> None:
    """Prepare, then answer each question until the last."""
    turns_child.work(text, driver, SwitchedParty)


class SwitchedParty(Party):
    """What one arm holds; it answers `told` besides."""

    def __init__(self, job: TurnsJob, driver: Driver):
        self._cores = os.sched_getaffinity(0)
        super().__init__(job, driver)

    def calibrate(self) -> dict[str, Any]:
        """Measure the clock on one core; then let the process move, where it is to be unpinned, and build no probe."""
        answer = super().calibrate()
        self._clock = None
        if switches.switched("unpinned"):
            os.sched_setaffinity(0, self._cores)
            answer["core"] = None
        return answer

    def told(self, name: str) -> dict[str, Any]:
        """Tell what one variant computed of the whole input, and how much of this process lies on huge pages."""
        return {"digest": digest(self._subjects[name].out).hex(), "huge_bytes": huge_bytes()}


def huge_bytes(file: Path = Path("/proc/self/smaps_rollup")) -> int:
    """Return how many bytes of this process lie on huge pages now; 0 where Linux does not tell."""
    try:
        for line in file.read_text().splitlines():
            if line.startswith("AnonHugePages:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
