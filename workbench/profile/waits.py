"""In which system call threads wait, sampled from /proc of the own process: no root, no ptrace, nothing is stopped.

Linux shows for each thread the call that it waits in, or that it runs (``/proc/self/task/N/syscall``). A thread of
Python reads that once a millisecond while compiled code runs without the GIL; each look costs some tens of
microseconds of another core. It tells how long threads wait and in what, not how often they call.
"""

from __future__ import annotations

import collections
import contextlib
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path

INTERVAL_S = 0.001
RUNNING = "running"
_NAMES = {
    "x86_64": {
        0: "read", 1: "write", 7: "poll", 23: "select", 24: "sched_yield", 35: "nanosleep", 202: "futex",
        230: "clock_nanosleep", 232: "epoll_wait", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait",
    },
    "aarch64": {
        22: "epoll_pwait", 63: "read", 64: "write", 72: "pselect6", 73: "ppoll", 98: "futex", 101: "nanosleep",
        115: "clock_nanosleep", 124: "sched_yield",
    },
}  # fmt: skip


def call_name(text: str, machine: str | None = None) -> str:
    """Return what a thread waits in, from the text of its ``syscall`` file: a call's name, or `RUNNING`."""
    number = text.split(maxsplit=1)[0] if text.strip() else RUNNING
    if not number.isdigit():  # running, or -1: stopped, or waiting for a page
        return RUNNING
    return _NAMES.get(machine or platform.machine(), {}).get(int(number), f"system call {number}")


@contextlib.contextmanager
def sampled_waits(*, new_threads: bool) -> Iterator[collections.Counter[str]]:
    """Count, while the block runs, what threads wait in: those that it starts, or only the one that runs it.

    The counter is empty where Linux does not tell.
    """
    found: collections.Counter[str] = collections.Counter()
    own = threading.get_native_id()
    before = _threads()
    stop = threading.Event()

    def look() -> None:
        mine = threading.get_native_id()
        while not stop.is_set():
            for thread in _threads() - before - {mine} if new_threads else {own}:
                with contextlib.suppress(OSError):
                    found[call_name(Path(f"/proc/self/task/{thread}/syscall").read_text())] += 1
            time.sleep(INTERVAL_S)

    watcher = threading.Thread(target=look, name="waits", daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        stop.set()
        watcher.join()


def _threads() -> set[int]:
    with contextlib.suppress(OSError):
        return {int(task.name) for task in Path("/proc/self/task").iterdir()}
    return set()
