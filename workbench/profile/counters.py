"""Hardware counters around a call, by perf_event_open, where the machine and its rights allow.

Counts this thread in user space. Many virtual machines hide the counters; then `missing` says why, and the simulated
counts of ``kind="cache"`` are what can be had. See perf_event_open(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_HARDWARE, _SOFTWARE, _CACHE = 0, 1, 3
_L1D, _LL, _READ, _ACCESS, _MISS = 0, 2, 0, 0, 1

EVENTS: dict[str, tuple[int, int]] = {
    "cycles": (_HARDWARE, 0),
    "instructions": (_HARDWARE, 1),
    "branches": (_HARDWARE, 4),
    "branch_misses": (_HARDWARE, 5),
    "d1_read_misses": (_CACHE, _L1D | _READ << 8 | _MISS << 16),
    "ll_read_misses": (_CACHE, _LL | _READ << 8 | _MISS << 16),
    "page_faults": (_SOFTWARE, 2),
}
"""Counter: (type, config) of perf_event_attr."""

_ATTR_BYTES = 112  # PERF_ATTR_SIZE_VER5
_DISABLED, _EXCLUDE_KERNEL, _EXCLUDE_HV = 1 << 0, 1 << 5, 1 << 6
_ENABLED_TIME, _RUNNING_TIME = 1, 2  # read_format
_ENABLE, _DISABLE, _RESET = 0x2400, 0x2401, 0x2403
FALLBACK = 'cache misses and instructions are simulated instead: profile with kind="cache"'


@dataclass(frozen=True)
class Counts:
    """What was counted over `calls` calls; `absent` holds the counters that the machine refused, with the reason."""

    calls: int
    values: dict[str, float]
    shares: dict[str, float]  # the part of the time that each counter was on the hardware; below 1 it is scaled up
    absent: dict[str, str]
    result: Any = None

    def per_call(self) -> dict[str, float]:
        """Return the counts of one call."""
        return {name: value / self.calls for name, value in self.values.items()}


def missing(event: str = "instructions") -> str | None:
    """Return why `event` cannot be counted here, with the fallback, as one sentence; None when it can."""
    try:
        os.close(_open(event))
    except OSError as error:
        return _reason(error)
    return None


def count(function: Callable[..., Any], *arguments: Any, calls: int = 1, events: tuple[str, ...] = ()) -> Counts:
    """Count `calls` calls of ``function(*arguments)`` after one warm-up, in this thread, user space only.

    The interpreter's call is counted too: a compiled call of a few microseconds is lost in it. Raises WorkbenchError
    with the reason and the fallback when none of the hardware's events can be counted.
    """
    if calls < 1:
        raise WorkbenchError(f"calls is {calls}: count at least one")
    opened: dict[str, int] = {}
    absent: dict[str, str] = {}
    try:
        for name in events or tuple(EVENTS):
            try:
                opened[name] = _open(name)
            except OSError as error:
                absent[name] = _reason(error)
        if not any(EVENTS[name][0] != _SOFTWARE for name in opened):
            raise WorkbenchError(next(iter(absent.values()), f"no hardware counter was asked for; {FALLBACK}"))
        result = function(*arguments)
        for descriptor in opened.values():
            fcntl.ioctl(descriptor, _RESET, 0)
            fcntl.ioctl(descriptor, _ENABLE, 0)
        for _ in range(calls):
            result = function(*arguments)
        for descriptor in opened.values():
            fcntl.ioctl(descriptor, _DISABLE, 0)
        values, shares = {}, {}
        for name, descriptor in opened.items():
            value, enabled, running = struct.unpack("qqq", os.read(descriptor, 24))
            shares[name] = running / enabled if enabled else 0.0
            values[name] = value / shares[name] if shares[name] else 0.0
    finally:
        for descriptor in opened.values():
            os.close(descriptor)
    return Counts(calls, values, shares, absent, result)


def attribute(event: str) -> bytes:
    """Return the perf_event_attr of `event`: disabled at first, this thread's user space only."""
    kind, config = EVENTS[event]
    flags = _DISABLED | _EXCLUDE_KERNEL | _EXCLUDE_HV
    head = struct.pack("IIQQQQQ", kind, _ATTR_BYTES, config, 0, 0, _ENABLED_TIME | _RUNNING_TIME, flags)
    return head.ljust(_ATTR_BYTES, b"\0")


def _open(event: str) -> int:
    """Open one counter of this thread on any CPU and return its file descriptor. Raises OSError."""
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, "no number of the system call is known here")
    libc = ctypes.CDLL(None, use_errno=True)
    data = ctypes.create_string_buffer(attribute(event), _ATTR_BYTES)
    descriptor: int = libc.syscall(ctypes.c_long(number), data, 0, -1, -1, ctypes.c_ulong(0))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return descriptor


def _reason(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        level = _paranoid()
        told = f"kernel.perf_event_paranoid is {level}" if level else "the container's rights forbid perf_event_open"
        return f"hardware counters are not allowed here ({told}; at most 2 is needed); {FALLBACK}"
    if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
        return f"this machine shows no such hardware counter, as many virtual machines; {FALLBACK}"
    if error.errno == errno.ENOSYS:
        return f"Linux has no perf_event_open here ({error.strerror}); {FALLBACK}"
    return f"a hardware counter could not be opened ({error.strerror}); {FALLBACK}"


def _paranoid() -> str:
    try:
        return Path("/proc/sys/kernel/perf_event_paranoid").read_text().strip()
    except OSError:
        return ""
