"""What the machine itself can do: its clock, its cores, its pages, its counters."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from workbench.abilities.ability import Ability, read


def clock() -> Ability:
    """The time-stamp counter: cheap stamps inside compiled code."""
    name = "cycle clock"
    if platform.machine() == "aarch64":
        return Ability(name, True, "the virtual counter register of aarch64 (untested by this project)")
    flags = read("/proc/cpuinfo").split()
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
    governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
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
    setting = read("/sys/kernel/mm/transparent_hugepage/enabled")
    if "[always]" in setting or "[madvise]" in setting:
        return Ability("huge pages", True, f"transparent huge pages: {setting}")
    return Ability(
        "huge pages",
        False,
        "transparent huge pages are off" if setting else "this Linux has no transparent huge pages",
        "ordinary pages: more TLB misses in large tables",
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (as root)",
    )


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
