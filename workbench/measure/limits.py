"""The limits of a machine, measured: each level of memory, the core, its clock and atomics, the way between cores.

What a data sheet says of a processor is not what a virtual machine of it gives. One fresh pinned process runs the loops
of `kernels.machine.limits`, several times each, under the host's timing lock.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from workbench import policy, record
from workbench.errors import InputError
from workbench.measure.processes import Crew
from workbench.stats.median import median, sign_interval

if TYPE_CHECKING:
    from workbench.measure.progress import Progress

KERNEL = "machine"  # what the results are of
MEMORY = "memory"  # the level behind the last cache
MEMORY_TIMES = 4  # so many times the last cache: of a smaller working set that cache holds more than a quarter
REPEATS = 7  # of each loop: six would do for a sign interval, one more may be disturbed
REFUSED_PAGES = "Linux gave no huge pages"  # how the note begins that says so
_UNITS = {
    "load_latency": "ns", "chase_latency": "ns", "read_bandwidth": "bytes/s", "write_bandwidth": "bytes/s",
    "copy_bandwidth": "bytes/s", "frequency": "Hz", "instruction_rate": "instructions/s", "cost": "ns", "step": "ns",
    "round_trip": "ns",
}  # fmt: skip


class LimitsJob(record.Frozen):
    """What the process is asked to measure."""

    seconds: float = Field(gt=0, description="over all loops, about")
    levels: dict[str, int] = Field(description="bytes of the working set that meets each level, by its name")
    sizes: list[int] = Field(description="bytes of the working sets of the latency curve")


class Sample(record.Frozen):
    """What one loop took each time, for one operation, or what it reached."""

    variant: str
    metric: str
    values: list[float]


@dataclass(frozen=True)
class Limits:
    """The limits as results of the kernel `KERNEL`, the machine, and what could not be had."""

    results: tuple[record.Result, ...]
    machine: record.Machine
    notes: tuple[str, ...]
    levels: Mapping[str, int]

    def value(self, variant: str, metric: str) -> float | None:
        """Return one limit; None where it was not measured."""
        return next((row.value for row in self.results if (row.variant, row.metric) == (variant, metric)), None)


def levels_of(caches: Mapping[str, int], most_bytes: int) -> dict[str, int]:
    """Return the working set that meets each level: half of a cache, a quarter of the last, which others use as well.

    The memory behind them is met by `most_bytes`, which has to be `MEMORY_TIMES` the last cache to be worth its name; a
    cache that is larger than that is left out. Raises InputError for less than 64 KB.
    """
    if most_bytes < 65_536:
        raise InputError(f"{most_bytes} bytes are less than a first cache: give 64 KB or more for the largest")
    sizes = {name: caches[name] for name in ("L1d", "L2", "L3") if name in caches}
    last = list(sizes)[-1:]
    found = {name: size // (4 if name in last else 2) for name, size in sizes.items() if size <= most_bytes}
    return {**found, MEMORY: most_bytes}


def too_small(caches: Mapping[str, int], most_bytes: int) -> list[str]:
    """Return a note where `most_bytes` meet the last cache as well as the memory behind it."""
    largest = max(caches.values(), default=0)
    if most_bytes >= MEMORY_TIMES * largest:
        return []
    return [
        f"The largest working set, {most_bytes >> 20} MB, is not {MEMORY_TIMES} times the last cache "
        f"({largest >> 20} MB): what is called memory here is partly that cache."
    ]


def curve_of(most_bytes: int) -> list[int]:
    """Return the working sets of the curve: from 4 KB on, twice as much each time."""
    sizes = [4096]
    while sizes[-1] * 2 <= most_bytes:
        sizes.append(sizes[-1] * 2)
    return sizes


def measure_limits(*, seconds: float = 10.0, most_bytes: int = 2**28, progress: Progress | None = None) -> Limits:
    """Measure the limits of this machine, in about `seconds`, with working sets up to `most_bytes`.

    Raises InputError for what cannot be measured so, WorkbenchError where the process fails.
    """
    from workbench.measure.machine import fingerprint
    from workbench.measure.progress import choose_progress
    from workbench.measure.timing_lock import timing_lock

    if not seconds > 0:
        raise InputError(f"{seconds} s cannot be spent on measuring: give more than 0")
    shown = progress or choose_progress()
    notes: list[str] = []
    machine = fingerprint()
    levels = levels_of(machine.caches, most_bytes)
    notes += too_small(machine.caches, most_bytes)
    job = LimitsJob(seconds=seconds, levels=levels, sizes=curve_of(most_bytes))
    crew = Crew(shown.note)
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, contextlib.ExitStack() as held:
        try:
            child = crew.start("limits_child", "limits of the machine", Path(folder))
            child.send(job.model_dump_json())
            for _, message in crew.conversation([child]):
                if message.get("asks") == "lock":
                    held.enter_context(timing_lock("limits of the machine", shown.note))
                    child.send("{}")
                elif "sample" in message:
                    samples.append(Sample.model_validate(message["sample"]))
                elif "note" in message:
                    notes.append(message["note"])
                shown.advance(message.get("part", 0.0), child.doing)
        finally:
            crew.dismiss()
            shown.close()
    return Limits(tuple(map(row_of, samples)), machine, tuple(notes), levels)


def row_of(sample: Sample) -> record.Result:
    """Return what was measured several times as one result: the median, with its interval by signs."""
    interval = sign_interval(sample.values, policy.ALPHA)
    return record.Result(
        kernel=KERNEL,
        variant=sample.variant,
        metric=sample.metric,
        statistic="median",
        unit=_UNITS[sample.metric],
        value=median(sample.values),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        samples=len(sample.values),
        bound="value",
    )


def run_of(limits: Limits, others: record.Run | None = None, rows: Sequence[record.Result] = ()) -> record.Run:
    """Return the limits as a record, with what else was measured beside them and further `rows`."""
    nothing = record.Workload(name="none", content="synthetic", events=0, symbols=0, sha256="", source=None)
    fields: dict[str, Any] = {"workload": nothing} if others is None else {
        "workload": others.workload, "parameters": others.parameters, "replicates": others.replicates,
        "comparisons": others.comparisons, "duration_s": others.duration_s,
    }  # fmt: skip
    known = () if others is None else others.results
    notes = [*limits.notes, *(() if others is None else others.notes)]
    return record.Run(machine=limits.machine, results=[*limits.results, *known, *rows], notes=notes, **fields)
