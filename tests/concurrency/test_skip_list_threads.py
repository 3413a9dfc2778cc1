"""Several threads on one skip list: nothing lost or doubled, linearizable, and no thread ever on a node that is free.

``WORKBENCH_STRESS_OPS`` sets how many changes each thread makes in the stress, and a thousandth of it the histories.
"""

import functools

import numpy as np
import pytest
from threads import compiled, core_sets, meet, operations, run_threads

import kernels
from kernels.machine import atomics
from kernels.machine.sleep import sleep_us
from kernels.marked import BROKEN, PASSED, new_pauses, next_random
from kernels.order_book import _reclaim
from kernels.order_book._apply import DONE
from kernels.order_book._reclaim import BAG, BAGS, FREE, KEY, LINK, NODE_SHIFT, pin, unpin
from kernels.order_book._skip_list import ABSENT, NEXT, TAIL, change, first_level, next_level, size_of

pytestmark = [pytest.mark.concurrency, pytest.mark.slow]

VARIANT = kernels.get("order_book").variants["skip_list"]
WRITERS = 3
KEYS = 6  # few, so that levels come and go all the time and the threads meet


@compiled
def put(state, key, amount, slot, pauses):
    """Change a level of row 0; compiled once for all that do."""
    return change(state, 0, key, amount, slot, None, pauses)


@compiled
def churn(state, slot, changes, held, failed, arrived, threads, pauses):
    """Add to and take from the levels of row 0 at random; `held` is what this thread has put into each."""
    random = np.array([2 * slot + 77], np.int64)
    meet(arrived, threads, 1)
    for _ in range(changes):
        drawn = next_random(random, 0) >> np.uint64(20)
        key = np.int64(drawn % np.uint64(held.shape[0]))
        amount = 1 + np.int64((drawn >> np.uint64(8)) % np.uint64(3))
        if held[key] > 0:
            amount = -held[key] if drawn & np.uint64(1 << 20) else -min(amount, held[key])
        status = put(state, key, amount, slot, pauses)
        if status == DONE:
            held[key] += amount
        else:
            failed[status] += 1
    atomics.add(arrived, 1, 1, "release")


@compiled
def traverse(state, slot, writers, found, arrived, threads, pauses):
    """Walk along the row until the writers are done: keys must fall, and every total be above 0."""
    meet(arrived, threads, 1)
    while atomics.load(arrived, 1, "acquire") < writers:
        pin(state, slot)
        last = 2**40
        node, total = first_level(state.nodes, 0, pauses)
        while node != TAIL:
            key = state.nodes[(node << NODE_SHIFT) + KEY]
            found[0] += (key >= last) | (key < 0) | (total <= 0)
            found[1] += 1
            last = key
            node, total = next_level(state.nodes, node, pauses)
        unpin(state, slot)


def counted_nodes(state):
    """Return every node that is a head, the tail, in row 0, in a bag or free, sorted."""
    nodes = state.nodes.reshape(-1, 1 << NODE_SHIFT)

    def follow(node, field, shift):
        found = []
        while node:
            found.append(node)
            node = int(nodes[node, field]) >> shift
        return found

    everywhere = [0, 2, *follow(1, NEXT, 1), *follow(int(state.epoch[FREE]) & 0xFFFFFFFF, LINK, 0)]
    for slot in state.slots.reshape(_reclaim.SLOTS, -1):
        for bag in range(BAGS):
            everywhere += follow(int(slot[BAG + bag]), LINK, 0)
    return sorted(everywhere)


@core_sets()
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
def test_nothing_is_lost_and_no_free_node_is_seen(one_core, paused):
    state = VARIANT.build(levels=512).state
    held, failed = np.zeros((WRITERS, KEYS), np.int64), np.zeros(4, np.int64)
    found, arrived = np.zeros(2, np.int64), np.zeros(8, np.int64)
    each = operations(20_000 if not paused else 4_000)
    pauses = [new_pauses(seed, 4 if paused else 1 << 20, 300) for seed in range(WRITERS + 1)]
    threads = WRITERS + 1
    jobs = [
        functools.partial(churn, state, slot, each, held[slot], failed, arrived, threads, pauses[slot])
        for slot in range(WRITERS)
    ]
    jobs.append(lambda: traverse(state, WRITERS, WRITERS, found, arrived, threads, pauses[-1]))
    run_threads(jobs, one_core)
    assert not failed.any()  # nobody takes out more than it has put in, and the nodes suffice
    sizes = [size_of(state, 0, key, 0, None, None) for key in range(KEYS)]
    assert sizes == held.sum(axis=0).tolist()
    assert found[0] == 0
    assert [int(p[BROKEN]) for p in pauses] == [0] * threads
    assert all(p[PASSED] > 0 for p in pauses)
    assert counted_nodes(state) == list(range(len(state.nodes) >> NODE_SHIFT))


# ---- linearizability -----------------------------------------------------------------------------------------------

THREADS, STEPS = 3, 4
BEGAN, AMOUNT, ANSWER, ENDED = range(4)
READ = 0  # the amount that stands for reading the size


