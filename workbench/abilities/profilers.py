"""The profilers: each is tried on a tiny program, because being installed is not being allowed."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from workbench.abilities.ability import Ability, imported, program, read, said, tool, tried

_COUNTS = "context switches and faults from getrusage"
_SAMPLER = "the line sampler (workbench profile cpu)"
_RECORD = ["perf", "record", "--quiet", "--no-bpf-event", "-e", "cpu-clock", "-k", "mono", "-o", "perf.data", "true"]
"""perf looks for programs inside Linux first unless told not to: a second lost."""
_DRIVERS = "pip install --force-reinstall kernel-workbench"


def line_sampler() -> Ability:
    """The in-process sampler: per-thread timers and a compiled signal handler."""
    name = "line sampler"
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        return Ability(name, False, "it needs Linux on x86-64 or aarch64", "scalene and py-spy show Python lines only")
    note = "" if platform.machine() == "x86_64" else " (aarch64: untested by this project)"
    return Ability(name, True, f"per-thread timers and signals, no root needed{note}")


def callgrind() -> Ability:
    """Simulated cache misses and instructions for each source line."""
    command = ["valgrind", "--tool=none", "--quiet", "true"]
    return _tried("cache simulation", command, "instruction mix from the disassembly only", package="valgrind")


def massif() -> Ability:
    """Native heap profiles by valgrind."""
    command = ["valgrind", "--tool=massif", "--quiet", "--massif-out-file=massif.out", "true"]
    return _tried("heap by valgrind", command, "memray, which also sees Numba's allocations", package="valgrind")


def perf() -> Ability:
    """Profiles of Linux perf: a software clock is enough for time."""
    remedy = "sysctl kernel.perf_event_paranoid=2 (as root)"
    return _tried("perf", _RECORD, _SAMPLER, package="linux-perf", remedy=remedy)


def false_sharing() -> Ability:
    """Which threads write to one cache line, from the processor's own samples of memory accesses."""
    command = ["perf", "c2c", "record", "-o", "perf.data", "true"]
    remedy = "a machine whose processor samples memory accesses, as a virtual one seldom does"
    return _tried("perf c2c", command, "layouts compared by their time", package="linux-perf", remedy=remedy)


def jitdump() -> Ability:
    """Lines of compiled functions inside perf's own reports."""
    name, fallback = "lines in perf", "the line sampler, and speedscope for its flame graphs"
    found = program(name, "perf", fallback, "linux-perf")
    if not found.works:
        return found
    with tempfile.TemporaryDirectory(prefix="workbench-doctor-") as folder:
        inject = ["perf", "inject", "--jit", "-i", "perf.data", "-o", "injected.data"]
        failure = tried(_RECORD, folder=folder) or tried(inject, folder=folder)
    if failure:
        return Ability(name, False, f"perf inject --jit fails: {failure}", fallback, "a perf built with libelf")
    return Ability(name, True, "perf inject --jit reads what perf recorded")


