"""What Linux and the hypervisor take from a core: a compiled loop reads the clock and notes every gap between readings.

A loop that only reads the time-stamp counter comes back to it after some 10 ns. Where it comes back later, somebody
else had the core: an interrupt, another program, or the hypervisor, which Linux sees as *steal* at best. The idea is
that of jHiccup (G. Tene) and of ``sysjitter``/``hwlat``; here the loop is pinned, and reads the clock without a call.

The loop takes its core wholly while it runs: it is meant for a core that nobody uses, or for a while before or after
what is measured. On another core than the measured one it costs that one nothing but the shared last-level cache's
attention, of which it uses three lines.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine import atomics, histogram
from kernels.machine.affinity import pinned
from kernels.machine.atomics import RELAXED
from kernels.machine.cycles import read_cycles
from kernels.machine.memory import aligned
from kernels.probe import HIGHEST_NS, SCALE_BITS
from workbench.errors import WorkbenchError
from workbench.measure.clock import measure_clock

THRESHOLD_NS = 1_000
"""A gap counts from 1 us on: a reading takes some 10 ns, an interrupt of Linux takes from about 1 us."""

PERCENTILES = (0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99, 100.0)
_GAPS, _LOST, _LONGEST, _READINGS, _ELAPSED = range(5)  # what `watch` adds up, in ticks where it is a time


@dataclass(frozen=True)
class Jitter:
    """What was taken from one core while the loop ran."""

    core: int
    beside: str  # what ran meanwhile; empty: nothing of ours
    duration_s: float
    readings: int
    threshold_ns: int
    gaps: int
    lost_ns: float  # in gaps, together
    longest_ns: float
    steal_s: float  # of this core, as /proc/stat tells it in ticks of 10 ms
    percentiles_ns: dict[float, float] = field(default_factory=dict)  # of the gaps: percentile: not longer than

    @property
    def share(self) -> float:
        """Return the part of the time that was taken, 0 .. 1."""
        return self.lost_ns / (self.duration_s * 1e9) if self.duration_s else 0.0

    @property
    def gaps_per_s(self) -> float:
        """Return how many gaps there were in a second."""
        return self.gaps / self.duration_s if self.duration_s else 0.0

    @property
    def reading_ns(self) -> float:
        """Return what one turn of the loop takes: gaps shorter than a few of these cannot be seen."""
        return (self.duration_s * 1e9 - self.lost_ns) / max(self.readings, 1)

    @property
    def title(self) -> str:
        """Return where it was measured, in words."""
        return f"jitter of core {self.core}, {f'beside {self.beside}' if self.beside else 'alone'}"

    def counters(self) -> dict[str, float]:
        """Return the figures by name, units last, for a record."""
        found = {
            "duration_s": self.duration_s,
            "share": self.share,
            "gaps_per_s": self.gaps_per_s,
            "gaps": float(self.gaps),
            "longest_ns": self.longest_ns,
            "steal_s": self.steal_s,
            "threshold_ns": float(self.threshold_ns),
            "reading_ns": self.reading_ns,
        }
        return found | {f"p{percentile:g}_ns": value for percentile, value in self.percentiles_ns.items()}


@kernel_jit(_nrt=False)
def watch(counts, sums, stop, threshold_ticks, most_ticks, scale):  # type: ignore[no-untyped-def]
    """Read the clock until ``stop[0]`` is not 0 or `most_ticks` have passed, and note each gap above the threshold.

    `counts` is an HDR histogram (int64) of gaps in ns, `sums` int64[5] of ticks and counts, `scale` ns per tick times
    2**SCALE_BITS. Noting a gap takes some 20 ns, which no gap holds.
    """
    first: Any = read_cycles()  # type: ignore[call-arg]
    last = first
    readings = 0
    while last - first < most_ticks and atomics.load(stop, 0, RELAXED) == 0:  # RELAXED: nothing goes with the word
        now: Any = read_cycles()  # type: ignore[call-arg]
        gap = now - last
        last = now
        readings += 1
        if gap > threshold_ticks:
            histogram.record(counts, (gap * scale) >> SCALE_BITS)
            sums[_GAPS] += 1
            sums[_LOST] += gap
            sums[_LONGEST] = max(sums[_LONGEST], gap)
    sums[_READINGS] = readings
    sums[_ELAPSED] = last - first


class Watch:
    """One loop on one core, in a thread of its own; `stop` ends it and returns what it saw."""

    def __init__(self, core: int, *, seconds: float, beside: str = "", threshold_ns: int = THRESHOLD_NS):
        """Calibrate the clock and begin. Raises WorkbenchError where the time-stamp counter is no clock."""
        clock = measure_clock()
        if clock.source != "tsc":
            raise WorkbenchError("the time-stamp counter of this machine is no clock, so gaps cannot be measured")
        self._core, self._beside, self._threshold_ns = core, beside, threshold_ns
        self._ns_per_tick = clock.ns_per_tick
        self._counts = aligned(histogram.counts_length(HIGHEST_NS), np.int64)
        self._sums = aligned(8, np.int64)
        self._stop = aligned(8, np.int64)
        self._arguments = (
            self._counts,
            self._sums,
            self._stop,
            round(threshold_ns / clock.ns_per_tick),
            round(seconds * 1e9 / clock.ns_per_tick),
            round(clock.ns_per_tick * 2**SCALE_BITS),
        )
        watch(np.zeros_like(self._counts), np.zeros(8, np.int64), np.ones(8, np.int64), 1, 1, 1)  # compiled, not timed
        self._failure: BaseException | None = None
        self._steal_before = steal_s(core)
        self._thread = threading.Thread(target=self._run, name="jitter", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with pinned(self._core) as done:
                if not done:
                    raise WorkbenchError(f"this process may not run on core {self._core}, so its gaps cannot be seen")
                watch(*self._arguments)
        except BaseException as error:
            self._failure = error

    def stop(self) -> Jitter:
        """End the loop and return what it saw. Raises what went wrong in its thread."""
        self._stop[0] = 1
        return self.wait()

    def wait(self) -> Jitter:
        """Wait until its time is over and return what it saw. Raises what went wrong in its thread."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        fractions = np.array(PERCENTILES) / 100.0
        values = histogram.value_at_percentiles(self._counts, fractions)
        sums = [float(value) for value in self._sums]
        gaps = int(sums[_GAPS])
        return Jitter(
            core=self._core,
            beside=self._beside,
            duration_s=sums[_ELAPSED] * self._ns_per_tick / 1e9,
            readings=int(sums[_READINGS]),
            threshold_ns=self._threshold_ns,
            gaps=gaps,
            lost_ns=sums[_LOST] * self._ns_per_tick,
            longest_ns=sums[_LONGEST] * self._ns_per_tick,
            steal_s=max(0.0, steal_s(self._core) - self._steal_before),
            percentiles_ns={p: float(v) for p, v in zip(PERCENTILES, values, strict=True)} if gaps else {},
        )


@contextlib.contextmanager
def watching(core: int, beside: str, seconds: float = 600.0) -> Iterator[list[Jitter]]:
    """Watch `core` while the block runs; the list that it gives holds the answer when the block has ended.

    It stays empty where gaps cannot be measured. `seconds` bound it, should the block never end.
    """
    found: list[Jitter] = []
    try:
        watch_thread: Watch | None = Watch(core, seconds=seconds, beside=beside)
    except WorkbenchError:
        watch_thread = None
    try:
        yield found
    finally:
        if watch_thread is not None:
            with contextlib.suppress(WorkbenchError):
                found.append(watch_thread.stop())


def steal_s(core: int, root: Path = Path("/")) -> float:
    """Return the time that the hypervisor took from `core` since the start, in s; 0 where Linux does not tell."""
    try:
        rows = (root / "proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    for row in rows:
        fields = row.split()
        if fields and fields[0] == f"cpu{core}" and len(fields) > 8 and fields[8].isdigit():
            return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    return 0.0
