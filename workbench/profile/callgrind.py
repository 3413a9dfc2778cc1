"""Cache misses and instructions per source line, simulated by valgrind's callgrind around one compiled call.

The function runs in a child process, between client requests in compiled code, so that no interpreter is counted:
once to warm the simulated caches, once counted. Valgrind knows no AVX-512, so the child's build is one for x86-64-v3:
not the one that is timed, and the profile says so. Threads are serialized, and there is one cache: no contention shows.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kernels._jit import source_hash
from workbench.codemap.addresses import CodeMap, FunctionRange, lines_of
from workbench.codemap.elf import ObjectCode
from workbench.codemap.lines import own_frames
from workbench.errors import InputError, WorkbenchError
from workbench.files import cache_folder, write_bytes
from workbench.profile.attribute import read_sources
from workbench.profile.cache_geometry import Geometry, geometry
from workbench.profile.counted import Line
from workbench.profile.formats import callgrind as dumps
from workbench.profile.portable import Module, Origin, pack, write_function
from workbench.profile.profile import Profile

TIMEOUT_S = 900
V3 = ("x86-64-v3", "+cx16,+sahf,+popcnt,+sse3,+sse4.1,+sse4.2,+ssse3,+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe")
V1 = ("x86-64", "")

COUNTERS = {
    "Ir": "instructions",
    "Dr": "data_reads",
    "Dw": "data_writes",
    "I1mr": "i1_misses",
    "D1mr": "d1_read_misses",
    "D1mw": "d1_write_misses",
    "ILmr": "ll_instruction_misses",
    "DLmr": "ll_read_misses",
    "DLmw": "ll_write_misses",
    "Bc": "branches",
    "Bcm": "branch_misses",
    "Bi": "indirect_branches",
    "Bim": "indirect_branch_misses",
    "Ge": "atomics",
    "SpLoss1": "d1_bytes_unused",
    "SpLoss2": "ll_bytes_unused",
}
"""What callgrind's events are called in a profile. AcCost1 and AcCost2 (temporal use) are left out."""

SUMS = {"d1_misses": ("d1_read_misses", "d1_write_misses"), "ll_misses": ("ll_read_misses", "ll_write_misses")}

HARNESS = """

@_kernel_jit
def _put_back(live, saved):
    for i in range(live.shape[0]):
        live[i] = saved[i]


@_kernel_jit
def harness(name, live, saved, {arguments}):
    _start_instrumentation()
    _call_apart({target}, {arguments})
    for k in range(len(live)):
        _put_back(live[k], saved[k])
    _toggle_collect()
    _call_apart({target}, {arguments})
    _toggle_collect()
    _dump_at(name)
    _stop_instrumentation()


plain = {target}
"""

IMPORTS = """import numpy as _numpy
from kernels._jit import kernel_jit as _kernel_jit
from kernels.machine.valgrind import dump_at as _dump_at
from kernels.machine.valgrind import start_instrumentation as _start_instrumentation
from kernels.machine.valgrind import stop_instrumentation as _stop_instrumentation
from kernels.machine.valgrind import toggle_collect as _toggle_collect
from workbench.profile.call_apart import call_apart as _call_apart"""


@dataclass
class Job:
    """One simulated call: what the child reads from its folder."""

    title: str
    module: Module
    fields: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)  # file name: what `_save` writes


def missing() -> str | None:
    """Return why callgrind cannot run here, as one sentence with the fallback; None when it can."""
    if shutil.which("valgrind") is None:
        return (
            "valgrind is not installed, so cache misses cannot be simulated: install it (apt-get install valgrind), "
            'or profile with kind="cpu", which shows the time per line'
        )
    if platform.machine() not in ("x86_64", "aarch64"):
        return f"client requests are written for x86-64 and aarch64, not for {platform.machine()}"
    return None


def profile_variant(
    kernel: Any,
    variant: str,
    events: np.ndarray,
    parameters: Mapping[str, int] | None = None,
    *,
    modules: tuple[str, ...] = (),
    keep: Path | None = None,
) -> Profile:
    """Simulate one replay of `events` (kernels.messages.EVENT) by a variant of `kernel` (a `kernels.Kernel`).

    `keep` is a folder for valgrind's file and the one by line. Raises InputError for what cannot be profiled,
    WorkbenchError when valgrind is absent or fails.
    """
    chosen = kernel.variant(variant)
    if chosen.peer or not hasattr(chosen.replay_from, "py_func"):
        raise InputError(f"{chosen.full_name} is a peer's code: callgrind profiles compiled Numba functions only")
    module = Module(IMPORTS.splitlines())
    digest = source_hash(chosen.replay_from.py_func.__code__.co_filename)
    module.lines += [
        f"from {_module_of(chosen)} import VARIANT as _VARIANT  # source {digest[:16]}",
        "_target = _VARIANT.replay_from",
    ]
    fields = {
        "kernel": kernel.name,
        "variant": variant,
        "parameters": {**kernel.parameters_for(events), **(parameters or {})},
        "modules": list(modules),
    }
    _finish(module, "_target", ["state", "events", "out", "begin", "probe"])
    return run(Job(chosen.full_name, module, fields, {"events.npy": events}), keep)


