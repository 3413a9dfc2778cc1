"""The thread that arms the threads of a sampled process, empties the ring, and disarms what it armed."""

from __future__ import annotations

import signal
import threading
import time
from typing import Literal

import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from workbench import codemap
from workbench.errors import InputError
from workbench.profile import handler, posix, ring, sample_cost, senders

Clock = Literal["wall", "cpu"]
SIGNAL = int(signal.SIGPROF)
# How soon a new thread is sampled. Each turn takes Python's lock from the sampled code, if that holds it: 0.1 ms lost.
KEEPER_PERIOD_S = 0.05
EMPTY_EVERY = 2  # turns
WORKING_S = 0.005  # CPU time in one turn, by which a native thread is at work
# Slightly off the round number: a period that divides the scheduler's tick would always meet it at the same place.
OFF_BEAT = 1.00371


class Session:
    """One open region. Nested ones share the keeper."""

    def __init__(self) -> None:
        self.chunks: list[np.ndarray] = []
        self.lost = 0
        self.began_s = time.monotonic()
        self.paused_s = 0.0


class _NativeThreads:
    """Tells which threads that Python does not know are at work: to wake a sleeping worker 1,000 times a second costs.

    Such threads (of Numba's ``prange``, of BLAS) are sampled from about 0.1 s after they begin to run until they rest.
    """

    def __init__(self) -> None:
        self.busy: set[int] = set()
        self._spent_s: dict[int, float] = {}

    def idle(self, threads: set[int]) -> set[int]:
        """Look which of `threads` have run since the last look; return those that have not."""
        spent_s = {thread: posix.thread_cpu_s(thread) for thread in threads}
        # Handling the samples themselves costs some microseconds each; real work costs milliseconds.
        self.busy = {each for each, now in spent_s.items() if now - self._spent_s.get(each, now) > WORKING_S}
        self._spent_s = spent_s
        return threads - self.busy


class Keeper(threading.Thread):
    """Arms, empties and disarms, in one thread of its own."""

    def __init__(self, rate_per_s: float, clock: Clock):
        super().__init__(name="workbench sampler", daemon=True)
        self.rate_per_s, self.clock = rate_per_s, clock
        self.sessions: list[Session] = []
        self.turn = threading.Lock()  # held while the ring is emptied or the sessions change
        self._gate = threading.Lock()  # held during each round of work, and while there is none
        self._paused_by = 0  # the thread that holds the gate for a pause
        self.ended = threading.Event()
        self.armed = threading.Event()
        self.failure: BaseException | None = None
        self.sample_cost_ns = float("nan")
        self.names: dict[int, str] = {}
        self._arms = senders.best(SIGNAL, int(1e9 / rate_per_s * OFF_BEAT), cpu_time=clock == "cpu")
        self._armed: set[int] = set()  # native ids
        self._next = 0  # slot that is read next
        self._native = _NativeThreads()
        self._known_objects = -1
        # Here, in the thread that starts it: that thread may hold Numba's compiler lock, and waits for this one.
        self._handler_address = int(handler.make_handler(ring.CONTROL.ctypes.data).address)
        sample_cost.compile_now()
        ring.prepare()
        self._publish_ranges()

    def run(self) -> None:
        """Do all of it; what fails is told to the thread that started it."""
        old = None
        try:
            flags = posix.SA_SIGINFO | posix.SA_RESTART | posix.SA_ONSTACK
            old = posix.set_handler(SIGNAL, self._handler_address, flags)
            ring.CONTROL[handler.ENABLED] = 1
            self.sample_cost_ns = sample_cost.sample_cost_ns(SIGNAL)
            self._next = int(ring.CONTROL[handler.SLOT])
            self._arms.begin()
            self._arm_new()
            self.armed.set()
            turn = 0
            while not self.ended.wait(KEEPER_PERIOD_S):
                turn += 1
                with self._gate:
                    self._arm_new()
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

    def pause(self) -> None:
        """Send nothing and let the keeper sleep until `resume`, which the same thread calls.

        Another thread waits for its turn. Raises InputError inside a pause of this thread, which would wait for itself.
        """
        if self._paused_by == threading.get_ident():
            raise InputError("this thread has paused the sampler already: end that pause before another begins")
        self._gate.acquire()
        self._paused_by = threading.get_ident()
        self._arms.pause()

    def resume(self) -> None:
        """Go on."""
        self._arms.resume()
        self._paused_by = 0
        self._gate.release()

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
        alive = posix.threads() - {threading.get_native_id()} - self._arms.own_threads()
        self._disarm(self._armed - alive)
        known = {each.native_id: each.name for each in threading.enumerate()}
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
