"""Runs inside the child processes of a memory profile: ``python -m workbench.profile.memory_child FOLDER MODE PARENT``.

MODE ``watch`` runs the subject for a while with no profiler in the process, notes page faults by phase and memory by
calls. MODE ``track`` runs it under memray, then joins memray's records with the code map, which only this process has.
MODE ``run`` only runs it, for a tool around the process. PARENT is the process id of the starter, with which it ends;
it is negative where a tool's script stands between them.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from workbench.errors import InputError, WorkbenchError
from workbench.measure.memory import forget_highest, highest_bytes, resident_bytes
from workbench.parent import end_with_ancestor, end_with_parent
from workbench.profile.memory_facts import Tracked
from workbench.profile.memory_job import JOB, PHASES, RESULT, SCRATCH_TRACE, TRACE, MemoryJob
from workbench.profile.memory_subject import Subject, subject_of
from workbench.stats.median import median

WARM_CALLS = 2  # the first compiles, the second meets the state as grown as it gets
BATCHES = 100  # looks at the memory, with as many calls between two of them as that leaves time for
FEWEST_CALLS, MOST_TRACKED_CALLS = 8, 20
FEW_TRACKED_CALLS = 4  # where a call allocates so often that 20 would be too much: enough to tell a leak from a cache
TRACK_S = 0.5  # for so long calls are recorded
MARK_BYTES = 64 * 1024  # more than any allocator keeps at hand for itself: memray sees it
LARGEST_GROWTH_BYTES = 256 * 1024**2  # a leak must not take the machine down
MOST_ALLOCATIONS = 500_000  # are recorded, and read again in a few seconds
CUT = "reading ended after {:,} records: counts are at least what is shown, and leaks were not looked for"


class Phases:
    """Writes down when each phase began, with the page faults until then; the parent makes phases of it."""

    def __init__(self, folder: Path):
        self._file = folder / PHASES

    def begin(self, name: str) -> None:
        """Note the begin of a phase, which ends the one before."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        row = {"name": name, "at_ns": time.monotonic_ns(), "minor": used.ru_minflt, "major": used.ru_majflt}
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def main(folder: Path, mode: str) -> None:
    """Do what the job in `folder` says; the answer, or why there is none, lies in RESULT afterwards."""
    phases = Phases(folder)
    phases.begin("start")
    job = MemoryJob.model_validate_json((folder / JOB).read_bytes())
    try:
        answer = {"watch": watch, "track": track, "run": run}[mode](job, folder, phases)
    except WorkbenchError as error:
        answer = {"error": str(error), "usage": isinstance(error, InputError)}
    except SystemExit as error:
        answer = {"error": f"{job.title} ends its process (exit status {error.code}): give code that returns"}
    except KeyboardInterrupt:
        answer = {"error": f"{job.title} was interrupted"}
    except Exception as error:  # the profiler's own, or of a library: told with its place
        place = traceback.extract_tb(error.__traceback__)[-1]
        answer = {"error": f"{type(error).__name__} at {place.filename}:{place.lineno}: {first_line(error)}"}
    (folder / RESULT).write_text(json.dumps(answer), encoding="utf-8")


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def call(subject: Subject) -> None:
    """Run the subject once. Raises InputError that names the line where it raised."""
    if subject.prepare is not None:
        prepare(subject)
    try:
        subject.run()
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        raise InputError(
            f"{subject.title} raised {type(error).__name__}{place} ({first_line(error)}): give arguments that it takes"
        ) from None


def prepare(subject: Subject) -> None:
    """Do what a call needs beforehand, as the reset of a state: its allocations are known by this function's name."""
    if subject.prepare is not None:
        subject.prepare()


def next_call() -> None:
    """Allocate, and give back at once: a record that is known by this function's name, between those of two calls."""
    bytearray(MARK_BYTES)


def warm_up(subject: Subject) -> None:
    """Compile, let caches and states grow, and give back what only that took."""
    for _ in range(WARM_CALLS):
        call(subject)
    gc.collect()


def run(job: MemoryJob, folder: Path, phases: Phases) -> dict[str, Any]:
    """Run it a few times, for a tool around this process."""
    subject = subject_of(job, folder)
    for _ in range(WARM_CALLS + FEWEST_CALLS):
        call(subject)
    return {"calls": WARM_CALLS + FEWEST_CALLS}


def watch(job: MemoryJob, folder: Path, phases: Phases) -> dict[str, Any]:
    """Run it for `job.seconds`, and look at the memory after each few calls."""
    from kernels.machine.compiler_code import release_compiler_code

    phases.begin("load")
    subject = subject_of(job, folder)
    phases.begin("warm-up")
    warm_up(subject)
    release_compiler_code()  # as in what is called peak_rss elsewhere: LLVM's own code is not the subject's
    highest_again = forget_highest()
    phases.begin("calls")
    before, began = resident_bytes(), time.monotonic()
    rows, calls, batch, stopped = [(0, before)], 0, 1, False
    while not stopped and (calls < FEWEST_CALLS or time.monotonic() - began < job.seconds):
        batch_began = time.monotonic()
        for _ in range(batch):
            call(subject)
        calls += batch
        rows.append((calls, resident_bytes()))
        stopped = rows[-1][1] - before > LARGEST_GROWTH_BYTES
        if time.monotonic() - batch_began < job.seconds / BATCHES / 2:
            batch *= 2
    ended = time.monotonic()
    phases.begin("end")
    after = resident_bytes()
    return {
        "calls": calls,
        "duration_s": ended - began,
        "before_rss_bytes": before,
        "peak_rss_bytes": max(after, highest_bytes() if highest_again else 0),
        "peak_is_sampled": not highest_again,  # the parent's samples then tell it
        "after_rss_bytes": after,
        "stopped_early": stopped,
        "rss_by_calls": _thinned(rows, 400),
        "nrt_allocations_per_call": nrt_allocations(subject),
    }