def profile_call(function: Any, *arguments: Any, keep: Path | None = None) -> Profile:
    """Simulate one call of a compiled function with these arguments, in a child process; both may live in a notebook.

    Raises InputError when the function or an argument cannot be taken to another process.
    """
    if not hasattr(function, "py_func") or not hasattr(function, "targetoptions"):
        raise InputError(f"a function compiled with numba.njit can be profiled, not a {type(function).__name__}")
    name = function.py_func.__name__
    module = Module(IMPORTS.splitlines())
    write_function(module, function, name)
    arrays: dict[str, np.ndarray] = {}
    told = [pack(argument, arrays) for argument in arguments]
    _finish(module, name, [f"a{index}" for index in range(len(arguments))])
    files: dict[str, Any] = {"arguments.json": told, "arguments.npz": arrays}
    if module.arrays:
        files["constants.npz"] = module.arrays
    return run(Job(name, module, {"modules": []}, files), keep)


def _module_of(variant: Any) -> str:
    """Return the module that holds the variant, by its kernel's package: the folder has one file for each."""
    import importlib
    import pkgutil

    package = importlib.import_module(variant.kernel.package)
    for info in pkgutil.iter_modules(package.__path__):
        module = sys.modules.get(f"{variant.kernel.package}.{info.name}")
        if module is not None and getattr(module, "VARIANT", None) is variant:
            return module.__name__
    raise InputError(f"{variant.full_name} lies in no module that another process can import")


def _finish(module: Module, target: str, arguments: list[str]) -> None:
    module.lines += HARNESS.format(target=target, arguments=", ".join(arguments)).splitlines()


def run(job: Job, keep: Path | None = None) -> Profile:
    """Run `job` in the child, without valgrind and then under it, and return the profile."""
    reason = missing()
    if reason:
        raise WorkbenchError(reason)
    caches = geometry()
    module = cache_folder() / "callgrind" / f"target_{hashlib.sha256(job.module.text.encode()).hexdigest()[:24]}.py"
    if not module.is_file():
        write_bytes(module, job.module.text.encode())
    target, features = _build_target()
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": target,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "",
    }
    with tempfile.TemporaryDirectory(prefix="workbench-cache-") as scratch:
        folder = Path(scratch)
        fields = {**job.fields, "module": str(module), "paths": [path for path in sys.path if path]}
        _save(folder, {**job.files, "job.json": fields})
        child = [sys.executable, "-m", "workbench.profile.callgrind_child", str(folder)]
        _execute([*child, "prepare"], environment, folder, job.title)
        _execute([*_valgrind(folder, caches), *child, "simulate"], environment, folder, job.title)
        dump = _find_dump(folder, job.title)
        profile = build_profile(job, dump, _read_map(folder), module)
        _describe(profile, caches, target, dump, job)
        if keep is not None:
            _keep(profile, dump, keep, job.title)
    return profile


def _build_target() -> tuple[str, str]:
    """Return the CPU and its features to build for: what valgrind can run."""
    if platform.machine() != "x86_64":
        return "generic", ""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split("flags")[1].split("\n")[0].split())
    except (OSError, IndexError):
        flags = set()
    return V3 if {"avx2", "fma", "bmi2", "movbe"} <= flags else V1


def _valgrind(folder: Path, caches: Geometry) -> list[str]:
    return [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--collect-atstart=no",
        "--dump-instr=yes",
        "--cache-sim=yes",
        "--branch-sim=yes",
        "--collect-bus=yes",
        "--cacheuse=yes",
        "--compress-strings=no",
        "--compress-pos=no",
        "--quiet",
        f"--callgrind-out-file={folder / 'callgrind.out'}",
        *caches.options(),
    ]


