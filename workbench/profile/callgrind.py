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
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.files import cache_folder, write_bytes
from workbench.profile.cache_geometry import Geometry, geometry
from workbench.profile.callgrind_job import Job, call_job, variant_job
from workbench.profile.callgrind_lines import build_profile, describe, find_dump, keep_files, read_map
from workbench.profile.profile import Profile

TIMEOUT_S = 900
V3 = ("x86-64-v3", "+cx16,+sahf,+popcnt,+sse3,+sse4.1,+sse4.2,+ssse3,+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe")
V1 = ("x86-64", "")


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
    return run(variant_job(kernel, variant, events, parameters, modules=modules), keep)


def profile_call(function: Any, *arguments: Any, keep: Path | None = None) -> Profile:
    """Simulate one call of a compiled function with these arguments, in a child process; both may live in a notebook.

    Raises InputError when the function or an argument cannot be taken to another process.
    """
    return run(call_job(function, *arguments), keep)


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
        _execute([*child, "prepare", str(os.getpid())], environment, folder, job.title)
        _execute([*_valgrind(folder, caches), *child, "simulate", str(os.getpid())], environment, folder, job.title)
        dump = find_dump(folder, job.title)
        profile = build_profile(job, dump, read_map(folder), module)
        describe(profile, caches, target, dump, job)
        if keep is not None:
            keep_files(profile, dump, keep, job.title)
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
