"""A position that others read while it is written: a sequence number beside the words, odd while they change.

A reader takes the sequence, the words, and the sequence again: what it read is one state of the position if both were
equal and even, else it reads again. A reader never holds a writer up. The words are read and written by relaxed
atomics, so there is no data race in the sense of the C++ and LLVM memory model (H.-J. Boehm, Can seqlocks get along
with programming language memory models?, MSPC 2012); on x86-64 all of these are plain moves.

The rows are int64[slots, words] with the places below in every variant.
"""

from __future__ import annotations

from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.machine.hints import pause, unlikely
from kernels.machine.sleep import sleep_us
from kernels.marked import marked_point
from kernels.positions._rules import SPINS, cold, hot
from kernels.probe import count

KEY, SEQUENCE, QUANTITY, COST, REALISED = range(5)
FIELDS = 5
PATIENCE = 64  # tries before a thread naps: the other may have lost its core, perhaps to this very thread
NAP_US = 20


@hot
def begin_alone(rows, at):
    """Make the sequence odd where one thread alone writes this row; return what it was."""
    sequence = atomics.load(rows, (at, SEQUENCE), RELAXED)  # RELAXED: only this thread writes it
    atomics.store(rows, (at, SEQUENCE), sequence + 1, RELAXED)  # RELAXED: the fence orders it
    # RELEASE: whoever sees a word written after this fence, and takes an ACQUIRE fence, sees the odd sequence too. A
    # release *store* of the sequence would not do: it orders what stands before it, not what follows.
    atomics.fence(RELEASE)
    return sequence


@hot
def begin_among_others(rows, at, probe):
    """Make the sequence odd, after any other writer of this row; return what it was."""
    even = atomics.load(rows, (at, SEQUENCE), RELAXED) & ~1  # RELAXED: the exchange confirms it
    # ACQUIRE: the words that the last writer left are seen.
    seen, done = atomics.compare_exchange(rows, (at, SEQUENCE), even, even + 1, ACQUIRE)
    if unlikely(not done):
        seen = _wait_and_begin(rows, at, probe)
    atomics.fence(RELEASE)  # RELEASE: as in `begin_alone`
    return seen


@cold
def _wait_and_begin(rows, at, probe):
    """Do as `begin_among_others` where another writer was at this row."""
    turn = 0
    while True:
        even = atomics.load(rows, (at, SEQUENCE), RELAXED)  # RELAXED: as there
        if even & 1 == 0:
            seen, done = atomics.compare_exchange(rows, (at, SEQUENCE), even, even + 1, ACQUIRE)  # ACQUIRE: as there
            if done:
                return seen
        wait(turn)
        turn += 1
        count(probe, SPINS, 1)


@hot
def store_held(rows, at, quantity, cost, realised, pauses):
    """Write the words, between `begin_alone` or `begin_among_others` and `end`."""
    # RELAXED: a reader that sees one of these words together with an old other one is sent back by the sequence.
    atomics.store(rows, (at, QUANTITY), quantity, RELAXED)
    marked_point(pauses)
    atomics.store(rows, (at, COST), cost, RELAXED)
    marked_point(pauses)
    atomics.store(rows, (at, REALISED), realised, RELAXED)


@hot
def end(rows, at, sequence):
    """Make the sequence even again; `sequence` is what the beginning returned."""
    atomics.store(rows, (at, SEQUENCE), sequence + 2, RELEASE)  # RELEASE: who sees the even number sees the words


@hot
def load_held(rows, at):
    """Return ``(quantity, cost, realised)``: for the writer, or between two looks at the sequence."""
    # RELAXED: these may belong to two writings; then the sequence says so.
    quantity = atomics.load(rows, (at, QUANTITY), RELAXED)
    cost = atomics.load(rows, (at, COST), RELAXED)
    return quantity, cost, atomics.load(rows, (at, REALISED), RELAXED)


@hot
def read_row(rows, at):
    """Return ``(quantity, cost, realised, retries)`` of one moment. Any thread."""
    retries = 0
    while True:
        sequence = atomics.load(rows, (at, SEQUENCE), ACQUIRE)  # ACQUIRE: the words are not older than this number
        quantity, cost, realised = load_held(rows, at)
        # ACQUIRE: if one of the words read was of a later writing, the load below sees that writing's odd sequence, or
        # a later one. An acquire *load* of the sequence would not do: it orders what follows it.
        atomics.fence(ACQUIRE)
        again = atomics.load(rows, (at, SEQUENCE), RELAXED)  # RELAXED: the fence orders it
        if (sequence & 1 == 0) & (again == sequence):
            return quantity, cost, realised, retries
        wait(retries)
        retries += 1


@hot
def wait(turn):
    """Wait a moment; where that has not helped for long, leave the core to others."""
    if turn < PATIENCE:
        pause()
    else:
        sleep_us(NAP_US)
