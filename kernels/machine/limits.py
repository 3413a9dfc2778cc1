"""Loops that each meet one limit of the machine and nothing else: what any kernel on it has to live with.

Each does a number of equal operations and returns something that depends on all of them, so that LLVM keeps them. Who
calls them takes the time. Sizes are the caller's: an array that fits a cache meets the limit of that cache.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.machine.hints import opaque, pause
from kernels.machine.memory import CACHE_LINE_BYTES

WORDS_PER_LINE = CACHE_LINE_BYTES // 8
CHAIN = 8  # additions of one turn of `chained_adds`
WIDE_ADDS = 16  # additions of one turn of `wide_adds`


def make_chase(words: np.ndarray, seed: int = 1) -> None:
    """Write into `words` (int64, whole lines) one circle through all its lines, in an order that nobody can guess.

    The first word of each line holds the index of the next line's first word. A prefetcher that looks for strides finds
    none, and each load needs the value of the one before: what is timed is the latency, once a line is not in a cache.
    """
    lines = np.random.default_rng(seed).permutation(words.shape[0] // WORDS_PER_LINE) * WORDS_PER_LINE
    words[lines] = np.roll(lines, -1)


@kernel_jit
def chase(words, start, steps):
    """Follow the circle that `make_chase` wrote for `steps` loads, each of which waits for the one before."""
    place = start
    for _ in range(steps):
        place = words[np.uint64(place)]  # unsigned: a signed index is first held against zero, which takes longer
    return place


@kernel_jit
def read_all(words, rounds):
    """Add up all `words` (int64) `rounds` times: reading in order, by vectors as wide as the target has."""
    total = 0
    for turn in range(rounds):
        part = opaque(turn)
        for i in range(words.shape[0]):
            part += words[i]
        total ^= opaque(part)
    return total


@kernel_jit
def write_all(words, rounds):
    """Write all `words` (int64) `rounds` times, in order."""
    for turn in range(rounds):
        value = opaque(turn)
        for i in range(words.shape[0]):
            words[i] = value
    return words[0]


@kernel_jit
def copy_all(source, target, rounds):
    """Copy all of `source` (int64) into `target` `rounds` times."""
    for turn in range(rounds):
        value = opaque(turn)
        for i in range(source.shape[0]):
            target[i] = source[i] ^ value
    return target[0]


@kernel_jit
def chained_adds(turns):
    """Make ``CHAIN * turns`` additions, each of which needs the one before: a cycle each."""
    a = opaque(0)
    for _ in range(turns):
        a = opaque(a + 1)
        a = opaque(a + 1)
        a = opaque(a + 1)
        a = opaque(a + 1)
        a = opaque(a + 1)
        a = opaque(a + 1)
        a = opaque(a + 1)
        a = opaque(a + 1)
    return a


@kernel_jit
def wide_adds(turns):
    """Make ``WIDE_ADDS * turns`` additions in eight chains that do not need each other: as many a cycle as fit."""
    a, b, c, d, e, f, g, h = opaque(0), opaque(1), opaque(2), opaque(3), opaque(4), opaque(5), opaque(6), opaque(7)
    for _ in range(turns):
        a, b, c, d = opaque(a + 1), opaque(b + 1), opaque(c + 1), opaque(d + 1)
        e, f, g, h = opaque(e + 1), opaque(f + 1), opaque(g + 1), opaque(h + 1)
        a, b, c, d = opaque(a + 1), opaque(b + 1), opaque(c + 1), opaque(d + 1)
        e, f, g, h = opaque(e + 1), opaque(f + 1), opaque(g + 1), opaque(h + 1)
    return a + b + c + d + e + f + g + h


@kernel_jit
def plain_adds(counters, times):
    """Add 1 to ``counters[0]`` `times` times by a load, an addition and a store: what an atomic addition replaces.

    Relaxed loads and stores are plain ones to the core, but LLVM keeps them in each turn, in one instruction or three:
    without them it would keep the count in a register and only write it.
    """
    for _ in range(times):
        atomics.store(counters, 0, atomics.load(counters, 0, RELAXED) + 1, RELAXED)
    return counters[0]


@kernel_jit
def atomic_adds(counters, times):
    """Add 1 to ``counters[0]`` `times` times, atomically; threads may share it."""
    for _ in range(times):
        atomics.add(counters, 0, 1, RELAXED)  # RELAXED: nothing else is told by it
    return atomics.load(counters, 0, RELAXED)


@kernel_jit
def exchanges(counters, times):
    """Add 1 to ``counters[0]`` `times` times by compare-exchange, as lock-free structures do; for one thread."""
    seen = atomics.load(counters, 0, RELAXED)
    for _ in range(times):
        atomics.compare_exchange(counters, 0, seen, seen + 1, RELAXED)
        seen += 1
    return seen


@kernel_jit
def bounce(mine, others, rounds, first):
    """Write a number for the other thread and wait for its answer, `rounds` times; one of the two goes `first`.

    `mine` and `others` are int64 arrays, each on a cache line of its own, both zero at the start: a round moves both
    lines from core to core and back.
    """
    for turn in range(1, rounds + 1):
        if first:
            atomics.store(mine, 0, turn, RELEASE)
        while atomics.load(others, 0, ACQUIRE) != turn:
            pause()
        if not first:
            atomics.store(mine, 0, turn, RELEASE)
    return atomics.load(others, 0, RELAXED)
