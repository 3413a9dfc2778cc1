"""How the signals reach the threads that are sampled: from one thread that sends them all, or from a timer for each.

The *sender* sleeps in compiled code until the next sample is due, then signals every thread in its table. It never
takes Python's lock, so code that holds the lock for seconds is sampled as evenly as any other. It costs the sampled
thread less than a timer does: a timer interrupts the very core that computes, and on a virtual machine each interrupt
and each new setting of the clock leaves the guest; the sender's clock runs on a core that was idle.

With one core there is no such core: the sender would have to push the sampled thread aside, which adds two switches of
context to the same interrupt. There, for CPU time (which only Linux can watch), and where Linux refuses to send, each
thread has a timer.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, untyped-decorator, var-annotated"
# Compiled bodies carry no annotations: Numba types them.

from __future__ import annotations

import os
import platform
import random
import threading
from typing import Protocol

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels._jit import kernel_jit
from kernels.machine import atomics, locks
from workbench.profile import posix

# The words that the sender is told by; RANDOM is its own: the state of a generator.
STOP, COUNT, PERIOD_NS, PROCESS, SIGNO, CALL, PAUSES, RANDOM = range(8)
TABLE_THREADS = 4096  # more threads than this at a time are not sampled
SLICE_NS = 20_000_000  # it sleeps no longer than this at once: how soon it ends at a low rate
SLACK_NS = 1_000  # Linux may wake a thread 50 µs late to save power: a period at 20,000/s
_VALUE = posix.INFO_VALUE // 8

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _time_words(builder):
    return cgutils.alloca_once(builder, ir.ArrayType(_I64, 2))  # struct timespec: seconds, nanoseconds


@intrinsic
def now_ns(typingctx):
    """Return CLOCK_MONOTONIC in nanoseconds."""

    def codegen(context, builder, signature, args):
        words = _time_words(builder)
        kind = ir.FunctionType(_I32, [_I32, words.type])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(function, [_I32(posix.CLOCK_MONOTONIC), words])
        seconds, rest = (builder.load(cgutils.gep_inbounds(builder, words, 0, each)) for each in (0, 1))
        return builder.add(builder.mul(seconds, _I64(10**9)), rest)

    return types.int64(), codegen


@intrinsic
def sleep_until(typingctx, when_ns):
    """Sleep until CLOCK_MONOTONIC shows `when_ns`, or until a signal comes."""

    def codegen(context, builder, signature, args):
        words = _time_words(builder)
        for each, amount in enumerate((builder.sdiv(args[0], _I64(10**9)), builder.srem(args[0], _I64(10**9)))):
            builder.store(amount, cgutils.gep_inbounds(builder, words, 0, each))
        kind = ir.FunctionType(_I32, [_I32, _I32, words.type, words.type])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_nanosleep")
        builder.call(function, [_I32(posix.CLOCK_MONOTONIC), _I32(posix.TIMER_ABSTIME), words, words.type(None)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def queue_signal(typingctx, call, process, thread, signo, info):
    """Send the signal `signo` with the siginfo_t at the address `info` to one thread of this process; 0 if it went."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_I64, [_I64] * 5)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "syscall"), args)

    return types.int64(*[types.int64] * 5), codegen


@kernel_jit
def random_below(words, limit):
    """Return 0 .. `limit` - 1 by chance: upper bits of Marsaglia's xorshift (Journal of Statistical Software, 2003)."""
    state = np.uint64(words[RANDOM])
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    words[RANDOM] = np.int64(state)
    return np.int64(state >> np.uint64(11)) % limit


