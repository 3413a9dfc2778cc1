"""Small histories of every queue, with pauses at the marked points, are those that a queue can have."""

import functools

import numpy as np
import pytest
from fifo_checker import POP, PUSH, Operation, is_linearizable
from threads import compiled, core_sets, run_threads

from kernels.machine import atomics
from kernels.machine.affinity import allowed_cores
from kernels.marked import new_pauses, next_random
from kernels.message_queue import KERNEL
from kernels.message_queue._parts import dequeue, enqueue
from kernels.message_queue._ring import SOON, wait

pytestmark = [pytest.mark.concurrency, pytest.mark.slow]

OURS = [name for name, variant in KERNEL.variants.items() if not variant.peer]
SINGLE = [name for name in OURS if KERNEL.variants[name].refuses(KERNEL.check_parameters({"threads": 4}))]
# "Full" and "empty" may be said while another is in between: no statement of a moment.
UNFINISHED = ("mpmc", "mpmc_batch", "robust")
SLOTS, OPERATIONS, ROUNDS = 2, 5, 150
KIND, VALUE, DONE, BEGIN, END = range(5)


@compiled
def gather(arrived, threads, time):
    """Wait, in a hurry, until all `threads` have come for the `time`-th time (from 1)."""
    atomics.add(arrived, 0, 1, "acq_rel")
    turn = 0
    while atomics.load(arrived, 0, "acquire") < threads * time:
        wait(turn, SOON)
        turn += 1


@compiled
def act(state, threads, thread, only, clock, arrived, log, pauses):
    """Do some operations in each round, all threads beginning together. `only`: PUSH or POP, or -1 for both."""
    scratch = np.zeros((1, 1), np.int64)
    for round_ in range(log.shape[0]):
        gather(arrived, threads, 2 * round_ + 1)
        for i in range(OPERATIONS):
            row = log[round_, i]
            row[KIND] = only if only >= 0 else np.int64(next_random(pauses, 0) >> np.uint64(9)) & 1
            scratch[0, 0] = (round_ * threads + thread) * OPERATIONS + i
            row[BEGIN] = atomics.add(clock, 0, 1, "seq_cst")
            if row[KIND] == PUSH:
                row[DONE] = enqueue(state, scratch, 0, None, pauses)
            else:
                row[DONE] = dequeue(state, scratch, 0, None, pauses)
            row[END] = atomics.add(clock, 0, 1, "seq_cst")
            row[VALUE] = scratch[0, 0]
        gather(arrived, threads, 2 * round_ + 2)
        if thread == 0:
            while dequeue(state, scratch, 0, None, None):  # each round begins with an empty queue
                pass


def histories(name, roles, one_core):
    """Return what each round's operations were and answered, as lists of Operation, from an empty queue each."""
    state = KERNEL.variants[name].build(slots=SLOTS, record_bytes=8).state
    clock, arrived = np.zeros(8, np.int64), np.zeros(8, np.int64)
    logs = [np.zeros((ROUNDS, OPERATIONS, 5), np.int64) for _ in roles]
    jobs = [
        functools.partial(act, state, len(roles), i, only, clock, arrived, logs[i], new_pauses(i, 2, 400))
        for i, only in enumerate(roles)
    ]
    run_threads(jobs, one_core)
    return [
        [
            Operation(int(row[KIND]), int(row[VALUE]), bool(row[DONE]), int(row[BEGIN]), int(row[END]))
            for log in logs
            for row in log[round_]
        ]
        for round_ in range(ROUNDS)
    ]


def overlapping(history):
    """Return how many pairs of operations were under way at the same time."""
    return sum(a.begin < b.begin < a.end for a in history for b in history)


@core_sets()
@pytest.mark.parametrize("name", OURS)
def test_histories_are_those_of_a_queue(name, one_core):
    roles = (PUSH, POP) if name in SINGLE else (-1, PUSH, POP)
    found = histories(name, roles, one_core)
    assert one_core or len(allowed_cores()) < 2 or sum(map(overlapping, found)) > 0
    if name in UNFINISHED:
        found = [[operation for operation in history if operation.done] for history in found]
    for history in found:
        assert is_linearizable(history, 2**30 if name in UNFINISHED else SLOTS), history


def operation(kind, value, done, begin, end):
    return Operation(kind, value, done, begin, end)


def test_the_checker_knows_what_a_queue_cannot_do():
    one, two = operation(PUSH, 1, True, 0, 1), operation(PUSH, 2, True, 2, 3)
    late, both = operation(PUSH, 2, True, 0, 3), operation(PUSH, 3, True, 4, 5)
    good = [
        [],
        [one, two, operation(POP, 1, True, 4, 5), operation(POP, 2, True, 6, 7)],
        [operation(PUSH, 1, True, 0, 3), late, operation(POP, 2, True, 4, 5), operation(POP, 1, True, 6, 7)],
        [one, operation(POP, 0, False, 0, 5)],  # the pop may have been before
        [one, two, operation(PUSH, 3, False, 4, 5)],
        [operation(POP, 1, True, 0, 9), operation(PUSH, 1, True, 1, 2)],
    ]
    bad = [
        [one, two, operation(POP, 2, True, 4, 5)],  # out of order
        [one, operation(POP, 1, True, 2, 3), operation(POP, 1, True, 4, 5)],  # doubled
        [one, operation(POP, 0, False, 2, 3)],  # lost for a moment
        [one, operation(POP, 7, True, 2, 3)],  # out of nothing
        [operation(POP, 1, True, 0, 1), operation(PUSH, 1, True, 2, 3)],  # before it was there
        [one, two, both],  # more than fits
        [one, operation(PUSH, 2, False, 2, 3)],  # refused with room
    ]
    assert all(is_linearizable(history, 2) for history in good)
    assert not any(is_linearizable(history, 2) for history in bad)
