"""Calls of Linux that Python does not offer: signals for one thread, from timers too; handlers of compiled code."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import platform
import signal
import threading
import time
from typing import Any

from workbench.errors import WorkbenchError

CLOCK_MONOTONIC = 1
TIMER_ABSTIME = 1
SIGEV_THREAD_ID = 4
SA_SIGINFO, SA_ONSTACK, SA_RESTART = 0x4, 0x08000000, 0x10000000
SI_TIMER = -2  # the code of a signal that a timer sent

# Where a signal handler finds things: bytes into siginfo_t and ucontext_t, from the headers of glibc and Linux.
INFO_CODE, INFO_VALUE, INFO_BYTES = 8, 24, 128
CONTEXT_PC = {"x86_64": 168, "aarch64": 440}  # aarch64 is untested
CONTEXT_SP = {"x86_64": 160, "aarch64": 432}

# rt_tgsigqueueinfo: as tgkill, but with a value that tells the handler which thread it is in. No C library exports it.
QUEUE_CALL = {"x86_64": 297, "aarch64": 240}
_PR_SET_TIMERSLACK = 29
_ENTRY_NAME = 19  # bytes into struct dirent of 64-bit Linux


class _SigEvent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_int64),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    )


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("first", _TimeSpec))


class SigAction(ctypes.Structure):
    """``struct sigaction`` of the C library."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


@functools.cache
def libc() -> Any:
    """Return the C library, whichever file has the timers."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "timer_create"):
        library = ctypes.CDLL(ctypes.util.find_library("rt") or "librt.so.1", use_errno=True)
    library.timer_settime.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    library.timer_delete.argtypes = (ctypes.c_void_p,)
    return library


def unsupported() -> str | None:
    """Return why threads cannot be sampled here, as one sentence, or None."""
    if platform.system() != "Linux":
        return "sampling needs Linux: timers that signal one thread"
    if platform.machine() not in CONTEXT_PC:
        return (
            f"sampling needs x86-64 or aarch64: where {platform.machine()} keeps its program counter is not known here"
        )
    return None


@functools.cache
def can_queue() -> bool:
    """Return whether Linux lets this process send a thread of its own a signal with a value: a sandbox may not."""
    call, me = QUEUE_CALL[platform.machine()], threading.get_native_id()
    words = [ctypes.c_long(each) for each in (call, os.getpid(), me, 0)]
    info = (ctypes.c_int * (INFO_BYTES // 4))()
    info[INFO_CODE // 4] = SI_TIMER
    return bool(libc().syscall(*words, info) == 0)  # signal 0 is checked and not sent


@functools.cache
def _libc_with_the_lock() -> Any:
    """Return the C library, called without giving up Python's lock."""
    library = ctypes.PyDLL(None)
    library.opendir.restype = library.readdir.restype = ctypes.c_void_p
    library.readdir.argtypes = library.closedir.argtypes = (ctypes.c_void_p,)
    return library


def threads() -> set[int]:
    """Return the native ids of all threads of this process.

    ``os.listdir`` would give up Python's lock for each entry, and each time code that holds it as long as it can makes
    the caller wait 5 ms and then stops itself until the caller has the lock.
    """
    library = _libc_with_the_lock()
    folder = library.opendir(b"/proc/self/task")
    found = set()
    try:
        while folder and (entry := library.readdir(folder)):
            name = ctypes.string_at(entry + _ENTRY_NAME)
            if name.isdigit():
                found.add(int(name))
    finally:
        if folder:
            library.closedir(folder)
    return found


def set_timer_slack(slack_ns: int) -> None:
    """Let the calling thread be woken at most `slack_ns` later than it asked for, as far as Linux can."""
    libc().prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(slack_ns), 0, 0, 0)


def thread_cpu_s(thread: int) -> float:
    """Return the CPU time that `thread` (a native id of this process) has used; 0 if it is gone."""
    try:
        return time.clock_gettime(thread_cpu_clock(thread))
    except OSError:
        return 0.0


def thread_cpu_clock(thread: int) -> int:
    """Return the number of the clock that counts the CPU time of `thread` (a native id)."""
    return (~thread << 3) | 6


def new_timer(thread: int, signo: int, value: int, clock: int) -> int | None:
    """Return a timer that will send `signo` with `value` to `thread`, None if the thread is gone; it stands still."""
    event = _SigEvent(value=value, signo=signo, notify=SIGEV_THREAD_ID, thread=thread)
    timer = ctypes.c_void_p()
    if libc().timer_create(clock, ctypes.byref(event), ctypes.byref(timer)):
        return None
    return timer.value or 0


def set_timer(timer: int, first_ns: int, period_ns: int) -> None:
    """Let a timer send in `first_ns` and every `period_ns` from then on; 0 stops it."""
    spans = (_TimeSpec(*divmod(span_ns, 10**9)) for span_ns in (period_ns, first_ns))
    libc().timer_settime(timer, 0, ctypes.byref(_TimerSpec(*spans)), None)


def delete_timer(timer: int) -> None:
    """End a timer."""
    libc().timer_delete(timer)


def lock_mutex(address: int) -> None:
    """Take the ``pthread_mutex_t`` at `address`, waiting without Python's lock."""
    libc().pthread_mutex_lock(ctypes.c_void_p(address))


def unlock_mutex(address: int) -> None:
    """Give back the ``pthread_mutex_t`` at `address`."""
    libc().pthread_mutex_unlock(ctypes.c_void_p(address))


def set_handler(signo: int, handler: int, flags: int = 0) -> SigAction:
    """Install the compiled `handler` for `signo`; return what was there, for `restore_handler`."""
    old = SigAction()
    new = SigAction(handler=handler, flags=flags)
    if libc().sigaction(signo, ctypes.byref(new), ctypes.byref(old)):
        raise WorkbenchError(f"signal {signo} cannot be handled here: {os.strerror(ctypes.get_errno())}")
    return old


def restore_handler(signo: int, old: SigAction) -> None:
    """Put back what `set_handler` returned. A signal that is still on its way is dropped, whatever `old` would do."""
    ignore = SigAction(handler=int(signal.SIG_IGN))
    libc().sigaction(signo, ctypes.byref(ignore), None)  # Linux discards pending signals that become ignored
    libc().sigaction(signo, ctypes.byref(old), None)