def ptrace() -> Ability:
    """py-spy needs to trace its target: it is let at a child of this process."""
    name, fallback = "py-spy", "the line sampler"
    found = tool("py-spy")
    if not found:
        return Ability(name, False, "py-spy is not installed", fallback, "pip install py-spy")
    if read("/proc/sys/kernel/yama/ptrace_scope") == "3":
        return Ability(name, False, "ptrace is switched off (yama/ptrace_scope is 3)", fallback)
    # It waits for its input to end, so it ends with this process whatever happens.
    waiting = [sys.executable, "-S", "-E", "-c", "import sys; print('here', flush=True); sys.stdin.read()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        failure = tried([found, "dump", "--pid", str(child.pid)])
        child.kill()
    if not failure:
        return Ability(name, True, f"{found} traces a child of this process")
    remedy = "sysctl kernel.yama.ptrace_scope=0 (as root), or the capability SYS_PTRACE in a container"
    return Ability(name, False, f"py-spy may not trace: {failure}", fallback, remedy)


def memray() -> Ability:
    """Python and native allocations by call."""
    lacking = imported("memray")
    name, fallback = "memray", "resident memory over time and Numba's own counts of allocations"
    if lacking:
        return Ability(name, False, lacking, fallback, _DRIVERS)
    return Ability(name, True, f"memray {importlib.metadata.version('memray')} is there")


def scalene() -> Ability:
    """Time by line of Python, beside ours."""
    lacking = imported("scalene")
    name, fallback = "scalene", "py-spy and the line sampler"
    if lacking:
        return Ability(name, False, lacking, fallback, _DRIVERS)
    return Ability(name, True, f"scalene {importlib.metadata.version('scalene')} is there")


def strace() -> Ability:
    """System-call summaries."""
    command = ["strace", "-f", "-c", "-o", "calls.txt", "true"]
    return _tried("system calls", command, _COUNTS, remedy="the capability SYS_PTRACE in a container")


def bpftrace() -> Ability:
    """Kernel tracing: a tracepoint is really attached."""
    found = program("kernel tracing", "bpftrace", _COUNTS)
    if not found.works:
        return found
    if os.geteuid() != 0:
        return Ability(found.name, False, "bpftrace needs root", _COUNTS, "run it as root, or allow it by sudo")
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        text = "tracepoint:raw_syscalls:sys_enter { exit(); }"
        done = subprocess.run(["bpftrace", "-e", text], capture_output=True, text=True, timeout=5, check=False)
        if done.returncode == 0:
            return Ability(found.name, True, "bpftrace attaches to system calls")
        told = [line for line in done.stderr.splitlines() if "RLIMIT" not in line]
        reason = said("\n".join(told)).removeprefix("ERROR: ").removeprefix("stdin:1:1-36: ")
        remedy = "mount -t debugfs none /sys/kernel/debug (as root), where the kernel has tracepoints"
        return Ability(found.name, False, f"bpftrace attaches to nothing: {reason}", _COUNTS, remedy)
    return Ability(found.name, False, "bpftrace did not begin within 5 s", _COUNTS)


def heaptrack() -> Ability:
    """Native heap profiles beside memray's."""
    return _tried("native heap", ["heaptrack", "--help"], "memray, which also sees Numba's allocations")


def _tried(name: str, command: list[str], fallback: str, *, package: str | None = None, remedy: str = "") -> Ability:
    """Run `command` in a folder of its own. `remedy` helps where its program is there and fails."""
    found = program(name, command[0], fallback, package)
    if not found.works:
        return found
    with tempfile.TemporaryDirectory(prefix="workbench-doctor-") as folder:
        failure = tried(command, folder=folder)
    if failure:
        return Ability(name, False, f"{command[0]} is there and fails: {failure}", fallback, remedy)
    return Ability(name, True, f"{found.reason} and does its work")


_ALLOCATE = """
import sys, memray
with memray.Tracker(sys.argv[1], native_traces=True):
    kept = [bytearray(1000) for _ in range(1000)]
reader = memray.FileReader(sys.argv[1])
assert sum(each.size for each in reader.get_high_watermark_allocation_records()) >= 1_000_000
"""
_SPIN = "import time\nend = time.process_time() + 1.5\nwhile time.process_time() < end:\n    sum(range(1000))\n"


def try_memray() -> Ability:
    """Track the allocations of a small program, and read the file back."""
    found = memray()
    if not found.works:
        return found
    with tempfile.TemporaryDirectory(prefix="workbench-doctor-") as folder:
        failure = tried([sys.executable, "-c", _ALLOCATE, "memray.bin"], patience_s=30, folder=folder)
    if failure:
        return Ability(found.name, False, f"memray tracks nothing: {failure}", "Numba's own counts of allocations")
    return Ability(found.name, True, f"{found.reason}, tracks a program and reads its file")


def try_scalene() -> Ability:
    """Profile a small program; scalene needs a second of it."""
    found = scalene()
    if not found.works:
        return found
    with tempfile.TemporaryDirectory(prefix="workbench-doctor-") as folder:
        path = Path(folder) / "spin.py"
        path.write_text(_SPIN)
        command = [tool("scalene"), "run", "--cpu-only", "-o", "scalene.json", str(path)]
        failure = tried(command, patience_s=120, folder=folder)
        if not failure and not (Path(folder) / "scalene.json").is_file():
            failure = "it wrote no profile"
    if failure:
        return Ability(found.name, False, f"scalene profiles nothing: {failure}", "py-spy and the line sampler")
    return Ability(found.name, True, f"{found.reason} and profiles a program")


def try_heaptrack() -> Ability:
    """Record a small program with heaptrack, which wants its whole path."""
    return _tried(
        "native heap",
        ["heaptrack", "-o", "heap", shutil.which("true") or "true"],
        "memray, which also sees Numba's allocations",
    )
