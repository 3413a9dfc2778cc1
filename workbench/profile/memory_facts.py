"""What a memory profile knows beside its lines: totals, memory over time, faults. Typed, so that it can be kept."""

from __future__ import annotations

import itertools

from pydantic import Field

from workbench import record
from workbench.stats.median import median

GROWTH_FLOOR_BYTES = 256 * 1024  # below this, what an allocator keeps for later passes for growth
FEWEST_LOOKS = 8  # at the memory: of fewer, quarters say nothing
OFTEN = 0.01  # allocations an operation from which a line counts as one of the hot path


class Phase(record.Frozen):
    """A part of a process's life, in seconds since it was started, and the page faults in it."""

    name: str
    began_s: float
    ended_s: float
    minor_faults: int
    major_faults: int


class Watched(record.Frozen):
    """The process without any profiler in it, its memory sampled from outside."""

    calls: int
    duration_s: float
    before_rss_bytes: int
    peak_rss_bytes: int
    peak_is_sampled: bool = False  # the highest of the samples: Linux would not tell the highest there was
    after_rss_bytes: int
    nrt_allocations_per_call: int | None = None  # as Numba counts them; None for what it did not compile
    stopped_early: bool = False  # it took so much memory that no further calls were made
    rss_by_calls: list[tuple[int, int]] = Field(default_factory=list, description="calls done, bytes")
    rss_over_time: list[tuple[float, int]] = Field(default_factory=list, description="s since the start, bytes")
    phases: list[Phase] = Field(default_factory=list)
    sample_interval_ms: float = 0.0
    sample_cost_us: float = 0.0
    sampler_core_share: float = 0.0

    @property
    def growth_is_known(self) -> bool:
        """Return whether there were looks enough at the memory to tell growth from a first filling."""
        return self.stopped_early or len(self.rss_by_calls) >= FEWEST_LOOKS

    @property
    def growth_bytes(self) -> int:
        """Return by how much RSS grew over the calls; 0 where it did not climb in each quarter of them.

        A process that was stopped because it grew so much has grown, however few its calls were. Where
        `growth_is_known` is False, 0 says nothing.
        """
        rows = self.rss_by_calls
        if self.stopped_early and rows:
            return rows[-1][1] - rows[0][1]
        if len(rows) < FEWEST_LOOKS:
            return 0
        size = len(rows) // 4
        quarters = [median([float(rss) for _, rss in rows[part * size : (part + 1) * size]]) for part in range(4)]
        climbs = all(later > earlier for earlier, later in itertools.pairwise(quarters))
        grown = rows[-1][1] - rows[0][1]
        return grown if climbs and grown >= GROWTH_FLOOR_BYTES else 0

    @property
    def growth_bytes_per_call(self) -> float:
        """Return the growth of one call."""
        calls = self.rss_by_calls[-1][0] - self.rss_by_calls[0][0] if self.rss_by_calls else 0
        return self.growth_bytes / calls if calls else 0.0


class Tracked(record.Frozen):
    """The counted calls, each allocation of which memray recorded; all 0 where it could not, which `missing` tells."""

    calls: int = 0
    operations_per_call: int = 0
    allocations: int = 0
    allocated_bytes: int = 0
    temporary: int = 0
    leaked: int = 0
    leaked_bytes: int = 0
    peak_bytes: int = 0  # of what was allocated in the counted calls
    call_s: float = 0.0  # while recording
    plain_call_s: float = 0.0  # without
    missing: str = ""  # why nothing was recorded, as one clause
    events_left_out: int = 0  # the workload was cut, for a file of a size that can be read

    @property
    def operations(self) -> int:
        """Return how many operations were counted."""
        return self.calls * self.operations_per_call

    @property
    def slowdown(self) -> float:
        """Return what recording costs: the time of a call over that without."""
        return self.call_s / self.plain_call_s if self.plain_call_s else 1.0


class MemoryFacts(record.Frozen):
    """Both processes of one subject, and the files that tools of others wrote."""

    title: str
    is_variant: bool
    watched: Watched
    tracked: Tracked
    native_heap: str = ""  # which tool looked at the whole process, and what it found; or why none did

    @property
    def unit(self) -> str:
        """Return what is counted: an operation of a kernel, or a call of a function."""
        return "operation" if self.is_variant else "call"
