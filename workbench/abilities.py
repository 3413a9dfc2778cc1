"""What can be measured on this machine, what cannot, why, what is used instead, and what to install.

One function for each ability, so that the tool that needs it and `workbench doctor` say the same. Every function
answers in well under a second and never raises.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import platform
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import cache_folder, data_folder


@dataclass(frozen=True)
class Ability:
    """Whether something works here. `reason` says why (or why not); `fallback` and `remedy` are empty when it does."""

    name: str
    works: bool
    reason: str
    fallback: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


def _program(name: str, program: str, fallback: str, package: str | None = None) -> Ability:
    found = shutil.which(program)
    if found:
        return Ability(name, True, f"{program} is at {found}")
    return Ability(
        name, False, f"{program} is not on this machine", fallback, f"apt-get install {package or program} (Debian)"
    )


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return ""


def clock() -> Ability:
    """The time-stamp counter: cheap stamps inside compiled code."""
    name = "cycle clock"
    if platform.machine() == "aarch64":
        return Ability(name, True, "the virtual counter register of aarch64 (untested by this project)")
    flags = _read("/proc/cpuinfo").split()
    missing = [flag for flag in ("constant_tsc", "nonstop_tsc") if flag not in flags]
    if not missing:
        return Ability(name, True, "the time-stamp counter is invariant (constant_tsc, nonstop_tsc)")
    return Ability(
        name,
        False,
        f"the CPU does not promise {' and '.join(missing)}",
        "clock_gettime stamps: percentiles below about 100 ns are shown as upper bounds",
    )


def pinning() -> Ability:
    """Pinning a replicate to a core, with another core left for the rest of the system."""
    name = "pinned replicates"
    if not hasattr(os, "sched_setaffinity"):
        return Ability(name, False, "this system has no sched_setaffinity", "replicates run unpinned and say so")
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        return Ability(name, True, f"{cores} cores may be used; replicates take the last one")
    return Ability(
        name, False, "only one core may be used", "replicates share it with the system: expect UNRESOLVED more often"
    )


def frequency() -> Ability:
    """A fixed CPU frequency."""
    name = "steady frequency"
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if not governor:
        return Ability(
            name, False, "the frequency governor cannot be read (a virtual machine)", "interleaved blocks cancel drift"
        )
    if governor == "performance":
        return Ability(name, True, "the governor is performance")
    return Ability(
        name,
        False,
        f"the governor is {governor}",
        "interleaved blocks cancel drift",
        "cpupower frequency-set -g performance",
    )


def huge_pages() -> Ability:
    """Transparent huge pages for large tables."""
    setting = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    if "[always]" in setting or "[madvise]" in setting:
        return Ability("huge pages", True, f"transparent huge pages: {setting}")
    return Ability(
        "huge pages",
        False,
        "transparent huge pages are off" if setting else "this Linux has no transparent huge pages",
        "ordinary pages: more TLB misses in large tables",
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (as root)",
    )


def line_sampler() -> Ability:
    """The in-process sampler: per-thread timers and a compiled signal handler."""
    name = "line sampler"
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        return Ability(name, False, "it needs Linux on x86-64 or aarch64", "scalene and py-spy show Python lines only")
    note = "" if platform.machine() == "x86_64" else " (aarch64: untested by this project)"
    return Ability(name, True, f"per-thread timers and signals, no root needed{note}")


def hardware_counters() -> Ability:
    """Hardware counters through perf_event_open, tried with one instructions counter on this process."""
    name = "hardware counters"
    number = {"x86_64": 298, "aarch64": 241}.get(platform.machine())
    instead = "callgrind's simulated counts (workbench profile cache)"
    if number is None or platform.system() != "Linux":
        return Ability(name, False, "perf_event_open is not known for this system", instead)
    # struct perf_event_attr: type HARDWARE, size, config INSTRUCTIONS, ..., exclude_kernel | exclude_hv (bits 5, 6)
    attributes = ctypes.create_string_buffer(struct.pack("<IIQQQQQ", 0, 112, 1, 0, 0, 0, 0b1100000), 112)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(number, attributes, 0, -1, -1, 0)
    if descriptor >= 0:
        os.close(descriptor)
        return Ability(name, True, "perf_event_open counts instructions of this process")
    why = os.strerror(ctypes.get_errno())
    remedy = "sysctl kernel.perf_event_paranoid=2 (as root)" if ctypes.get_errno() in (1, 13) else ""
    return Ability(name, False, f"perf_event_open refuses: {why}", instead, remedy)


def callgrind() -> Ability:
    """Simulated cache misses and instructions for each source line."""
    return _program("cache simulation", "valgrind", "instruction mix from the disassembly only", "valgrind")


def perf() -> Ability:
    """System-wide profiles of Linux perf."""
    return _program("perf", "perf", "the line sampler (workbench profile cpu)", "linux-perf")


def ptrace() -> Ability:
    """py-spy needs to trace its target."""
    name = "py-spy"
    beside = str(Path(sys.executable).parent)  # where pip puts it, also when that is not on PATH
    found = shutil.which("py-spy") or shutil.which("py-spy", path=beside)
    if found is None:
        return Ability(name, False, "py-spy is not installed", "the line sampler", "pip install py-spy")
    scope = _read("/proc/sys/kernel/yama/ptrace_scope")
    if scope == "3":
        return Ability(name, False, "ptrace is switched off (yama/ptrace_scope is 3)", "the line sampler")
    return Ability(name, True, f"{found} traces programs that it starts itself")


def strace() -> Ability:
    """System-call summaries."""
    return _program("system calls", "strace", "context switches and faults from getrusage")


def bpftrace() -> Ability:
    """Kernel tracing."""
    ability = _program("kernel tracing", "bpftrace", "context switches and faults from getrusage")
    if ability.works and os.geteuid() != 0:
        return Ability(ability.name, False, "bpftrace needs root", "context switches and faults from getrusage")
    return ability


def heaptrack() -> Ability:
    """Native heap profiles beside memray's."""
    return _program("native heap", "heaptrack", "memray, which also sees Numba's allocations")


