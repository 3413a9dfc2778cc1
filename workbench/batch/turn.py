"""Whose turn it is on a host: a job that times something runs alone, jobs that time nothing run beside each other.

A file lock beside that of `workbench.measure.timing_lock`, which is held only while something is really timed: what a
job does between two measurements (compiling, drawing) would disturb what another one times. A job that times takes
this lock for itself, the others share it; Linux lets go of it when its last holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.batch.job import FOLDER_VARIABLE
from workbench.errors import WorkbenchError
from workbench.measure.timing_lock import lock_path

_POLL_S = 0.1


def turn_path() -> Path:
    """Return the lock's file, the same for every user of the host."""
    return lock_path().with_suffix(".jobs.lock")


@contextlib.contextmanager
def host_turn(
    times: bool, tell: Callable[[str], None] = lambda text: None, patience_s: float | None = None
) -> Iterator[int | None]:
    """Hold this host's turn for a job that `times`, or a share of it for one that does not; wait for it, told once.

    Yields the lock's handle, which the job's process should inherit (``pass_fds``): the turn then lasts as long as it
    lives, even if its starter dies. Yields None inside a job, which has its turn already. Raises WorkbenchError when
    `patience_s` are over, and where the file cannot be opened.
    """
    if os.environ.get(FOLDER_VARIABLE):
        yield None
        return
    handle = _open(turn_path())
    try:
        deadline = None if patience_s is None else time.monotonic() + patience_s
        told = False
        while not _try(handle, fcntl.LOCK_EX if times else fcntl.LOCK_SH):
            if deadline is not None and time.monotonic() >= deadline:
                raise WorkbenchError("other jobs on this host did not end in time: run the batch again when they have")
            if not told:
                tell("waiting for the jobs of another batch on this host")
                told = True
            time.sleep(_POLL_S)
        yield handle
    finally:
        os.close(handle)  # a child that inherited the handle holds it on


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
            f"the lock {path} cannot be opened ({error.strerror}): set WORKBENCH_TIMING_LOCK to another file"
        ) from None


def _try(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