def _save(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        if name.endswith(".npz"):
            np.savez(folder / name, **content)
        elif name.endswith(".npy"):
            np.save(folder / name, np.ascontiguousarray(content), allow_pickle=False)
        else:
            (folder / name).write_text(json.dumps(content), encoding="utf-8")


def _execute(command: list[str], environment: dict[str, str], folder: Path, title: str) -> None:
    """Run a child to its end; it is killed with its group when this process is interrupted or the time is up."""
    log = folder / "log.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
        try:
            status = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise WorkbenchError(
                f"{title}: the simulation took more than {TIMEOUT_S} s: give it less to do (fewer events)"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if status:
        told = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise WorkbenchError(f"{title}: the child process failed ({told[-1].strip() if told else f'status {status}'})")


def _find_dump(folder: Path, title: str) -> dumps.Dump:
    for file in sorted(folder.glob("callgrind.out*")):
        dump = dumps.read(file)
        if "workbench" in dump.trigger:
            return dump
    raise WorkbenchError(f"{title}: valgrind wrote no counts for the kernel; its client requests were not seen")


def _read_map(folder: Path) -> CodeMap:
    """Return the child's code map, from the objects that it wrote."""
    objects: dict[int, ObjectCode] = {}
    ranges = []
    for begin, end, number, name, section, offset in json.loads((folder / "map.json").read_text()):
        code = objects.setdefault(number, ObjectCode((folder / f"object-{number}.o").read_bytes()))
        symbol = next(
            each for each in code.functions if (each.name, each.section, each.offset) == (name, section, offset)
        )
        ranges.append(FunctionRange(begin, end, symbol, code))
    return CodeMap(ranges)


def build_profile(job: Job, dump: dumps.Dump, code_map: CodeMap, module: Path) -> Profile:
    """Join addresses with lines. What a compiled line calls in a library counts for that line, and for `in_calls`."""
    profile = Profile(job.title, "cache", main="instructions")
    known: dict[int, Line | None] = {}
    for cost in dump.costs:
        if cost.address not in known:
            known[cost.address] = _line_at(code_map, cost.address, module, job.module.origins)
        line = known[cost.address]
        if cost.called:
            if line is None or _has_lines(code_map, cost.called_address):
                continue  # the callee's own lines have it
            _count(profile, line, dump.events, cost.amounts)
            profile.add(line, "in_calls", cost.amounts[dump.events.index("Ir")])
        elif line is not None:
            _count(profile, line, dump.events, cost.amounts)
    for counters in profile.counters.values():
        for name, parts in SUMS.items():
            if any(part in counters for part in parts):
                counters[name] = sum(counters.get(part, 0.0) for part in parts)
    read_sources(profile)
    return profile


def _line_at(code_map: CodeMap, address: int, module: Path, origins: list[Origin]) -> Line | None:
    """Return the person's line of an address; None for the harness, and for what is no compiled code."""
    place = code_map.lookup(address)
    if place is None:
        return None
    for frame in own_frames(place.frames):
        if Path(frame.file) == module:
            line = next((found for origin in origins if (found := origin.line(frame.line)) is not None), None)
            owner = next((origin.file for origin in origins if origin.line(frame.line) is not None), "")
            return Line(frame.function, owner, line) if line is not None else None
        return Line(frame.function, frame.file, frame.line)
    return None  # no line table: Numba's runtime, whose costs the calling line has


def _has_lines(code_map: CodeMap, address: int) -> bool:
    found = code_map.function_at(address)
    return found is not None and bool(lines_of(found.code).rows)


def _count(profile: Profile, line: Line, events: tuple[str, ...], amounts: tuple[int, ...]) -> None:
    for event, amount in zip(events, amounts, strict=True):
        if amount and event in COUNTERS:
            profile.add(line, COUNTERS[event], float(amount))


def _describe(profile: Profile, caches: Geometry, target: str, dump: dumps.Dump, job: Job) -> None:
    own = [cost for cost in dump.costs if not cost.called]
    total = sum(cost.amounts[0] for cost in own)
    profile.outside = {"harness and libraries it calls": max(0.0, total - profile.total)}
    profile.notes = [
        "simulated: callgrind counts what a simple cache of this size would do; it is no measurement of this machine",
        f"this build is for {target}, which valgrind can run: it is not the one that is timed",
        f"simulated caches (size, ways, line): I1 {caches.i1}, D1 {caches.d1}, last level {caches.ll}",
        *caches.notes,
        "threads are serialized and share one cache: no contention between cores shows",
        *job.module.notes,
    ]
    profile.badges = {job.title: f"simulated, built for {target}"}


def _keep(profile: Profile, dump: dumps.Dump, folder: Path, title: str) -> None:
    """Keep valgrind's own file and the one by source line."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = title.replace("/", "-")
    raw, lines = folder / f"{stem}.addresses.callgrind.out", folder / f"{stem}.callgrind.out"
    write_bytes(raw, dump.file.read_bytes())
    names = [event for event in dump.events if event in COUNTERS]
    costs = [
        dumps.LineCost(
            line.function, line.file, line.line, tuple(int(counters.get(COUNTERS[name], 0)) for name in names)
        )
        for line, counters in profile.counters.items()
    ]
    dumps.write(lines, title, names, costs, profile.notes)
    profile.artefacts += [str(lines), str(raw)]
