"""One timing job at a time on a host: a file lock that the Linux kernel releases when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.errors import WorkbenchError

_POLL_S = 0.1
_holders: list[int] = []  # the threads of this process that hold it: one at most, but for locks of different files


def lock_path() -> Path:
    """Return the lock's file: ``$WORKBENCH_TIMING_LOCK``, else one in ``/tmp``, the same for every user of the host."""
    chosen = os.environ.get("WORKBENCH_TIMING_LOCK")
    if chosen:
        return Path(chosen)
    folder = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # TMPDIR differs between users
    return folder / "kernel-workbench-timing.lock"


@contextlib.contextmanager
def timing_lock(
    purpose: str,
    tell: Callable[[str], None] = lambda text: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold the host's timing lock. While another holds it, `tell` who, once, and wait.

    `purpose` is what others are told. Raises KeyboardInterrupt when `cancelled` turns true meanwhile, and
    WorkbenchError when the lock's file cannot be opened.
    """
    handle = _open(lock_path())
    try:
        told = False
        while not _try(handle):
            if not told:
                tell(f"waiting for another timing job on this host: {_holder(handle)}")
                told = True
            if cancelled():
                raise KeyboardInterrupt
            time.sleep(_POLL_S)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}, {purpose}, since {time.strftime('%H:%M:%S')}".encode(), 0)
        owner = threading.get_ident()
        _holders.append(owner)
        try:
            yield
        finally:
            _holders.remove(owner)
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)  # releases the lock


@contextlib.contextmanager
def held_timing_lock(purpose: str, tell: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the host's timing lock as `timing_lock` does; go on at once where this thread holds it already.

    For what is called by itself as well as within a job that holds the lock. `tell` prints to stderr by default.
    """
    if threading.get_ident() in _holders:
        yield
        return
    with timing_lock(purpose, tell or (lambda text: print(text, file=sys.stderr))):
        yield


def _open(path: Path) -> int:
    try:
        with contextlib.suppress(FileNotFoundError):  # no O_CREAT first: in /tmp it is refused for another's file
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):
            os.fchmod(handle, 0o666)  # another user has to open it too, whatever our umask is
        return handle
    except OSError as error:
        raise WorkbenchError(
            f"the timing lock {path} cannot be opened ({error.strerror}): set WORKBENCH_TIMING_LOCK to another file"
        ) from None


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(handle: int) -> str:
    return os.pread(handle, 500, 0).decode("utf-8", "replace").strip() or "its holder left no name"