@kernel_jit
def send_until_stopped(words, targets, info, gate):
    """Signal the threads in `targets` (int64, 0 for none) again and again until ``words[STOP]``; `info` is a siginfo_t.

    The time between two rounds is drawn from half a period to one and a half. An even beat would meet a run that takes
    a whole number of periods always at the same places. After a pause, the first round comes within one period, at any
    moment of it alike. While somebody holds the mutex `gate`, nothing is sent and nothing wakes.

    A thread that has ended meanwhile is refused by Linux, and passed over. What was missed while this thread did not
    run is left out, not made up for.
    """
    period, pauses, due = words[PERIOD_NS], np.int64(-1), np.int64(0)
    while atomics.load(words, STOP, "relaxed") == 0:
        locks.mutex_lock(gate)
        locks.mutex_unlock(gate)
        now = now_ns()
        if pauses == words[PAUSES]:
            due = max(due + period // 2 + random_below(words, period), now)
        else:
            pauses, due = words[PAUSES], now + random_below(words, period)
        while now < due and atomics.load(words, STOP, "relaxed") == 0:
            sleep_until(min(due, now + SLICE_NS))
            now = now_ns()
        if now < due:
            break
        for place in range(atomics.load(words, COUNT, "relaxed")):
            thread = atomics.load(targets, place, "relaxed")
            if thread != 0:
                info[_VALUE] = thread
                queue_signal(words[CALL], words[PROCESS], thread, words[SIGNO], info.ctypes.data)


class Arms(Protocol):
    """What the keeper asks of either way to send signals."""

    def begin(self) -> None:
        """Make ready, in the thread that samples others."""

    def arm(self, thread: int) -> bool:
        """Signal `thread` (a native id) from now on; False if that cannot be."""

    def pause(self) -> None:
        """Send no signal until `resume`, which the same thread calls; those on their way may still come."""

    def resume(self) -> None:
        """Send them again, from a moment within the next period that is left to chance."""

    def disarm(self, thread: int) -> None:
        """Signal it no more."""

    def end(self) -> None:
        """Send no signal after this returns; some may still be on their way."""

    def own_threads(self) -> set[int]:
        """Return the native ids of the threads that this made."""


class Timers:
    """A timer of Linux for each thread."""

    def __init__(self, signo: int, period_ns: int, *, cpu_time: bool):
        self._signo, self._period_ns, self._cpu_time = signo, period_ns, cpu_time
        self._timers: dict[int, int] = {}  # native id: timer

    def begin(self) -> None:
        """Make ready: there is nothing to do."""

    def arm(self, thread: int) -> bool:
        """Start a timer for `thread`; False if the thread is gone."""
        clock = posix.thread_cpu_clock(thread) if self._cpu_time else posix.CLOCK_MONOTONIC
        timer = posix.new_timer(thread, self._signo, thread, clock)
        if timer is None:
            return False
        self._timers[thread] = timer
        self._set(timer)
        return True

    def _set(self, timer: int) -> None:
        posix.set_timer(timer, random.randint(1, self._period_ns), self._period_ns)

    def pause(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            posix.set_timer(timer, 0, 0)

    def resume(self) -> None:
        """Start them again."""
        for timer in self._timers.values():
            self._set(timer)

    def disarm(self, thread: int) -> None:
        """End the timer of `thread`."""
        posix.delete_timer(self._timers.pop(thread))

    def end(self) -> None:
        """End all timers."""
        for timer in self._timers.values():
            posix.delete_timer(timer)
        self._timers.clear()

    def own_threads(self) -> set[int]:
        """Return none: Linux keeps the timers."""
        return set()


class Sender:
    """One thread that signals all others of a table."""

    def __init__(self, signo: int, period_ns: int):
        self._targets = np.zeros(TABLE_THREADS, np.int64)
        self._free = list(range(TABLE_THREADS))[::-1]
        self._places: dict[int, int] = {}  # native id: its place in the table
        self._info = np.zeros(posix.INFO_BYTES // 8, np.int64)
        self._info[0] = signo
        self._info.view(np.int32)[posix.INFO_CODE // 4] = posix.SI_TIMER  # by which the handler knows its own
        call, seed = posix.QUEUE_CALL[platform.machine()], random.randint(1, 2**62)
        self._words = np.array([1, 0, period_ns, os.getpid(), signo, call, 0, seed], np.int64)
        self._gate = locks.new_mutex()
        # Compiled here, in the thread that starts the keeper: it may hold Numba's compiler lock. It stops at once.
        send_until_stopped(self._words, self._targets, self._info, self._gate)
        self._words[STOP] = 0
        self._thread = threading.Thread(target=self._run, name="workbench sampler: signals", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        posix.set_timer_slack(SLACK_NS)
        send_until_stopped(self._words, self._targets, self._info, self._gate)

    def pause(self) -> None:
        """Close the gate: the sender comes to it within a period, and sleeps there."""
        posix.lock_mutex(self._gate.ctypes.data)

    def resume(self) -> None:
        """Open the gate."""
        self._words[PAUSES] += 1
        posix.unlock_mutex(self._gate.ctypes.data)

    def arm(self, thread: int) -> bool:
        """Write `thread` into the table; False if that is full."""
        if not self._free:
            return False
        place = self._places[thread] = self._free.pop()
        self._targets[place] = thread
        self._words[COUNT] = max(self._words[COUNT], place + 1)
        return True

    def disarm(self, thread: int) -> None:
        """Take `thread` out of the table. A signal may be on its way: a thread that ended gets none."""
        place = self._places.pop(thread)
        self._targets[place] = 0
        self._free.append(place)

    def end(self) -> None:
        """End the thread, if it began."""
        self._words[STOP] = 1
        if self._thread.ident is not None:
            self._thread.join()

    def own_threads(self) -> set[int]:
        """Return the sender itself."""
        return set() if self._thread.native_id is None else {self._thread.native_id}


def best(signo: int, period_ns: int, *, cpu_time: bool) -> Arms:
    """Return the way that costs the sampled threads least; the sender inherits the cores of the calling thread."""
    if cpu_time or len(os.sched_getaffinity(0)) == 1 or not posix.can_queue():
        return Timers(signo, period_ns, cpu_time=cpu_time)
    return Sender(signo, period_ns)