@compiled
def take_part(state, slot, histories, log, clock, arrived, pauses):
    """Do a few operations on one level in each history, and note when each began and ended and what it answered."""
    random = np.array([slot + 5], np.int64)
    for history in range(histories):
        meet(arrived, THREADS, history + 1)
        for step in range(STEPS):
            drawn = next_random(random, 0) >> np.uint64(30)
            amount = np.int64(drawn % np.uint64(5)) - 2
            entry = log[history, slot, step]
            entry[AMOUNT] = amount
            entry[BEGAN] = atomics.add(clock, 0, 1, "seq_cst")
            if amount == READ:
                entry[ANSWER] = size_of(state, 0, history, slot, None, pauses)
            else:
                entry[ANSWER] = put(state, history, amount, slot, pauses)
            entry[ENDED] = atomics.add(clock, 0, 1, "seq_cst")


def is_linearizable(history):
    """Say whether some order of the operations explains all answers and contradicts no clock (Wing and Gong 1993)."""

    @functools.cache
    def explains(done, size):
        if all(count == STEPS for count in done):
            return True
        waiting = [history[thread][count] for thread, count in enumerate(done) if count < STEPS]
        first_end = min(entry[ENDED] for entry in waiting)
        for thread, count in enumerate(done):
            if count == STEPS or history[thread][count][BEGAN] > first_end:
                continue  # another operation ended before this one began
            amount, answer = history[thread][count][AMOUNT], history[thread][count][ANSWER]
            if amount == READ:
                fits, after = answer == size, size
            elif size + amount < 0:
                fits, after = answer == ABSENT, size
            else:
                fits, after = answer == DONE, size + amount
            if fits and explains((*done[:thread], count + 1, *done[thread + 1 :]), after):
                return True
        return False

    return explains((0,) * THREADS, 0)


def test_the_checker_knows_a_wrong_history():
    read_2 = (0, READ, 2, 1)
    add_2, take_2 = (2, 2, DONE, 3), (4, -2, DONE, 5)
    late = [(time, READ, 0, time + 1) for time in range(20, 60, 2)]
    right = [[add_2, take_2, *late[:2]], late[2:6], late[6:10]]
    assert is_linearizable(right)
    assert not is_linearizable([[read_2, add_2, take_2, late[0]], late[2:6], late[6:10]])  # read before it was there
    assert not is_linearizable([[add_2, *late[:3]], late[2:6], late[6:10]])  # never taken out, and gone


@core_sets()
def test_small_histories_are_linearizable(one_core):
    histories = max(operations(300_000) // 1000, 1)
    state = VARIANT.build(levels=max(histories, 64)).state
    log = np.zeros((histories, THREADS, STEPS, 4), np.int64)
    clock, arrived = np.zeros(8, np.int64), np.zeros(8, np.int64)
    pauses = [new_pauses(seed + 9, 2, 100) for seed in range(THREADS)]
    jobs = [
        functools.partial(take_part, state, slot, histories, log, clock, arrived, pauses[slot])
        for slot in range(THREADS)
    ]
    run_threads(jobs, one_core)
    wrong = [i for i, history in enumerate(log.tolist()) if not is_linearizable(history)]
    assert not wrong, log[wrong[0]].tolist()
    overlapping = np.count_nonzero(log[..., ENDED] - log[..., BEGAN] > 1)
    assert one_core or overlapping > histories / 10  # else nothing was tried
    assert all(p[BROKEN] == 0 for p in pauses)


# ---- a thread that is held up on a node ------------------------------------------------------------------------------


@compiled
def stay(state, slot, control):
    """Pin, take the best node, and stay on it until told to go; return what its key was then."""
    pin(state, slot)
    node, _total = first_level(state.nodes, 0, None)
    atomics.store(control, 0, 1, "release")
    while atomics.load(control, 1, "acquire") == 0:
        sleep_us(20)
    key = atomics.load(state.nodes, (node << NODE_SHIFT) + KEY, "relaxed")
    unpin(state, slot)
    control[2] = key


@compiled
def leave(state, slot, rounds, control, pauses):
    """Take out the level that the other thread stays on, and others after it; then tell it to go."""
    while atomics.load(control, 0, "acquire") == 0:
        sleep_us(20)
    put(state, 5, -1, slot, pauses)
    for i in range(rounds):
        put(state, i % 5, 1, slot, pauses)
        put(state, i % 5, -1, slot, pauses)
    atomics.store(control, 1, 1, "release")


def test_a_thread_that_stays_on_a_node_keeps_it():
    state = VARIANT.build(levels=2048).state
    pauses = new_pauses(1, 1 << 20, 1)
    assert put(state, 5, 1, 0, pauses) == DONE
    control = np.zeros(4, np.int64)
    run_threads([lambda: stay(state, 1, control), lambda: leave(state, 0, 3000, control, pauses)], False)
    assert control[2] == 5
    assert counted_nodes(state) == list(range(len(state.nodes) >> NODE_SHIFT))
