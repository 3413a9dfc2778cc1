"""Several threads on one pool: no slot lost or handed out twice, linearizable, and ABA driven on purpose.

``WORKBENCH_STRESS_OPS`` sets how many steps each thread makes in the stress, and a thousandth of it the histories.
"""

import functools

import numpy as np
import pytest
from threads import compiled, core_sets, meet, operations, run_threads

import kernels
from kernels.machine import atomics
from kernels.marked import PASSED, new_pauses, next_random
from kernels.order_pool import aligned, baseline, lock_free
from kernels.order_pool._slots import SLOT_WORDS
from kernels.order_pool._treiber import TAG, TOP, look, pop, push_chain, swing

pytestmark = [pytest.mark.concurrency]

POOL = kernels.get("order_pool")
THREADS = 3
MINE = 40  # slots that a thread has at most
SLOTS = 400  # enough for all, what lies in the caches of `aligned` included


@compiled
def churn_lock_free(state, lane, steps, owner, failed, arrived, pauses):
    """Take and give back at random; `owner` says of each slot which thread has it, plus one."""
    random, mine, held = np.array([2 * lane + 77], np.int64), np.zeros(MINE, np.int64), 0
    meet(arrived, THREADS, 1)
    for step in range(steps):
        drawn = next_random(random, 0) >> np.uint64(20)
        if held < MINE and (held == 0 or drawn & np.uint64(1)):
            slot = lock_free.take_marked(state, None, pauses)
            if slot < 0:
                failed[0] += 1
                continue
            failed[1] += atomics.exchange(owner, slot, lane + 1, "acq_rel") != 0
            lock_free.write(state, slot, 0, lane * steps + step)
            lock_free.write(state, slot, 6, slot)
            mine[held] = slot
            held += 1
        else:
            place = np.int64((drawn >> np.uint64(1)) % np.uint64(held))
            slot = mine[place]
            failed[2] += lock_free.read(state, slot, 0) // steps != lane or lock_free.read(state, slot, 6) != slot
            failed[1] += atomics.exchange(owner, slot, 0, "acq_rel") != lane + 1
            failed[3] += not lock_free.give_back_marked(state, slot, None, pauses)
            held -= 1
            mine[place] = mine[held]
    for place in range(held):
        owner[mine[place]] = 0
        lock_free.give_back_marked(state, mine[place], None, pauses)


@compiled
def churn_aligned(own, lane, steps, owner, failed, arrived, pauses):
    """Do as `churn_lock_free`, each thread through its own cache."""
    random, mine, held = np.array([2 * lane + 77], np.int64), np.zeros(MINE, np.int64), 0
    meet(arrived, THREADS, 1)
    filling = True
    for step in range(steps):
        drawn = next_random(random, 0) >> np.uint64(20)
        filling = (filling or held == 0) and held < MINE  # waves, so that bundles go to and fro
        if filling:
            slot = aligned.take_marked(own, None, pauses)
            if slot < 0:
                failed[0] += 1
                continue
            failed[1] += atomics.exchange(owner, slot, lane + 1, "acq_rel") != 0
            aligned.write(own, slot, 0, lane * steps + step)
            aligned.write(own, slot, 6, slot)
            mine[held] = slot
            held += 1
        else:
            place = np.int64((drawn >> np.uint64(1)) % np.uint64(held))
            slot = mine[place]
            failed[2] += aligned.read(own, slot, 0) // steps != lane or aligned.read(own, slot, 6) != slot
            failed[1] += atomics.exchange(owner, slot, 0, "acq_rel") != lane + 1
            failed[3] += not aligned.give_back_marked(own, slot, None, pauses)
            held -= 1
            mine[place] = mine[held]
    for place in range(held):
        owner[mine[place]] = 0
        aligned.give_back_marked(own, mine[place], None, pauses)


CHURNS = {"lock_free": churn_lock_free, "aligned": churn_aligned}


def own_state(name, state, lane):
    """Return the state as one thread uses it."""
    return aligned.for_lane(state, lane) if name == "aligned" else state


def all_free(name, state):
    """Return every slot that can be taken, by every thread's way."""
    found = []
    for lane in range(THREADS):
        own = own_state(name, state, lane)
        take = aligned.take if name == "aligned" else lock_free.take
        while (slot := take(own)) >= 0:
            found.append(slot)
    return sorted(found)


@pytest.mark.slow
@core_sets()
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
@pytest.mark.parametrize("name", list(CHURNS))
def test_no_slot_is_lost_or_handed_out_twice(name, paused, one_core):
    slots = SLOTS if name == "lock_free" else SLOTS + 200 * THREADS
    state = POOL.variants[name].build(slots=slots, threads=THREADS).state
    owner, failed, arrived = np.zeros(slots, np.int64), np.zeros((THREADS, 8), np.int64), np.zeros(8, np.int64)
    steps = operations(20_000 if paused else 200_000)
    pauses = [new_pauses(lane, 4 if paused else 1 << 20, 300) for lane in range(THREADS)]
    run_threads(
        [
            functools.partial(
                CHURNS[name], own_state(name, state, lane), lane, steps, owner, failed[lane], arrived, one
            )
            for lane, one in enumerate(pauses)
        ],
        one_core,
    )
    assert not failed.any()
    assert not owner.any() and all_free(name, state) == list(range(slots))
    assert name == "aligned" or all(p[PASSED] > 0 for p in pauses)


