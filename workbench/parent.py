"""A child process that ends when the process that started it dies, however that died."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # see prctl(2)


def end_with_parent(parent: int | None = None) -> None:
    """Ask Linux to kill this process when its parent dies: what nobody waits for must not go on measuring unseen.

    Call it first thing in a child. `parent` is the process id that the starter gave: a starter that died before this
    call can be told from one that lives by nothing else, and this process ends at once then. Linux means the *thread*
    that started the child: start it from one that lives as long as the child. Does nothing on other systems.
    """
    if sys.platform != "linux":
        return
    expected = os.getppid() if parent is None else parent
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != expected:  # it died before the request
        os._exit(1)


def end_with_ancestor(process: int) -> None:
    """End this process when `process` ends, which need not be its parent: a tool's script may stand between them.

    A thread waits for it, so no signal is needed. Ends at once where it has ended already. Does nothing on other
    systems than Linux.
    """
    if sys.platform != "linux":
        return
    try:
        watched = os.pidfd_open(process)
    except ProcessLookupError:
        os._exit(1)
    except OSError:  # this Linux has none
        return

    def wait() -> None:
        select.select([watched], [], [])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
