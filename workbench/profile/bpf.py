"""bpftrace: system calls and context switches of a process counted inside Linux, at a fraction of strace's cost.

It needs root, tracepoints that it can find, and memory that may be locked: whether it works shows when it begins.
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from pathlib import Path

from workbench import abilities
from workbench.errors import WorkbenchError

PROGRAM = """
tracepoint:raw_syscalls:sys_enter /pid == {process}/ {{ @calls[args->id] = count(); }}
tracepoint:sched:sched_switch /pid == {process}/ {{ @switches[args->prev_state] = count(); }}
"""
START_S = 30.0
SETTLE_S = 0.3  # it says that it attaches just before it has
_ROW = re.compile(r"^@(\w+)\[(-?\d+)\]: (\d+)$")


class Counting:
    """bpftrace that counts what one process does until `stop`."""

    def __init__(self, process: int, folder: Path):
        """Begin, and return when it counts. Raises WorkbenchError with the reason."""
        ability = abilities.bpftrace()
        if not ability.works:
            raise WorkbenchError(ability.reason)
        self._file, errors = folder / "bpftrace.txt", folder / "bpftrace.errors"
        with self._file.open("wb") as out, errors.open("wb") as told:
            # -p: it ends with the process, which ends with this one, however that ends.
            command = ["bpftrace", "-p", str(process), "-e", PROGRAM.format(process=process)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=told)
        deadline = time.monotonic() + START_S
        while b"Attaching" not in self._file.read_bytes() and self._process.poll() is None:
            if time.monotonic() > deadline:
                self.stop()
                raise WorkbenchError(f"bpftrace did not begin within {START_S:g} s")
            time.sleep(0.05)
        time.sleep(SETTLE_S)
        if self._process.poll() is not None:
            raise WorkbenchError(f"bpftrace says: {why(errors.read_text(errors='replace'))}")

    def stop(self) -> dict[str, dict[int, int]]:
        """End it; return ``calls`` by their number and ``switches`` by the state in which a thread left its core."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        return read(self._file.read_text(errors="replace"))


def why(errors: str, debug: Path = Path("/sys/kernel/debug/tracing")) -> str:
    """Return the reason in what bpftrace wrote to its errors, as one clause."""
    told = [line for line in errors.splitlines() if "ERROR" in line and "RLIMIT" not in line]
    reason = told[0].partition("ERROR: ")[2].strip() if told else "nothing, and it ended"
    if "tracepoint not found" in reason and not debug.is_dir():
        return f"{reason}; it looks in {debug.parent}, where no debugfs is mounted"
    return reason


def read(text: str) -> dict[str, dict[int, int]]:
    """Return what bpftrace prints at its end: by name and key."""
    found: dict[str, dict[int, int]] = {"calls": {}, "switches": {}}
    for line in text.splitlines():
        matched = _ROW.match(line.strip())
        if matched is not None:
            found.setdefault(matched[1], {})[int(matched[2])] = int(matched[3])
    return found
