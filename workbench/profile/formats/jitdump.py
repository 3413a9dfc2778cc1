"""jitdump: the machine code of this process with its lines, for ``perf inject --jit``, ``perf annotate`` and scripts.

perf learns of the file by seeing the process map it executable, so `announce` does that before anything is compiled:
what is mapped later without a file, as LLVM's memory is, no longer hides the code. Record under the clock that the file
uses: ``perf record -k mono``. Format: Linux, tools/perf/Documentation/jitdump-specification.txt.
"""

from __future__ import annotations

import mmap
import os
import platform
import struct
import time
from pathlib import Path

from workbench.files import write_bytes
from workbench.profile.counted import Counted
from workbench.profile.formats._machine_code import Placed, machine_code

MAGIC, VERSION = 0x4A695444, 1  # "JiTD", read in the byte order of the machine
LOAD, DEBUG_INFO = 0, 2  # kinds of records
MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine of ELF
_HEADER = struct.Struct("=IIIIIIQQ")  # magic, version, size, machine, padding, process, time, flags
_RECORD = struct.Struct("=IIQ")  # kind, size with this header, time
_LOADED = struct.Struct("=IIQQQQ")  # process, thread, address, address of the code, size of the code, number
_DEBUG = struct.Struct("=QQ")  # address of the code, number of entries
_ENTRY = struct.Struct("=QII")  # address, line, discriminator; then the file's name

_announced_ns: dict[int, int] = {}  # process: when perf was told of the file, by the monotonic clock


def jitdump(profile: Counted) -> bytes:
    """Return every compiled function of this process with its bytes and, for those of `profile`, its lines.

    Each is said to be there since `announce` was called, else since now: perf names only samples that come later.
    """
    since_ns = _announced_ns.get(os.getpid(), time.monotonic_ns())
    parts = [_header(since_ns)]
    for number, function in enumerate(machine_code(profile), 1):
        if any(run.line for run in function.runs):
            parts.append(_debug_info(function, since_ns))
        parts.append(_load(function, number, since_ns))
    return b"".join(parts)


def announce(path: Path) -> None:
    """Map `path` (``jit-PID.dump``) executable for a moment, so that a perf that records sees its name.

    An empty dump is written first. Nothing happens where the folder's file system forbids executable maps.
    """
    if os.getpid() in _announced_ns:
        return
    now_ns = time.monotonic_ns()
    write_bytes(path, _header(now_ns))
    if _map(path):
        _announced_ns[os.getpid()] = now_ns


def show(path: Path) -> None:
    """Map the finished dump executable for a moment where `announce` did not: what it holds is left as it is.

    A perf that records then knows the file, if only for samples that come later.
    """
    if os.getpid() not in _announced_ns and _map(path):
        _announced_ns[os.getpid()] = time.monotonic_ns()


def _map(path: Path) -> bool:
    """Return whether `path` could be mapped executable."""
    with path.open("rb") as stream:
        try:
            mmap.mmap(stream.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
        except OSError:
            return False
    return True


def _header(time_ns: int) -> bytes:
    machine = MACHINES.get(platform.machine(), 0)
    return _HEADER.pack(MAGIC, VERSION, _HEADER.size, machine, 0, os.getpid(), time_ns, 0)


def _load(function: Placed, number: int, time_ns: int) -> bytes:
    code, name = function.code, function.name.encode() + b"\0"
    size_bytes = _RECORD.size + _LOADED.size + len(name) + len(code)
    process = os.getpid()
    placed = _LOADED.pack(process, process, function.begin, function.begin, len(code), number)
    return _RECORD.pack(LOAD, size_bytes, time_ns) + placed + name + code


def _debug_info(function: Placed, time_ns: int) -> bytes:
    """Return the record of the lines; it must stand before that of the code."""
    entries = [_ENTRY.pack(run.begin, run.line, 0) + run.file.encode() + b"\0" for run in function.runs if run.line]
    body = _DEBUG.pack(function.begin, len(entries)) + b"".join(entries)
    return _RECORD.pack(DEBUG_INFO, _RECORD.size + len(body), time_ns) + body
