"""Threads that push and pop with pauses at the marked points: no record is lost, doubled, torn or out of order.

``WORKBENCH_STRESS_OPS`` sets how many records each test passes.
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest
from threads import compiled, core_sets, operations, run_threads

from kernels.machine import atomics
from kernels.machine.affinity import allowed_cores
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.marked import PASSED, marked_point, new_pauses
from kernels.message_queue import KERNEL, lock_free
from kernels.message_queue._parts import assemble, dequeue_some, enqueue_some, hot
from kernels.message_queue._ring import LATER, copy_record, wait

pytestmark = pytest.mark.concurrency

OURS = [name for name, variant in KERNEL.variants.items() if not variant.peer]
SINGLE = [name for name in OURS if KERNEL.variants[name].refuses(KERNEL.check_parameters({"threads": 4}))]
QUICK = ("lock_free",)
GOT, TORN, DISORDER, SUM = range(4)  # what a consumer finds
NUMBER_BITS = 40  # of a record's first word; above them is its producer
SPREAD = -7046029254386353131  # 2^64 divided by the golden ratio, odd: word w of record x is x * (SPREAD + 2 w)


@compiled
def fill(records, i, value):
    """Write a record whose every word follows from the first."""
    records[i, 0] = value
    for word in range(1, records.shape[1]):
        records[i, word] = value * (SPREAD + 2 * word)


@compiled
def produce(state, producer, n, records, pauses):
    """Put `n` numbered records in, in batches of all sizes that `records` has room for."""
    sent = 0
    while sent < n:
        batch = min(1 + sent % records.shape[0], n - sent)
        for i in range(batch):
            fill(records, i, producer << NUMBER_BITS | (sent + i))
        done, turn = 0, 0
        while done < batch:
            moved = enqueue_some(state, records, done, batch, None, pauses)
            done += moved
            turn = 0 if moved else turn + 1
            if turn:
                wait(turn, LATER)
        sent += batch


@compiled
def consume(state, n, records, last, found, pauses):
    """Take `n` records out, and check each. `last` is int64[producers], -1 before."""
    while found[GOT] < n:
        batch = min(1 + found[GOT] % records.shape[0], n - found[GOT])
        done, turn = 0, 0
        while done < batch:
            moved = dequeue_some(state, records, done, batch, None, pauses)
            done += moved
            turn = 0 if moved else turn + 1
            if turn:
                wait(turn, LATER)
        for i in range(batch):
            value = records[i, 0]
            for word in range(1, records.shape[1]):
                found[TORN] += records[i, word] != value * (SPREAD + 2 * word)
            producer, number = value >> NUMBER_BITS, value & ((1 << NUMBER_BITS) - 1)
            found[DISORDER] += number <= last[producer]
            last[producer] = number
            found[SUM] += value * SPREAD ^ value >> 7
        found[GOT] += batch


def checksum(producers, each):
    """Return the sum that all records together must give, in 64 bits."""
    total = np.int64(0)
    with np.errstate(over="ignore"):
        for producer in range(producers):
            for begin in range(0, each, 1 << 20):
                value = np.arange(begin, min(begin + (1 << 20), each), dtype=np.int64) | producer << NUMBER_BITS
                total += np.sum(value * np.int64(SPREAD) ^ value >> 7)
    return total


def race(name, pairs, each, one_core, paused, slots=8, words=8, batch=5):
    """Run `pairs` producers and as many consumers; return what each consumer found, and how many points were passed."""
    state = KERNEL.variants[name].build(slots=slots, record_bytes=8 * words).state
    found = [np.zeros(4, np.int64) for _ in range(pairs)]
    pauses = [new_pauses(seed, 4, 60) if paused else None for seed in range(2 * pairs)]
    jobs = []
    for i in range(pairs):
        scratch, taken = np.zeros((batch, words), np.int64), np.zeros((batch, words), np.int64)
        jobs.append(functools.partial(produce, state, i, each, scratch, pauses[i]))
        last = np.full(pairs, -1, np.int64)
        jobs.append(functools.partial(consume, state, each, taken, last, found[i], pauses[pairs + i]))
    run_threads(jobs, one_core)
    return np.array(found), sum(int(p[PASSED]) for p in pauses if paused)


def check(found, pairs, each):
    assert found[:, TORN].sum() == 0 and found[:, DISORDER].sum() == 0
    assert found[:, GOT].tolist() == [each] * pairs
    assert np.sum(found[:, SUM]) == checksum(pairs, each)


@core_sets()
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in OURS])
def test_one_producer_and_one_consumer(name, paused, one_core):
    each = operations(2_000 if one_core else 20_000)
    found, passed = race(name, 1, each, one_core, paused)
    check(found, 1, each)
    assert not paused or passed > each // 2


@pytest.mark.slow
@core_sets()
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
@pytest.mark.parametrize("name", [name for name in OURS if name not in SINGLE])
def test_two_producers_and_two_consumers(name, paused, one_core):
    each = operations(1_000 if one_core else 10_000) // 2
    found, _ = race(name, 2, each, one_core, paused, slots=4)
    check(found, 2, each)


class CarelessState(NamedTuple):
    """A `lock_free` queue that tells of a record before it is there."""

    slots: np.ndarray
    control: np.ndarray


@hot
def enqueue_too_early(state, records, i, probe, pauses):
    """Do as `lock_free.enqueue`, with its last two steps exchanged."""
    size, tail = state.slots.shape[0], atomics.load(state.control, lock_free.TAIL, RELAXED)
    if tail - atomics.load(state.control, lock_free.HEAD, ACQUIRE) == size:
        return False
    atomics.store(state.control, lock_free.TAIL, tail + 1, RELEASE)
    marked_point(pauses)
    copy_record(state.slots, tail & (size - 1), records, i)
    return True


assemble(CarelessState, enqueue=enqueue_too_early, dequeue=lock_free.dequeue)


@pytest.mark.slow
@pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs two cores")
def test_a_queue_that_tells_too_early_would_be_noticed():
    whole = KERNEL.variants["lock_free"].build(slots=8, record_bytes=64).state
    state, found = CarelessState(whole.slots, whole.control), np.zeros(4, np.int64)
    scratch, taken, last = np.zeros((1, 8), np.int64), np.zeros((1, 8), np.int64), np.full(1, -1, np.int64)
    jobs = [
        functools.partial(produce, state, 0, 20_000, scratch, new_pauses(1, 2, 200)),
        functools.partial(consume, state, 20_000, taken, last, found, None),
    ]
    run_threads(jobs, False)
    assert found[GOT] == 20_000 and found[TORN] + found[DISORDER] > 0
