"""Locks for compiled code: a real ``pthread_mutex_t``, spin, ticket and adaptive, in memory that the caller owns.

==========  ========================================================================================================
mutex       sleeps while it waits; the choice where holders may be preempted or hold it for long
spin        burns the core while it waits, and naps when that is long; best when held for some tens of instructions
ticket      as spin, but first come, first served; worst of all where threads outnumber cores: the next one may nap
adaptive    a mutex that spins a while before it sleeps: for short holds whose holder may be preempted now and then
==========  ========================================================================================================

The C functions are bound as external symbols, which the loader resolves by name: a ctypes pointer would put an address
of this process into the machine code, and Numba refuses to cache that. A thread that has to
wait for a mutex sleeps in Linux: waking takes microseconds, and the core is free meanwhile.

A mutex's `storage` is a C-contiguous array of at least `MUTEX_BYTES` (any dtype; `new_mutex` makes one that fills a
cache line). A spin or ticket lock's `words` is an int64 array, zeroed (`new_spin_lock`, `new_ticket_lock`). All unlocks
release and all locks acquire: what was written under the lock is seen by the next holder.
Never hold a lock while calling back into Python: the other side may hold the GIL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine._llvm import I8, I32, external
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.machine.hints import pause
from kernels.machine.memory import CACHE_LINE_BYTES, aligned
from kernels.machine.sleep import sleep_us

MUTEX_BYTES = 64  # pthread_mutex_t is 40 bytes on x86-64 glibc and 48 on aarch64: a cache line holds every known one
_ATTRIBUTES_BYTES = 16  # pthread_mutexattr_t: 4 bytes on x86-64, 8 on aarch64
_PROCESS_SHARED = 1  # PTHREAD_PROCESS_SHARED, on glibc and musl
_BYTES = I8.as_pointer()
_SPINS = 256  # pauses before a waiting thread sleeps: some microseconds, as long as putting it to sleep takes
_DOUBLINGS = (
    6  # of a sleep of 1 us: the timer adds some 50 us of its own, so a longer bound would only be slower to wake
)
_SERVING = 8  # the word of a ticket lock that waiting threads read: on a line of its own, which takers do not write


def _storage_pointer(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    struct = context.make_array(array_type)(context, builder, array)
    return builder.bitcast(struct.data, _BYTES)


def _check_storage(storage: Any, who: str) -> None:
    if not (isinstance(storage, types.Array) and storage.layout == "C"):
        raise TypingError(f"{who} takes the C-contiguous array that holds the mutex, not a {storage}")


def _pthread(name: str, doc: str) -> Any:
    """Build an intrinsic ``(storage) -> int32`` that calls ``pthread_<name>``."""

    def call(typingctx, storage):
        _check_storage(storage, name)

        def codegen(context, builder, signature, args):
            function = external(builder, f"pthread_{name}", I32, [_BYTES])
            return builder.call(function, [_storage_pointer(context, builder, storage, args[0])])

        return types.int32(storage), codegen

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return intrinsic(call)


mutex_lock = _pthread("mutex_lock", "Take the mutex, sleeping while another thread has it. Returns 0, or an errno.")
mutex_trylock = _pthread("mutex_trylock", "Take the mutex if it is free: returns 0 then, and EBUSY (16) otherwise.")
mutex_unlock = _pthread("mutex_unlock", "Give the mutex back; only by the thread that has it. Returns 0, or an errno.")
mutex_destroy = _pthread("mutex_destroy", "End the mutex, which nobody may hold. Its memory is the caller's again.")


@intrinsic  # type: ignore[untyped-decorator]
def _init(typingctx, storage, shared):
    _check_storage(storage, "mutex_init")

    def codegen(context, builder, signature, args):
        attributes = builder.bitcast(cgutils.alloca_once(builder, ir.ArrayType(I8, _ATTRIBUTES_BYTES)), _BYTES)
        builder.call(external(builder, "pthread_mutexattr_init", I32, [_BYTES]), [attributes])
        set_shared = external(builder, "pthread_mutexattr_setpshared", I32, [_BYTES, I32])
        builder.call(set_shared, [attributes, args[1]])
        init = external(builder, "pthread_mutex_init", I32, [_BYTES, _BYTES])
        code = builder.call(init, [_storage_pointer(context, builder, storage, args[0]), attributes])
        builder.call(external(builder, "pthread_mutexattr_destroy", I32, [_BYTES]), [attributes])
        return code

    return types.int32(storage, types.int32), codegen


@kernel_jit
def mutex_init(storage):
    """Make a mutex in `storage`, for the threads of this process. Returns 0, or an errno."""
    return _init(storage, 0)


@kernel_jit
def mutex_init_shared(storage):
    """Make a mutex in `storage`, in shared memory, for the threads of several processes. Returns 0, or an errno."""
    return _init(storage, _PROCESS_SHARED)


def new_mutex(*, shared: bool = False) -> np.ndarray:
    """Return a ready mutex: an aligned uint8[64] that has a cache line to itself."""
    storage = aligned(MUTEX_BYTES, np.uint8, CACHE_LINE_BYTES)
    code = mutex_init_shared(storage) if shared else mutex_init(storage)
    if code:
        raise RuntimeError(f"pthread_mutex_init failed with errno {code}")
    return storage


@kernel_jit
def adaptive_lock(storage):
    """Take the mutex in `storage`, trying for some microseconds before the thread sleeps. Returns 0, or an errno.

    Give it back with `mutex_unlock`.
    """
    for _ in range(_SPINS):
        if mutex_trylock(storage) == 0:
            return np.int32(0)
        pause()
    return mutex_lock(storage)


def new_spin_lock() -> np.ndarray:
    """Return a free spin lock: an aligned int64[8] that has a cache line to itself."""
    return aligned(8, np.int64, CACHE_LINE_BYTES)


@kernel_jit
def _wait(turn):
    """Wait a little for the `turn`-th time (from 0): pause at first, then sleep, twice as long each time up to 64 us.

    Sleeping, not yielding: a thread that yields in bursts is put back ever further, see `kernels.machine.sleep`.
    """
    if turn < _SPINS:
        pause()
    else:
        sleep_us(1 << min(turn - _SPINS, _DOUBLINGS))


@kernel_jit
def spin_trylock(words):
    """Take the spin lock in ``words[0]`` if it is free; say whether it was."""
    return atomics.exchange(words, 0, 1, ACQUIRE) == 0  # ACQUIRE: see what the last holder wrote


@kernel_jit
def spin_lock(words):
    """Take the spin lock in ``words[0]``, waiting on the core, which is left to others after a while."""
    turn = 0
    while not spin_trylock(words):
        while atomics.load(words, 0, RELAXED) != 0:  # reading keeps the line shared; only a try takes it away
            _wait(turn)
            turn += 1


@kernel_jit
def spin_unlock(words):
    """Give the spin lock in ``words[0]`` back."""
    atomics.store(words, 0, 0, RELEASE)  # RELEASE: what was written under the lock is there before it opens


def new_ticket_lock() -> np.ndarray:
    """Return a free ticket lock: an aligned int64[16], two cache lines."""
    return aligned(16, np.int64, CACHE_LINE_BYTES)


@kernel_jit
def ticket_lock(words):
    """Take a ticket of the lock in `words` (int64[16]) and wait until it is called, as `spin_lock` waits."""
    ticket = atomics.add(words, 0, 1, RELAXED)  # RELAXED: only the number matters; the load below acquires
    turn = 0
    while atomics.load(words, _SERVING, ACQUIRE) != ticket:
        _wait(turn)
        turn += 1


@kernel_jit
def ticket_unlock(words):
    """Give the ticket lock in `words` to the next in line."""
    atomics.store(words, _SERVING, atomics.load(words, _SERVING, RELAXED) + 1, RELEASE)  # only the holder writes it
