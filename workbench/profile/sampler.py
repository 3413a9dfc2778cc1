"""Samples where every thread of this process is: no root, no ptrace, no debugger, 1,000 times a second and more.

Each thread is sent SIGPROF, by one *sender* thread of compiled code or by a timer of its own (see `senders`); a
compiled handler notes the program counter. One *keeper* thread arms new threads, empties the ring, and disarms: what
it has begun it also ends, whatever exception or interrupt hits the code that is sampled.

Two clocks. ``"wall"`` (CLOCK_MONOTONIC) runs to 10,000 samples/s and also sees a thread that waits; on a busy machine
it stays fair, as Linux sends one signal for all that were missed while a thread did not run. ``"cpu"`` counts the CPU
time of a thread and leaves out waiting, but Linux looks at it only at its tick: 100 to 1,000 samples/s, 250 as a rule.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from workbench import codemap
from workbench.errors import InputError, WorkbenchError
from workbench.profile import handler, posix, ring
from workbench.profile.keeper import SIGNAL, Clock, Keeper, Session


@dataclass
class Samples:
    """What was sampled between two moments: program counters, and what they cost."""

    pc: np.ndarray  # int64[n]: addresses
    caller: np.ndarray  # int64[n]: compiled code that called what the address is in, 0 where there is none
    thread: np.ndarray  # int64[n]: native ids
    lost: int  # overwritten before they were read
    duration_s: float  # without pauses
    rate_per_s: float  # asked for, for each thread
    clock: Clock
    sample_cost_ns: float  # what one signal costs a thread that computes, measured once in the process
    names: dict[int, str] = field(default_factory=dict)  # native id: name of the thread
    notes: list[str] = field(default_factory=list)


_keeper: Keeper | None = None
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
    session = Session()
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
        samples.duration_s = time.monotonic() - session.began_s - session.paused_s
        if os.getpid() == owner:
            _close(keeper, session)
            _fill(samples, keeper, session)
        else:
            samples.notes.append("this is a forked child: it was not sampled")


def is_sampling() -> bool:
    """Return whether a region is open in this process."""
    return _keeper is not None


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Sample nothing inside the block, and let the sampler's own threads sleep; for all open regions, if there are any.

    For comparing the two. A signal that was on its way may still come in the first moment. Pauses of several threads
    come one after the other; inside a pause of the same thread a second one raises InputError.
    """
    keeper = _keeper
    if keeper is None:
        yield
        return
    keeper.pause()
    began_s = time.monotonic()
    try:
        yield
    finally:
        for session in keeper.sessions:
            session.paused_s += time.monotonic() - began_s
        keeper.resume()


def own_cpu_s() -> float:
    """Return the CPU time that the open region has used so far in threads of its own; 0 where none is open."""
    keeper = _keeper
    return 0.0 if keeper is None else keeper.own_cpu_s()


def _open(session: Session, rate_per_s: float, clock: Clock) -> Keeper:
    global _keeper
    reason = posix.unsupported()
    if reason:
        raise WorkbenchError(reason)
    codemap.install()
    with _start_lock:
        if _keeper is None:
            _keeper = Keeper(rate_per_s, clock)
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


def _close(keeper: Keeper, session: Session) -> None:
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


def _fill(samples: Samples, keeper: Keeper, session: Session) -> None:
    shape = (0, handler.ENTRY_WORDS)
    taken = np.concatenate(session.chunks) if session.chunks else np.zeros(shape, np.int64)
    samples.pc, samples.caller = taken[:, handler.PC].copy(), taken[:, handler.CALLER].copy()
    samples.thread = taken[:, handler.THREAD].copy()
    samples.lost, samples.sample_cost_ns = session.lost, keeper.sample_cost_ns
    samples.names = dict(keeper.names)


def _after_fork() -> None:
    """In a forked child: there is no keeper, and nothing sends; forget them, and put the signal back to its default."""
    global _keeper, _start_lock
    _start_lock = threading.Lock()
    if _keeper is not None:
        _keeper = None
        ring.CONTROL[handler.ENABLED] = 0
        posix.restore_handler(SIGNAL, posix.SigAction())


def _at_exit() -> None:
    keeper = _keeper
    if keeper is not None and keeper.is_alive():
        keeper.ended.set()
        keeper.join(1.0)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)

__all__ = ["Clock", "Samples", "is_sampling", "own_cpu_s", "paused", "sampling"]
