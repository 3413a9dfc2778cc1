"""The thread that arms the threads of a sampled process, empties the ring, and disarms what it armed."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Literal

import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from workbench import codemap
from workbench.profile import handler, posix, ring, senders

Clock = Literal["wall", "cpu"]
SIGNAL = int(signal.SIGPROF)
KEEPER_PERIOD_S = 0.02  # how soon a new thread is sampled; each turn takes Python's lock from the sampled code
EMPTY_EVERY = 5  # turns
# Slightly off the round number: a period that divides the scheduler's tick would always meet it at the same place.
OFF_BEAT = 1.00371


class Session:
    """One open region. Nested ones share the keeper."""

    def __init__(self) -> None:
        self.chunks: list[np.ndarray] = []
        self.lost = 0
        self.began_s = time.monotonic()


class _NativeThreads:
    """Tells which threads that Python does not know are at work: to wake a sleeping worker 1,000 times a second costs.

    Such threads (of Numba's ``prange``, of BLAS) are sampled from 50 ms after they begin to run until they rest.
    """

    LOOK_S = 0.05

    def __init__(self) -> None:
        self.busy: set[int] = set()
        self._spent: dict[int, int] = {}
        self._looked = 0.0

    def is_time(self) -> bool:
        """Return whether the last look is long enough ago."""
        return time.monotonic() - self._looked >= self.LOOK_S

    def idle(self, threads: set[int]) -> set[int]:
        """Look which of `threads` have run since the last look; return those that have not."""
        self._looked = time.monotonic()
        spent = {thread: _cpu_ns(thread) for thread in threads}
        # Handling the samples themselves costs a few microseconds each; real work costs milliseconds.
        self.busy = {each for each, now in spent.items() if now - self._spent.get(each, now) > 5_000_000}
        self._spent = spent
        return threads - self.busy


def _cpu_ns(thread: int) -> int:
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


class Keeper(threading.Thread):
    """Arms, empties and disarms, in one thread of its own."""

    def __init__(self, rate_per_s: float, clock: Clock):
        super().__init__(name="workbench sampler", daemon=True)
        self.rate_per_s, self.clock = rate_per_s, clock
        self.sessions: list[Session] = []
        self.turn = threading.Lock()  # held while the ring is emptied or the sessions change
        self.ended = threading.Event()
        self.armed = threading.Event()
        self.failure: BaseException | None = None
        self.sample_cost_ns = float("nan")
        self.names: dict[int, str] = {}
        self._arms = senders.best(SIGNAL, int(1e9 / rate_per_s * OFF_BEAT), cpu_time=clock == "cpu")
        self._armed: set[int] = set()  # native ids
        self._next = 0  # slot that is read next
        self._native = _NativeThreads()
        self._seen: list[str] = []
        self._known_objects = -1
        # Here, in the thread that starts it: that thread may hold Numba's compiler lock, and waits for this one.
        self._handler_address = int(handler.make_handler(ring.CONTROL.ctypes.data).address)
        ring.prepare()
        self._publish_ranges()

    def run(self) -> None:
        """Do all of it; what fails is told to the thread that started it."""
        old = None
        try:
            flags = posix.SA_SIGINFO | posix.SA_RESTART | posix.SA_ONSTACK
            old = posix.set_handler(SIGNAL, self._handler_address, flags)
            ring.CONTROL[handler.ENABLED] = 1
            self.sample_cost_ns = _sample_cost_ns()
            self._next = int(ring.CONTROL[handler.SLOT])
            self._arms.begin()
            self._arm_new()
            self.armed.set()
            turn = 0
            while not self.ended.wait(KEEPER_PERIOD_S):
                self._arm_new()
                turn += 1
                if turn % EMPTY_EVERY == 0:
                    self.empty()
                    if _compiler_is_free():
                        self._publish_ranges()
        except BaseException as failure:
            self.failure = failure
        finally:
            self._arms.end()
            ring.CONTROL[handler.ENABLED] = 0
            if old is not None:
                posix.restore_handler(SIGNAL, old)
            self.empty()
            self.armed.set()

    def empty(self) -> None:
        """Hand what is in the ring to the open sessions."""
        with self.turn:
            taken, lost = ring.take(self._next)
            self._next += len(taken) + lost
            for session in self.sessions:
                session.lost += lost
                if len(taken):
                    session.chunks.append(taken)

    def own_cpu_s(self) -> float:
        """Return the CPU time that sampling has used so far in threads of its own."""
        own = self._arms.own_threads() | {self.native_id or 0}
        return sum(posix.thread_cpu_s(thread) for thread in own)

    def _arm_new(self) -> None:
        """Arm each thread that is not; forget those that ended."""
        names = os.listdir("/proc/self/task")  # noqa: PTH208  # a Path for each thread, 100 times a second, is felt
        looking = self._native.is_time()
        if names == self._seen and not looking:
            return
        self._seen = names
        alive = {int(name) for name in names}
        alive -= {threading.get_native_id()} | self._arms.own_threads()
        self._disarm(self._armed - alive)
        known = {each.native_id: each.name for each in threading.enumerate()}
        if looking:
            self._disarm(self._native.idle(alive - known.keys()) & self._armed)
        for thread in (alive & known.keys() | self._native.busy) - self._armed:
            if self._arms.arm(thread):
                self._armed.add(thread)
                self.names[thread] = known.get(thread, "native thread")

    def _disarm(self, threads: set[int]) -> None:
        for thread in threads:
            self._arms.disarm(thread)
        self._armed -= threads

    def _publish_ranges(self) -> None:
        """Tell the handler where compiled code lies, when more was compiled since."""
        count = codemap.capture.count()
        if count == self._known_objects:
            return
        self._known_objects = count
        ring.publish_ranges(codemap.code_map())


def _compiler_is_free() -> bool:
    """Return whether nobody compiles just now: the code map would wait for it, and the ring must be emptied."""
    lock = global_compiler_lock._lock
    free: bool = lock.acquire(blocking=False)
    if free:
        lock.release()
    return free


@functools.cache
def _sample_cost_ns() -> float:
    """Return what one signal costs, measured once in a process: the best of some batches, less what sending none costs.

    What Linux does to send it from elsewhere is not in it; it is in a measured slowdown, where the profile has one.
    """
    send, batch = posix.libc()["raise"], 100
    best: dict[int, float] = {}
    for signo in (0, SIGNAL) * 5:
        began = time.perf_counter_ns()
        for _ in range(batch):
            send(ctypes.c_int(signo))
        spent = (time.perf_counter_ns() - began) / batch
        best[signo] = min(best.get(signo, spent), spent)
    return max(0.0, best[SIGNAL] - best[0])