@pytest.mark.slow
def test_a_pool_that_is_too_small_says_so_and_stays_whole():
    state = POOL.variants["lock_free"].build(slots=MINE, threads=THREADS).state
    owner, failed, arrived = np.zeros(MINE, np.int64), np.zeros((THREADS, 8), np.int64), np.zeros(8, np.int64)
    pauses = [new_pauses(lane, 2, 100) for lane in range(THREADS)]
    run_threads(
        [
            functools.partial(churn_lock_free, state, lane, 20_000, owner, failed[lane], arrived, pauses[lane])
            for lane in range(THREADS)
        ],
        False,
    )
    assert failed[:, 0].sum() == state.told[0] > 0 and not failed[:, 1:].any()
    assert all_free("lock_free", state) == list(range(MINE))


# ---- bundles -------------------------------------------------------------------------------------------------------


@compiled
def pass_on(own, lane, rounds, ring, ends, arrived):
    """Lane 0 takes slots and hands them to lane 1, which gives them back: every slot travels through the bundles."""
    meet(arrived, 2, 1)
    done = failed = 0
    while done < rounds:
        if lane == 0:
            if atomics.load(ends, 0, "relaxed") - atomics.load(ends, 16, "acquire") < ring.shape[0]:
                slot = aligned.take(own)
                if slot >= 0:
                    aligned.write(own, slot, 0, done)
                    ring[done % ring.shape[0]] = slot
                    done += 1
                    atomics.store(ends, 0, done, "release")
        elif atomics.load(ends, 0, "acquire") > done:
            slot = ring[done % ring.shape[0]]
            failed += aligned.read(own, slot, 0) != done
            failed += not aligned.give_back(own, slot)
            done += 1
            atomics.store(ends, 16, done, "release")
    return failed


@pytest.mark.slow
@core_sets()
def test_slots_that_one_thread_takes_and_another_gives_back_come_round(one_core):
    state = POOL.variants["aligned"].build(slots=1000, threads=2).state
    ring, ends, arrived = np.zeros(128, np.int64), np.zeros(32, np.int64), np.zeros(8, np.int64)
    rounds = operations(20_000 if one_core else 200_000)
    failed = [None, None]

    def job(lane):
        failed[lane] = pass_on(aligned.for_lane(state, lane), lane, rounds, ring, ends, arrived)

    run_threads([lambda: job(0), lambda: job(1)], one_core)
    assert failed == [0, 0]
    found = []
    for lane in range(2):
        own = aligned.for_lane(state, lane)
        while (slot := aligned.take(own)) >= 0:
            found.append(slot)
    assert sorted(found) == list(range(1000))


# ---- ABA -----------------------------------------------------------------------------------------------------------


@compiled
def look_once(state):
    """Return what a take begins with."""
    return look(state)


@compiled
def take_tagged(state, tag):
    """Take the top of the stack, with tags or without."""
    return pop(state, tag, None, None)


@compiled
def put(state, slot):
    """Put a slot on the stack."""
    push_chain(state, slot, slot, None, None)


@compiled
def finish(state, top, link, tag):
    """Finish the take that `look_once` began."""
    return swing(state, top, link, tag)[1]


def driven_into_aba(tag):
    """Hold a take up between its look and its exchange, while the top goes away, and the next one, and it comes back.

    Return whether the late take was done, and every slot that was handed out since, the late one's included.
    """
    state = POOL.variants["lock_free"].build(slots=4).state
    for slot in (3, 2, 1, 0):
        put(state, slot)  # 0 on top, then 1
    top, link = look_once(state)
    first, second = take_tagged(state, tag), take_tagged(state, tag)
    assert (first, second) == (0, 1)
    put(state, first)
    done = finish(state, top, link, tag)
    out = [second, *([first] if done else [])]
    while (slot := take_tagged(state, tag)) >= 0 and len(out) < 8:
        out.append(slot)
    return done, out


def test_a_tag_keeps_a_late_take_from_handing_out_a_slot_twice():
    done, out = driven_into_aba(TAG)
    assert not done and sorted(out) == [0, 1, 2, 3]


def test_without_tags_the_same_hands_out_a_slot_twice():
    """Else the test before would prove nothing."""
    done, out = driven_into_aba(0)
    assert done and out.count(1) == 2


def test_the_tag_survives_an_emptied_pool():
    state = POOL.variants["lock_free"].build(slots=4).state
    put(state, 1)
    top, link = look_once(state)
    take_tagged(state, TAG)
    lock_free.empty(state)
    assert int(state.ends[TOP]) == TAG
    put(state, 1)
    assert not finish(state, top, link, TAG)
    assert state.slots[1 * SLOT_WORDS] == 0


