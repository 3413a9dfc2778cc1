"""Samples where every thread of this process is: no root, no ptrace, no debugger, 1,000 times a second and more.

A timer for each thread (``timer_create`` with SIGEV_THREAD_ID) sends SIGPROF to that thread alone; a compiled handler
notes the program counter. One *keeper* thread arms the timers of new threads, empties the ring, and disarms: what it
has begun it also ends, whatever exception or interrupt hits the code that is sampled.

Two clocks. ``"wall"`` (CLOCK_MONOTONIC) runs to 10,000 samples/s and also sees a thread that waits; on a busy machine
it stays fair, as Linux sends one signal for all that were missed while a thread did not run. ``"cpu"`` counts the CPU
time of a thread and leaves out waiting, but Linux looks at it only at its tick: 100 to 1,000 samples/s, 250 as a rule.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from workbench import codemap
from workbench.codemap.addresses import CodeMap
from workbench.errors import InputError, WorkbenchError
from workbench.profile import handler, posix

Clock = Literal["wall", "cpu"]
SIGNAL = int(signal.SIGPROF)
RING_ENTRIES = 1 << 16  # 2 MB: more than six seconds of one thread at 10,000/s between two visits of the keeper
KEEPER_PERIOD_S = 0.02  # how soon a new thread is sampled; each turn takes Python's lock from the sampled code
EMPTY_EVERY = 5  # turns
# Slightly off the round number: a period that divides the scheduler's tick would always meet it at the same place.
OFF_BEAT = 1.00371


@dataclass
class Samples:
    """What was sampled between two moments: program counters, and what they cost."""

    pc: np.ndarray  # int64[n]: addresses
    caller: np.ndarray  # int64[n]: compiled code that called what the address is in, 0 where there is none
    thread: np.ndarray  # int64[n]: native ids
    lost: int  # overwritten before they were read
    duration_s: float
    rate_per_s: float  # asked for, for each thread
    clock: Clock
    sample_cost_ns: float  # what one signal costs, measured
    names: dict[int, str] = field(default_factory=dict)  # native id: name of the thread
    notes: list[str] = field(default_factory=list)


class _Session:
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


class _Keeper(threading.Thread):
    """Arms, empties and disarms, in one thread of its own."""

    def __init__(self, rate_per_s: float, clock: Clock):
        super().__init__(name="workbench sampler", daemon=True)
        self.rate_per_s, self.clock = rate_per_s, clock
        self.sessions: list[_Session] = []
        self.turn = threading.Lock()  # held while the ring is emptied or the sessions change
        self.ended = threading.Event()
        self.armed = threading.Event()
        self.failure: BaseException | None = None
        self.sample_cost_ns = float("nan")
        self.names: dict[int, str] = {}
        self._timers: dict[int, int] = {}  # native id: timer
        self._next = 0  # slot that is read next
        self._native = _NativeThreads()
        self._seen: list[str] = []
        self._known_objects = -1
        # Here, in the thread that starts it: that thread may hold Numba's compiler lock, and waits for this one.
        self._handler_address = int(handler.make_handler(_CONTROL.ctypes.data).address)
        _prepare_ring()
        self._publish_ranges()

    def run(self) -> None:
        """Do all of it; what fails is told to the thread that started it."""
        old = None
        try:
            flags = posix.SA_SIGINFO | posix.SA_RESTART | posix.SA_ONSTACK
            old = posix.set_handler(SIGNAL, self._handler_address, flags)
            _CONTROL[handler.ENABLED] = 1
            self.sample_cost_ns = _sample_cost_ns()
            self._next = int(_CONTROL[handler.SLOT])
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
            for timer in self._timers.values():
                posix.delete_timer(timer)
            _CONTROL[handler.ENABLED] = 0
            if old is not None:
                posix.restore_handler(SIGNAL, old)
            self.empty()
            self.armed.set()

    def empty(self) -> None:
        """Hand what is in the ring to the open sessions."""
        with self.turn:
            taken, lost = _take(self._next)
            self._next += len(taken) + lost
            for session in self.sessions:
                session.lost += lost
                if len(taken):
                    session.chunks.append(taken)

    def _arm_new(self) -> None:
        """Start a timer for each thread that has none; forget those of threads that ended."""
        names = os.listdir("/proc/self/task")  # noqa: PTH208  # a Path for each thread, 100 times a second, is felt
        looking = self._native.is_time()
        if names == self._seen and not looking:
            return
        self._seen = names
        alive = {int(name) for name in names}
        alive.discard(threading.get_native_id())
        for thread in self._timers.keys() - alive:
            posix.delete_timer(self._timers.pop(thread))
        known = {each.native_id: each.name for each in threading.enumerate()}
        if looking:
            for thread in self._native.idle(alive - known.keys()) & self._timers.keys():
                posix.delete_timer(self._timers.pop(thread))
        fresh = (alive & known.keys() | self._native.busy) - self._timers.keys()
        period_ns = int(1e9 / self.rate_per_s * OFF_BEAT)
        for thread in fresh:
            clock = posix.CLOCK_MONOTONIC if self.clock == "wall" else posix.thread_cpu_clock(thread)
            timer = posix.start_timer(thread, SIGNAL, thread, period_ns, clock)
            if timer is not None:
                self._timers[thread] = timer
                self.names[thread] = known.get(thread, "native thread")

    def _publish_ranges(self) -> None:
        """Tell the handler where compiled code lies, when more was compiled since."""
        count = codemap.capture.count()
        if count == self._known_objects:
            return
        self._known_objects = count
        ranges = _merged(codemap.code_map())
        _kept.append(ranges)  # a handler may still be reading an older one: none is ever freed
        _CONTROL[handler.RANGE_COUNT] = 0
        _CONTROL[handler.RANGES] = ranges.ctypes.data
        _CONTROL[handler.RANGE_COUNT] = len(ranges)


_CONTROL = np.zeros(handler.CONTROL_WORDS, np.int64)
_kept: list[np.ndarray] = []
_keeper: _Keeper | None = None
_start_lock = threading.Lock()


@contextlib.contextmanager
def sampling(rate_per_s: float = 1000, clock: Clock = "wall") -> Iterator[Samples]:
    """Sample all threads of this process inside the block; the `Samples` it gives are filled when the block ends.

    Blocks may be nested and may overlap in several threads: the first one's rate and clock hold for all of them. A
    forked child is not sampled. Raises InputError for a rate or a clock that is not offered, WorkbenchError where
    this machine cannot do it.
    """
    if not 1 <= rate_per_s <= 20_000:
        raise InputError(f"the rate is {rate_per_s}, but it must lie in 1 .. 20000 samples/s")
    if clock not in ("wall", "cpu"):
        raise InputError(f"the clock is {clock!r}: take 'wall' or 'cpu'")
    empty = np.zeros(0, np.int64)
    samples = Samples(empty, empty, empty, 0, 0.0, rate_per_s, clock, float("nan"))
    session = _Session()
    owner = os.getpid()
    keeper = _open(session, rate_per_s, clock)
    if (keeper.rate_per_s, keeper.clock) != (rate_per_s, clock):
        samples.rate_per_s, samples.clock = keeper.rate_per_s, keeper.clock
        samples.notes.append(
            f"nested in a region sampled at {keeper.rate_per_s:g}/s of {keeper.clock} time: so is this"
        )
    try:
        session.began_s = time.monotonic()
        yield samples
    finally:
        samples.duration_s = time.monotonic() - session.began_s
        if os.getpid() == owner:
            _close(keeper, session)
            _fill(samples, keeper, session)
        else:
            samples.notes.append("this is a forked child: it was not sampled")


def is_sampling() -> bool:
    """Return whether a region is open in this process."""
    return _keeper is not None


def _open(session: _Session, rate_per_s: float, clock: Clock) -> _Keeper:
    global _keeper
    reason = posix.unsupported()
    if reason:
        raise WorkbenchError(reason)
    codemap.install()
    with _start_lock:
        if _keeper is None:
            _keeper = _Keeper(rate_per_s, clock)
            _keeper.sessions.append(session)
            try:
                _keeper.start()
                _keeper.armed.wait()
            except BaseException:
                _keeper.ended.set()
                _keeper = None
                raise
        else:
            _keeper.empty()  # what was sampled before belongs to the sessions before
            with _keeper.turn:
                _keeper.sessions.append(session)
        keeper = _keeper
    if keeper.failure is not None:
        _close(keeper, session)
        raise WorkbenchError(f"sampling did not start: {keeper.failure}")
    return keeper


def _close(keeper: _Keeper, session: _Session) -> None:
    """End `session`; the last one ends the keeper."""
    global _keeper
    with _start_lock:
        last = keeper.sessions == [session]
        if last:
            keeper.ended.set()  # from here on the keeper disarms, even if this thread is interrupted
            if _keeper is keeper:
                _keeper = None
            keeper.join()
        else:
            keeper.empty()
        with keeper.turn:
            if session in keeper.sessions:
                keeper.sessions.remove(session)


def _fill(samples: Samples, keeper: _Keeper, session: _Session) -> None:
    shape = (0, handler.ENTRY_WORDS)
    taken = np.concatenate(session.chunks) if session.chunks else np.zeros(shape, np.int64)
    samples.pc, samples.caller = taken[:, handler.PC].copy(), taken[:, handler.CALLER].copy()
    samples.thread = taken[:, handler.THREAD].copy()
    samples.lost, samples.sample_cost_ns = session.lost, keeper.sample_cost_ns
    samples.names = dict(keeper.names)


def _prepare_ring() -> None:
    if not _CONTROL[handler.RING]:
        ring = np.zeros((RING_ENTRIES, handler.ENTRY_WORDS), np.int64)
        _kept.append(ring)
        _CONTROL[handler.MASK] = RING_ENTRIES - 1
        _CONTROL[handler.RING] = ring.ctypes.data


def _take(begin: int) -> tuple[np.ndarray, int]:
    """Return the entries from slot `begin` on that are complete, and how many of the oldest were overwritten."""
    ring = _kept_ring()
    end = int(_CONTROL[handler.SLOT])
    lost = max(0, end - begin - RING_ENTRIES)
    slots = np.arange(begin + lost, end)
    if not len(slots):
        return np.zeros((0, handler.ENTRY_WORDS), np.int64), lost
    taken = ring[slots & (RING_ENTRIES - 1)]
    again = ring[slots & (RING_ENTRIES - 1), handler.SEQUENCE]
    whole = (taken[:, handler.SEQUENCE] == slots + 1) & (again == slots + 1)
    if whole.all():
        return taken, lost
    first = int(np.argmin(whole))  # a handler is just writing this one: it and what follows comes next time
    return taken[:first], lost


def _kept_ring() -> np.ndarray:
    return next((each for each in _kept if each.ctypes.data == _CONTROL[handler.RING]), np.zeros((RING_ENTRIES, 4)))


def _compiler_is_free() -> bool:
    """Return whether nobody compiles just now: the code map would wait for it, and the ring must be emptied."""
    lock = global_compiler_lock._lock
    free: bool = lock.acquire(blocking=False)
    if free:
        lock.release()
    return free


def _merged(found: CodeMap) -> np.ndarray:
    """Return the ranges of all compiled functions as sorted pairs, neighbours joined."""
    joined: list[list[int]] = []
    for each in found.functions:
        if joined and each.begin - joined[-1][1] < 4096:
            joined[-1][1] = max(joined[-1][1], each.end)
        else:
            joined.append([each.begin, each.end])
    return np.array(joined, np.int64).reshape(-1, 2)


@functools.cache
def _sample_cost_ns() -> float:
    """Return what one signal costs, measured once in a process: the best of some batches, less what sending none costs.

    The timer's own interrupt in Linux is not in it; a measured slowdown is, where the profile has one.
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


def _after_fork() -> None:
    """In a forked child: there are no timers and no keeper; forget them, and put the signal back to its default."""
    global _keeper, _start_lock
    _start_lock = threading.Lock()
    if _keeper is not None:
        _keeper = None
        _CONTROL[handler.ENABLED] = 0
        posix.restore_handler(SIGNAL, posix.SigAction())


def _at_exit() -> None:
    keeper = _keeper
    if keeper is not None and keeper.is_alive():
        keeper.ended.set()
        keeper.join(1.0)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)

__all__ = ["Clock", "Samples", "is_sampling", "sampling"]
