"""Runs inside the child process of a system profile: builds what is profiled and runs it in phases that are watched.

``python -m workbench.profile.system_child FOLDER PARENT``. Phases, in their order: jitter of the core alone; runs that
nobody traces, of the smallest and of the largest size in turns; runs of growing size for whoever traces. Before the
last two it tells the parent, which attaches, and waits for its word. PARENT is the process id of the starter.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kernels import crew
from workbench.errors import WorkbenchError
from workbench.parent import end_with_parent
from workbench.profile import callgrind_child, posix
from workbench.profile.jitter import Watch, steal_s, watching
from workbench.profile.strace import mark
from workbench.profile.system_work import GROWTH, Work, call_work, variant_work
from workbench.profile.waits import sampled_waits

LONG_RUN_S = 0.02
PATIENCE = 3.0  # times the CPU time that is allowed: what sleeps or waits uses none, and must end too


def main(folder: Path, tell: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Do what the job in `folder` says; `tell` sends an object to the parent and returns its answer."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    sys.path[:0] = [path for path in job["paths"] if path not in sys.path]
    for module in job["modules"]:
        callgrind_child._register(importlib.import_module(module))
    cores = sorted(os.sched_getaffinity(0))
    crew.use_cores(cores)
    jitter = _jitter_alone(job, cores)
    work = variant_work(job, folder) if "variant" in job else call_work(job, folder)
    os.sched_setaffinity(0, {cores[-1]})
    for _ in range(2):  # compiled and warm before anything is counted
        work.prepare(work.sizes[0])
        work.run(work.sizes[0])
    found: dict[str, Any] = {"threads": work.threads, "cores": len(cores), "badges": work.badge()}
    found["bare_call_ns"] = _bare_call_ns()
    _allow_tracing()
    # By CPU time: other programs on these cores must not make the runs small.
    took = _climb(work, job["seconds"], lambda size: contextlib.nullcontext(), PATIENCE * job["seconds"])
    tell({"phase": "plain"})
    found["plain"], beside = _plain(work, sorted({min(took), max(took)}), job["seconds"] * 0.75, cores)
    tell({"phase": "plain ended"})
    found["waits"] = _waits(work, max(took), job["seconds"] / 2)
    found["jitter"] = [each.counters() | {"title": each.title} for each in (*jitter, *beside)]
    if tell({"phase": "traced"}).get("trace"):
        found["traced"] = _traced(work, job["trace_seconds"])
        tell({"phase": "traced ended"})
        callgrind_child._write_map(folder)
    if job.get("written"):
        found["written"] = work.written()
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")


def _allow_tracing() -> None:
    """Let any process of the same user trace this one, where Linux's Yama asks for that."""
    with contextlib.suppress(OSError, AttributeError):
        anyone = ctypes.c_ulong(2**64 - 1)  # PR_SET_PTRACER_ANY
        posix.libc().prctl(0x59616D61, anyone, 0, 0, 0)  # PR_SET_PTRACER


def _bare_call_ns() -> float:
    """Return what a system call costs that does nothing, in ns: the best of some batches, Python's part included."""
    best = float("inf")
    for _ in range(9):
        began = time.perf_counter_ns()
        for _ in range(500):
            os.getppid()
        best = min(best, (time.perf_counter_ns() - began) / 500)
    return best


def _jitter_alone(job: dict[str, Any], cores: list[int]) -> list[Any]:
    """Watch the core that the measured thread will take, while nothing of ours runs on it."""
    if not job["jitter_seconds"]:
        return []
    try:
        return [Watch(cores[-1], seconds=job["jitter_seconds"]).wait()]
    except WorkbenchError:
        return []


def _climb(work: Work, seconds: float, around: Callable[[int], Any], wall_seconds: float) -> dict[int, float]:
    """Run once in each size, as far as the time allows (the first one always); return what each took in s.

    It ends after `seconds` of CPU time, or of `wall_seconds` by the clock on the wall, whatever comes first: a subject
    that sleeps uses no CPU. What a run takes whatever its size, as the start of its threads, is not multiplied: the
    next size is foreseen from the step before.
    """
    took: dict[int, float] = {}
    clocks = (time.process_time, time.monotonic)
    ends = (clocks[0]() + seconds, clocks[1]() + wall_seconds)
    last, step = [0.0, 0.0], [0.0, 0.0]
    for size in work.sizes:
        foreseen = [2 * last[each] + GROWTH * step[each] > ends[each] - clocks[each]() for each in (0, 1)]
        if took and any(foreseen):
            break
        work.prepare(size)
        with around(size):
            began = [clock() for clock in clocks]
            work.run(size)
            spent = [clock() - start for clock, start in zip(clocks, began, strict=True)]
        took[size] = spent[1]
        step = [max(0.0, now - before) if before else 0.0 for now, before in zip(spent, last, strict=True)]
        last = spent
    return took