def compiler() -> Ability:
    """The C++ compiler that builds the peers."""
    return _program("C++ peers", "g++", "the peers in C++ are skipped by name", "g++")


def browser() -> Ability:
    """Chromium, for the tests of pages and widgets."""
    return _program("browser tests", "chromium", "pages and widgets are tested without a browser")


def _folder(name: str, path: Path, variable: str, fallback: str) -> Ability:
    probe = path
    while not probe.exists() and probe != probe.parent:
        probe = probe.parent
    if probe.is_dir() and os.access(probe, os.W_OK):
        return Ability(name, True, f"{path} can be written")
    return Ability(name, False, f"{path} cannot be written", fallback, f"set {variable} to a folder of yours")


def code_cache() -> Ability:
    """The disk cache of compiled kernels."""
    return _folder("compiled code cache", cache_folder(), "WORKBENCH_CACHE", "every process compiles anew: slow starts")


def results_store() -> Ability:
    """Where results are kept."""
    name, variable, fallback = "results store", "WORKBENCH_HOME", "results are printed and not kept"
    try:
        return _folder(name, data_folder(), variable, fallback)
    except InputError:
        return Ability(name, False, "this user has no home folder", fallback, f"set {variable} to a folder of yours")


def import_names() -> Ability:
    """Another package on PyPI is called `kernels` too: notice when one shadows the other."""
    spec = importlib.util.find_spec("kernels")
    ours = Path(__file__).resolve().parent.parent / "kernels" / "__init__.py"
    if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == ours:
        return Ability("import names", True, f"kernels is {ours.parent}")
    found = spec.origin if spec is not None else "nothing"
    return Ability(
        "import names",
        False,
        f"`import kernels` finds {found}, not ours",
        "none",
        "uninstall the other package `kernels`",
    )


def real_data() -> Ability:
    """Real market data for workloads and tests."""
    folder = os.environ.get("WORKBENCH_DATA", "")
    if folder and Path(folder).is_dir():
        return Ability("real market data", True, f"WORKBENCH_DATA is {folder}")
    reason = f"WORKBENCH_DATA is {folder}, which is no folder" if folder else "WORKBENCH_DATA is not set"
    return Ability(
        "real market data", False, reason, "the synthetic market", "set WORKBENCH_DATA to a folder of recordings"
    )


CHECKS: tuple[Callable[[], Ability], ...] = (
    import_names,
    clock,
    pinning,
    frequency,
    huge_pages,
    line_sampler,
    callgrind,
    hardware_counters,
    perf,
    ptrace,
    strace,
    bpftrace,
    heaptrack,
    compiler,
    browser,
    code_cache,
    results_store,
    real_data,
)


def examine() -> Iterator[Ability]:
    """Yield every ability in the order of `CHECKS`; a check that fails itself is an ability that does not work."""
    for check in CHECKS:
        try:
            yield check()
        except Exception as error:  # a broken /proc must not hide the other answers
            yield Ability(check.__name__.replace("_", " "), False, f"could not be examined: {error}")