def _thinned(rows: list[Any], most: int) -> list[Any]:
    """Return at most about `most` of `rows`, the last one among them: growth is told by it."""
    kept = rows[:: len(rows) // most + 1]
    return kept if kept[-1] == rows[-1] else [*kept, rows[-1]]


def nrt_allocations(subject: Subject) -> int | None:
    """Return how many allocations Numba's runtime makes in one call, by its own count; None where it has no part.

    Numba counts only while it is told to, so this is a call of its own, after all that is measured.
    """
    if not subject.compiled:
        return None
    from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]
    from numba.core.runtime.nrt import rtsys

    _nrt_python.memsys_enable_stats()
    try:
        before = int(rtsys.get_allocation_stats().alloc)
        call(subject)
        return int(rtsys.get_allocation_stats().alloc) - before
    finally:
        _nrt_python.memsys_disable_stats()


def track(job: MemoryJob, folder: Path, phases: Phases) -> dict[str, Any]:
    """Record every allocation of some calls, and tell where each was made."""
    from workbench import codemap

    codemap.install()
    subject = subject_of(job, folder)
    warm_up(subject)
    made = nrt_allocations(subject) or 0
    wanted = FEW_TRACKED_CALLS * made
    left_out = subject.shorten(MOST_ALLOCATIONS / wanted) if wanted > MOST_ALLOCATIONS else 0
    if left_out:
        warm_up(subject)
    plain_s = median(_timed(subject, MOST_TRACKED_CALLS))
    _record(job, folder / SCRATCH_TRACE, subject, 1)  # what the interpreter keeps for each line that is traced
    (folder / SCRATCH_TRACE).unlink()
    most = MOST_TRACKED_CALLS if made * MOST_TRACKED_CALLS <= MOST_ALLOCATIONS else FEW_TRACKED_CALLS
    times = _record(job, folder / TRACE, subject, most)
    return read_trace(folder / TRACE, subject, len(times), median(times), plain_s, left_out)


def _timed(subject: Subject, most: int) -> list[float]:
    """Call it up to `most` times until `TRACK_S` are over; return how long each took, in s.

    At least `FEW_TRACKED_CALLS` times, however long a call takes: of fewer, a cache that is filled looks like a leak.
    """
    times: list[float] = []
    while len(times) < most and (len(times) < FEW_TRACKED_CALLS or sum(times) < TRACK_S):
        next_call()
        began = time.perf_counter()
        call(subject)
        times.append(time.perf_counter() - began)
    return times


def _record(job: MemoryJob, file: Path, subject: Subject, most: int) -> list[float]:
    """Call it under memray, up to `most` times; return how long each call took."""
    from memray import FileDestination, Tracker

    destination = FileDestination(file, overwrite=True, compress_on_exit=most > 1)
    gc.collect()
    with Tracker(destination=destination, native_traces=True, trace_python_allocators=job.python_objects):
        times = _timed(subject, most)
        prepare(subject)  # gives back what the last call left in its state
        gc.collect()
    return times


def read_trace(
    file: Path, subject: Subject, calls: int, call_s: float, plain_s: float, left_out: int
) -> dict[str, Any]:
    """Join memray's records with the code map of this process."""
    from memray import FileReader

    from workbench.profile.memory_places import BEFOREHAND, OWN, Places, native_frames
    from workbench.profile.memory_records import read_records

    places = Places(native_frames(file))
    with FileReader(file, max_memory_records=10) as reader:
        read = read_records(reader.get_allocation_records(), places)
    sites = [(site, total) for site, total in read.sites.items() if site.name != OWN]
    counted = [(site, total) for site, total in sites if site.name != BEFOREHAND]
    tracked = Tracked(
        calls=max(1, read.calls) if read.cut else calls,
        operations_per_call=subject.operations,
        allocations=sum(total.allocations for _, total in counted),
        allocated_bytes=sum(total.allocated_bytes for _, total in counted),
        temporary=sum(total.temporary for _, total in counted),
        leaked=sum(total.leaked for _, total in counted),
        leaked_bytes=sum(total.leaked_bytes for _, total in counted),
        peak_bytes=sum(total.peak_bytes for _, total in counted),
        call_s=call_s,
        plain_call_s=plain_s,
        events_left_out=left_out,
    )
    return {
        "tracked": tracked.model_dump(),
        "records": read.records,
        "sites": [[site.line, site.name, [list(_fields(frame)) for frame in site.stack], vars(t)] for site, t in sites],
        "badges": {owner: proof.badge for owner, proof in places.twins.proofs().items()},
        "notes": [*places.twins.failures, *([CUT.format(read.records)] if read.cut else [])],
    }


def _fields(frame: Any) -> tuple[str, str, int]:
    return frame.function, frame.file, frame.line


if __name__ == "__main__":
    starter = int(sys.argv[3])
    if starter < 0:  # it started a script of another tool's, which started this
        end_with_ancestor(-starter)
    else:
        end_with_parent(starter)
    main(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # what a function left behind, as threads that never end, must not keep the process