def _plain(work: Work, sizes: list[int], seconds: float, cores: list[int]) -> tuple[dict[str, Any], list[Any]]:
    """Run the smallest and the largest size in turns for `seconds`; the other core is watched where it is free."""
    sums: dict[int, dict[str, float]] = {size: {} for size in sizes}
    free = [core for core in cores[:-1] if work.threads == 1]
    beside: Any = contextlib.nullcontext([])
    if free:
        beside = watching(free[0], f"the measured thread on core {cores[-1]}")
    steal_before, began_s = steal_s(cores[-1]), time.monotonic()
    with beside as watched, _no_collection():
        while not sums[sizes[-1]] or time.monotonic() - began_s < seconds:
            for size in sizes:
                _add(sums[size], _counted(work, size))
    for size, each in sums.items():
        each["operations"] = float(work.operations(size))
    told = {
        "sizes": [sums[size] for size in sizes],
        "steal_s": steal_s(cores[-1]) - steal_before,
        "duration_s": time.monotonic() - began_s,
    }
    return told, list(watched)


def _waits(work: Work, size: int, seconds: float) -> dict[str, int]:
    """Return how often threads were seen waiting, by system call, in runs that are long against their start.

    Empty for shorter ones: threads wait for Python's own lock while they start. A run is long by its CPU time, or by
    the clock where it is long enough to be no mere wait for a core.
    """
    found: collections.Counter[str] = collections.Counter()
    deadline = time.monotonic() + seconds
    while True:
        work.prepare(size)
        cpu_began, wall_began = time.process_time(), time.monotonic()
        with sampled_waits(new_threads=work.threads > 1) as seen:
            work.run(size)
        wall_s = time.monotonic() - wall_began
        if time.process_time() - cpu_began < LONG_RUN_S and wall_s < PATIENCE * LONG_RUN_S:
            return {}
        found.update(seen)
        if time.monotonic() > deadline:
            return dict(found)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _add(sums: dict[str, float], counts: dict[str, float]) -> None:
    for name, amount in counts.items():
        sums[name] = sums.get(name, 0.0) + amount


def _counted(work: Work, size: int) -> dict[str, float]:
    """Return what one run took and caused, of all its threads; migrations and the run queue, of the first one only."""
    work.prepare(size)
    before, moved, queued = resource.getrusage(resource.RUSAGE_SELF), _migrations(), _queued_ns()
    began = time.perf_counter_ns()
    work.run(size)
    elapsed = time.perf_counter_ns() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "runs": 1.0,
        "elapsed_ns": float(elapsed),
        "voluntary_switches": float(after.ru_nvcsw - before.ru_nvcsw),
        "involuntary_switches": float(after.ru_nivcsw - before.ru_nivcsw),
        "minor_faults": float(after.ru_minflt - before.ru_minflt),
        "major_faults": float(after.ru_majflt - before.ru_majflt),
        "user_ns": (after.ru_utime - before.ru_utime) * 1e9,
        "system_ns": (after.ru_stime - before.ru_stime) * 1e9,
        "migrations": float(_migrations() - moved),
        "run_queue_ns": float(_queued_ns() - queued),
    }


def _migrations() -> int:
    """Return how often Linux moved this thread to another core; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/thread-self/sched").read_text().splitlines():
            if line.startswith("se.nr_migrations"):
                return int(line.rpartition(":")[2])
    return 0


def _queued_ns() -> int:
    """Return how long this thread was ready and had no core, in ns; 0 where Linux does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    return 0


def _traced(work: Work, seconds: float) -> list[dict[str, float]]:
    """Run in growing sizes between marks."""

    @contextlib.contextmanager
    def marked(size: int) -> Iterator[None]:
        mark(f"begin {size}")
        try:
            yield
        finally:
            mark(f"end {size}")

    with _no_collection():
        for _ in range(5):  # what a call costs that does nothing
            mark("nothing")
        took = _climb(work, float("inf"), marked, seconds)
    return [
        {"size": float(size), "operations": float(work.operations(size)), "took_s": spent}
        for size, spent in took.items()
    ]


def _talk() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that tells the parent and waits for its answer; what the code prints goes to the errors."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> dict[str, Any]:
        out.write(json.dumps(message) + "\n")
        out.flush()
        answer: dict[str, Any] = json.loads(sys.stdin.readline() or "{}")
        return answer

    return tell


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    from workbench import codemap

    codemap.install()  # keeps object code, so it has to come before anything is compiled or loaded
    main(Path(sys.argv[1]), _talk())
    os._exit(0)  # a thread of the user's code may wait for ever