# ---- linearizability -----------------------------------------------------------------------------------------------

STEPS = 4
BEGAN, TAKES, ANSWER, ENDED = range(4)


@compiled
def take_part(state, lane, histories, log, clock, arrived, pauses):
    """Take and give back in each history, of a pool of two slots, and note when each began and ended."""
    random, mine, held = np.array([lane + 5], np.int64), np.zeros(STEPS, np.int64), 0
    for history in range(histories):
        meet(arrived, THREADS, 3 * history + 1)
        for step in range(STEPS):
            drawn = next_random(random, 0) >> np.uint64(30)
            entry = log[history, lane, step]
            entry[TAKES] = held == 0 or drawn & np.uint64(1)
            entry[BEGAN] = atomics.add(clock, 0, 1, "seq_cst")
            if entry[TAKES]:
                entry[ANSWER] = lock_free.take_marked(state, None, pauses)
            else:
                entry[ANSWER] = mine[held - 1]
                lock_free.give_back_marked(state, mine[held - 1], None, pauses)
            entry[ENDED] = atomics.add(clock, 0, 1, "seq_cst")
            if not entry[TAKES]:
                held -= 1
            elif entry[ANSWER] >= 0:
                mine[held] = entry[ANSWER]
                held += 1
        meet(arrived, THREADS, 3 * history + 2)
        while held > 0:
            held -= 1
            lock_free.give_back_marked(state, mine[held], None, None)
        meet(arrived, THREADS, 3 * history + 3)


def is_linearizable(history, slots):
    """Say whether some order of the operations explains all answers and contradicts no clock (Wing and Gong 1993)."""

    @functools.cache
    def explains(done, free):
        waiting = [history[thread][count] for thread, count in enumerate(done) if count < STEPS]
        if not waiting:
            return True
        first_end = min(entry[ENDED] for entry in waiting)
        for thread, count in enumerate(done):
            if count == STEPS or history[thread][count][BEGAN] > first_end:
                continue  # another operation ended before this one began
            _, takes, slot, _ = history[thread][count]
            if takes and slot < 0:
                fits, after = not free, free
            elif takes:
                fits, after = slot in free, free - {slot}
            else:
                fits, after = slot not in free, free | {slot}
            if fits and explains((*done[:thread], count + 1, *done[thread + 1 :]), after):
                return True
        return False

    return explains((0,) * len(history), frozenset(range(slots)))


def test_the_checker_knows_a_wrong_history():
    def rest(at):
        return [(at + 2 * i, 1, -1, at + 2 * i + 1) for i in range(STEPS)]

    both = [(0, 1, 0, 1), (2, 1, 1, 3)]
    assert is_linearizable([[*both, *rest(4)[:2]], rest(20)], 2)
    assert not is_linearizable([[*both, *rest(4)[:2]], [(10, 1, 1, 11), *rest(20)[:3]]], 2)  # handed out twice
    assert not is_linearizable([[(0, 1, 0, 1), *rest(4)[:3]], rest(20)], 2)  # none, while one was free


@pytest.mark.slow
@core_sets()
def test_small_histories_are_linearizable(one_core):
    histories = max(operations(1_000_000 if not one_core else 200_000) // 1000, 1)
    state = POOL.variants["lock_free"].build(slots=2).state
    log = np.zeros((histories, THREADS, STEPS, 4), np.int64)
    clock, arrived = np.zeros(8, np.int64), np.zeros(8, np.int64)
    pauses = [new_pauses(seed + 9, 2, 100) for seed in range(THREADS)]
    run_threads(
        [
            functools.partial(take_part, state, lane, histories, log, clock, arrived, pauses[lane])
            for lane in range(THREADS)
        ],
        one_core,
    )
    wrong = [i for i, history in enumerate(log.tolist()) if not is_linearizable(history, 2)]
    assert not wrong, log[wrong[0]].tolist()
    overlapping = np.count_nonzero(log[..., ENDED] - log[..., BEGAN] > 1)
    assert one_core or overlapping > histories / 10  # else nothing was tried


# ---- the whole kernel ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline", "lock_free", "aligned"])
def test_a_divided_replay_does_what_the_reference_does(name):
    from kernels.messages import EVENT, Kind

    events = np.zeros(20_000, EVENT)
    events["order_id"] = np.repeat(np.arange(1, 10_001), 2)
    events["kind"], events["size"] = np.tile([Kind.ADD, Kind.DELETE], 10_000), 1
    events["kind"][:200], events["order_id"][:200] = Kind.ADD, np.arange(20_001, 20_201)
    parameters = POOL.check_parameters({"threads": 3})
    churn = POOL.prepare(events, parameters)
    variant = POOL.variants[name]
    instance = variant.build(**parameters)
    expected = POOL.reference(**parameters).replay(churn)
    for _ in range(3):
        assert np.array_equal(variant.replay(instance, churn), expected)
        assert not instance.export_state()["taken"].size and not instance.state.told.any()
    assert baseline.VARIANT is POOL.variants["baseline"]
