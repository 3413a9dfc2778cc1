"""Runs inside the child process that another program watches: calls the target again and again when it is told to.

``python -m workbench.profile.watched_child FOLDER``. The job lies in FOLDER; commands come and answers go through two
named pipes there, one JSON object a line. ``{"run": SECONDS}`` calls the target and answers what a call took;
``{"finish": true}`` writes the code map, so that the addresses in another program's files can be resolved, and ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workbench import codemap
from workbench.errors import WorkbenchError
from workbench.files import write_text
from workbench.parent import end_with_parent
from workbench.profile import written_map
from workbench.profile.callgrind_child import _call_arguments, _load, _register
from workbench.profile.target import Target, _target_of_variant, target_of

COMMANDS, ANSWERS = "commands", "answers"
SEGMENT_S = 0.05  # as the line sampler's
_PR_SET_PTRACER = 0x59616D61  # see prctl(2): lets a process that is no ancestor trace this one, where Yama asks for it
_ANYBODY = ctypes.c_ulong(-1)


def main(folder: Path) -> None:
    """Do what the job in `folder` and the commands say."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    sys.path[:0] = [path for path in job["paths"] if path not in sys.path]
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
    with (
        (folder / COMMANDS).open(encoding="utf-8") as commands,
        (folder / ANSWERS).open("w", encoding="utf-8") as answers,
    ):
        try:
            target, function, roots = _prepared(job, folder)
            print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
            for line in commands:
                command = json.loads(line)
                if "run" in command:
                    with _scalene_on() if command.get("scalene") else contextlib.nullcontext():
                        answer = _spend(target, function, command["run"])
                    print(json.dumps(answer), file=answers, flush=True)
                else:
                    break
            if job["lines"]:
                written_map.write_map(folder, roots)
            if job["perf_map"]:
                _write_perf_map(folder, roots)
            print(json.dumps({"finished": True}), file=answers, flush=True)
        except Exception as error:  # whatever the target raises, the parent is to know
            sentence = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            print(json.dumps({"error": sentence}), file=answers, flush=True)
            raise


def _prepared(job: dict[str, Any], folder: Path) -> tuple[Target, Any, list[Any]]:
    """Return the target, what to call, and the compiled functions whose lines are wanted; it has been called twice."""
    codemap.install()
    target = _target(job, folder)
    function = target.function
    roots = [function] if hasattr(function, "overloads") or hasattr(function, "types") else []
    if job["lines"] and roots and not all(proof.same for proof in target.proofs()):
        function = target.with_lines()
        roots.append(function)
    for _ in range(2):  # the first call compiles, the second finds its caches warm
        target.prepare()
        target.run(function)
    return target, function, roots


def _target(job: dict[str, Any], folder: Path) -> Target:
    for module in job["modules"]:
        _register(importlib.import_module(module))
    if "variant" in job:
        import kernels

        events = np.load(folder / "events.npy", mmap_mode="r", allow_pickle=False)
        variant = kernels.get(job["kernel"]).variant(job["variant"])
        return _target_of_variant(variant, events, job["parameters"])
    arguments = _call_arguments(folder)
    if "function" in job:
        module, name = job["function"]
        function = getattr(importlib.import_module(module), name)
        return Target(name, function, lambda called: called(*arguments))
    return target_of(_load(job, folder, "plain"), *arguments)


def _write_perf_map(folder: Path, roots: list[Any]) -> None:
    """Write the map by which perf itself names compiled code, the target's by line."""
    from workbench.profile.counted import Counted, Line
    from workbench.profile.formats.perf_map import perf_map

    seen = Counted("", "cpu")
    for root in roots:
        seen.add(Line(root.__name__, "", 0), seen.main, 1.0)
    write_text(folder / f"perf-{os.getpid()}.map", perf_map(seen))


@contextlib.contextmanager
def _scalene_on() -> Iterator[None]:
    """Let scalene, which runs this process with profiling off, watch the block."""
    from scalene import scalene_profiler  # type: ignore[import-untyped]

    scalene_profiler.start()
    try:
        yield
    finally:
        scalene_profiler.stop()


def run_watched(run: Callable[[Any], Any], function: Any) -> None:
    """Call once. A frame of this name above a sample tells that it belongs to the target, and not to what surrounds it.

    So this function must be on the stack while the target runs, and at no other time.
    """
    run(function)


def _spend(target: Target, function: Any, seconds: float) -> dict[str, Any]:
    """Call for `seconds` and at least twice; return what a call took in each segment, and when all began and ended."""
    began = time.perf_counter()
    target.prepare()
    run_watched(target.run, function)
    calls = max(1, round(SEGMENT_S / max(time.perf_counter() - began, 1e-7)))
    wall_ns: list[float] = []
    cpu_ns: list[float] = []
    began_ns = time.monotonic_ns()
    while len(wall_ns) < 2 or time.monotonic_ns() - began_ns < seconds * 1e9:
        wall = cpu = 0
        for _ in range(calls):
            target.prepare()
            wall_began, cpu_began = time.perf_counter_ns(), time.process_time_ns()
            run_watched(target.run, function)
            wall += time.perf_counter_ns() - wall_began
            cpu += time.process_time_ns() - cpu_began
        wall_ns.append(wall / calls)
        cpu_ns.append(cpu / calls)
    return {"wall_ns": wall_ns, "cpu_ns": cpu_ns, "began_ns": began_ns, "ended_ns": time.monotonic_ns()}


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
