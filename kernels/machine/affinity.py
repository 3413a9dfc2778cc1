"""Which core a thread runs on: asked, and fixed. Linux only.

A thread that moves to another core leaves its caches behind, and time-stamp counters of different cores need not agree
to the last tick: a latency measurement pins its threads. Pinning does not keep others off the core; only the system's
administrator can do that (``isolcpus``, cpusets).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from numba import types
from numba.extending import intrinsic

from kernels.machine._llvm import I32, external


def _need_linux() -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise RuntimeError(f"pinning to a core needs Linux, and this is {sys.platform}: run without it")


def allowed_cores() -> tuple[int, ...]:
    """Return the cores that the calling thread may run on, in order. Raises RuntimeError outside Linux."""
    _need_linux()
    return tuple(sorted(os.sched_getaffinity(0)))


def _check(core: int) -> None:
    """Raise ValueError where no such core exists."""
    count = os.cpu_count() or 1
    if not 0 <= core < count:
        raise ValueError(f"there is no core {core}: this machine has 0 to {count - 1}")


def _pin(task: int, core: int) -> bool:
    try:
        os.sched_setaffinity(task, {core})
    except ProcessLookupError:
        return True  # the thread has ended meanwhile
    except OSError:  # outside the container's cpuset, offline, or forbidden by a sandbox
        return False
    return True


def pin_thread(core: int) -> bool:
    """Let the calling thread run on `core` only; threads that it starts later inherit that.

    Returns False, changing nothing, where the system does not allow it (another cpuset, a sandbox). Raises ValueError
    for a core that does not exist, RuntimeError outside Linux.
    """
    _need_linux()
    _check(core)
    return _pin(0, core)


def pin_process(core: int) -> bool:
    """Let every thread of this process run on `core` only, those of BLAS and of Jupyter included.

    Returns False where the system does not allow it for some thread; raises as `pin_thread` does.
    """
    _need_linux()
    _check(core)
    done = [_pin(int(task.name), core) for task in Path("/proc/self/task").iterdir()]
    return all(done)


@contextlib.contextmanager
def pinned(core: int) -> Iterator[bool]:
    """Pin the calling thread inside a ``with`` block, and let it run where it could before afterwards."""
    before = allowed_cores()
    done = pin_thread(core)
    try:
        yield done
    finally:
        if done:
            os.sched_setaffinity(0, before)


@intrinsic  # type: ignore[untyped-decorator]
def current_core(typingctx):
    """Return the core that this thread runs on now as int32 (``sched_getcpu``); -1 where the system cannot tell.

    For compiled code. Out of date as soon as it is known, unless the thread is pinned; good for choosing a shard.
    """

    def codegen(context, builder, signature, args):
        return builder.call(external(builder, "sched_getcpu", I32, []), [])

    return types.int32(), codegen
