"""How much of the machine other programs keep busy while something is timed.

What interleaving cancels is what hits both sides alike. A program beside does not: it takes cache, memory bandwidth and
at times the core itself, from one side more than from the other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path


class OtherLoad:
    """Watches from its making until `cores` is asked; `own` are the processes whose work is not another program's."""

    def __init__(self, own: Sequence[int], proc: Path = Path("/proc")):
        self._own, self._proc = tuple(own), proc
        self._began = time.monotonic()
        self._before = self._busy_s()

    def cores(self) -> float | None:
        """Return how many cores other programs kept busy on average; None where Linux does not say."""
        now, elapsed = self._busy_s(), time.monotonic() - self._began
        if now is None or self._before is None or elapsed <= 0:
            return None
        return max((now - self._before) / elapsed, 0.0)

    def _busy_s(self) -> float | None:
        """Return for how many seconds all cores together have worked for others since the start of the machine."""
        try:
            fields = (self._proc / "stat").read_text().partition("\n")[0].split()
            user, nice, system, _, _, irq, softirq = map(int, fields[1:8])
            own = sum(self._own_ticks(pid) for pid in self._own)
        except (OSError, ValueError):
            return None
        mine = os.times()
        return (user + nice + system + irq + softirq - own) / os.sysconf("SC_CLK_TCK") - mine.user - mine.system

    def _own_ticks(self, pid: int) -> int:
        fields = (self._proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
