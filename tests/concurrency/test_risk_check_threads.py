"""Several threads on the same accounts: no exposure above its limit, none lost or doubled, and linearizable.

``WORKBENCH_STRESS_OPS`` sets how many requests each thread makes in the stress, and a thousandth of it the histories.
"""

import functools
import importlib

import numpy as np
import pytest
from threads import compiled, core_sets, meet, operations, run_threads

from kernels.machine import atomics
from kernels.machine.affinity import allowed_cores
from kernels.marked import PASSED, new_pauses, next_random
from kernels.risk_check import KERNEL
from kernels.risk_check._rules import ACCEPTED, OVER_RELEASE, POSITION, REASONS, Reason

pytestmark = [pytest.mark.concurrency, pytest.mark.slow]

WORKERS, ACCOUNTS, HELD = 3, 2, 8
LONG, SHORT, NOTIONAL, ORDERS = range(4)
LIMITS = {
    "accounts": ACCOUNTS,
    "order_size": 1000,
    "position": 30,
    "notional": 5_000,
    "open_orders": 6,
    "interval_ns": 1,
    "collar": 1023,
}
VARIANTS = ["baseline", "lock_free", "aligned", "combined"]
each_variant = pytest.mark.parametrize("name", VARIANTS)


def modules(name):
    return importlib.import_module(f"kernels.risk_check.{name}")


def built(name, **limits):
    """Return an instance whose accounts may send any number of messages at one time."""
    instance = KERNEL.variants[name].build(**limits)
    given = instance.export_state()
    given["accounts"]["burst_ns"] = 2**61
    instance.import_state(given)
    return instance


@functools.cache
def compiled_for(name):
    """Return the worker, the watcher and the one of histories, compiled for a variant."""
    module = modules(name)
    check_order, release_order, exposure = module.check_order, module.release_order, module.exposure

    @compiled
    def work(state, requests, seed, totals, refused, arrived, pauses):
        """Reserve and release at random; `totals` is what this thread has open in each account."""
        random, orders = np.array([2 * seed + 5], np.int64), np.zeros((HELD, 4), np.int64)
        meet(arrived, WORKERS + 1, 1)
        for _ in range(requests):
            drawn = next_random(random, 0) >> np.uint64(20)
            order = orders[np.int64(drawn % np.uint64(HELD))]
            drawn >>= np.uint64(4)
            if order[3] == 0:
                account, side = np.int64(drawn & np.uint64(1)), np.int64((drawn >> np.uint64(1)) & np.uint64(1))
                size, price = (
                    1 + np.int64((drawn >> np.uint64(2)) % np.uint64(12)),
                    100 + np.int64(drawn % np.uint64(50)),
                )
                reason = check_order(state, account, side, price, size, price, 0, None, pauses)
                if reason == ACCEPTED:
                    order[0], order[1], order[2], order[3] = account, side, price, size
                    totals[account, side] += size
                    totals[account, NOTIONAL] += price * size
                    totals[account, ORDERS] += 1
            else:
                account, side, price = order[0], order[1], order[2]
                size = order[3] if drawn & np.uint64(1) else 1
                closed = size == order[3]
                reason = release_order(state, account, side, price, size, False, closed, None, pauses)
                if reason == ACCEPTED:
                    order[3] -= size
                    totals[account, side] -= size
                    totals[account, NOTIONAL] -= price * size
                    totals[account, ORDERS] -= closed
            refused[reason] += 1
        atomics.add(arrived, 1, 1, "release")

    @compiled
    def watch(state, most, found, arrived):
        """Look at what the accounts have open until the workers are done, and count what is above a limit.

        At least once: on one core the workers may be done before this thread has its first turn.
        """
        meet(arrived, WORKERS + 1, 1)
        while found[0] == 0 or atomics.load(arrived, 1, "acquire") < WORKERS:
            for account in range(ACCOUNTS):
                now = exposure(state, account)
                found[0] += 1
                found[1] += (now[0] > most[0]) | (now[1] > most[0]) | (now[2] > most[1]) | (now[3] > most[2])
                found[1] += (now[0] + now[1] < 0) | (now[2] < 0) | (now[3] < 0)
                found[2] += now[0] + now[1] > 0

    @compiled
    def take_part(state, thread, histories, log, clock, arrived, pauses):
        """Do `STEPS` requests on account number `history` in each round; log when each began and ended, and how."""
        random = np.array([2 * thread + 31], np.int64)
        for history in range(histories):
            meet(arrived, THREADS, history + 1)
            held = 0
            for step in range(STEPS):
                drawn = next_random(random, 0) >> np.uint64(20)
                size = 1 + np.int64(drawn % np.uint64(3))
                entry = log[history, thread, step]
                entry[BEGAN] = atomics.add(clock, 0, 1, "seq_cst")
                if held == 0 or drawn & np.uint64(256):
                    entry[AMOUNT] = size
                    entry[ANSWER] = check_order(state, history, 0, 1, size, 1, 0, None, pauses)
                else:  # a thread gives back what was granted to itself
                    entry[AMOUNT] = -min(size, held)
                    entry[ANSWER] = release_order(state, history, 0, 1, min(size, held), False, False, None, pauses)
                held += entry[AMOUNT] if entry[ANSWER] == ACCEPTED else 0
                entry[ENDED] = atomics.add(clock, 0, 1, "seq_cst")

    return work, watch, take_part


@core_sets()
@each_variant
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
def test_nothing_is_above_its_limit_lost_or_doubled(name, one_core, paused):
    instance = built(name, **LIMITS)
    work, watch, _ = compiled_for(name)
    totals, refused = np.zeros((WORKERS, ACCOUNTS, 4), np.int64), np.zeros((WORKERS, REASONS), np.int64)
    found, arrived = np.zeros(3, np.int64), np.zeros(8, np.int64)
    most = np.array([LIMITS["position"], LIMITS["notional"], LIMITS["open_orders"]])
    each = operations(3_000 if paused else 30_000)
    pauses = [new_pauses(seed, 4 if paused else 1 << 20, 300) for seed in range(WORKERS)]
    jobs = [
        functools.partial(work, instance.state, each, seed, totals[seed], refused[seed], arrived, pauses[seed])
        for seed in range(WORKERS)
    ]
    run_threads([*jobs, lambda: watch(instance.state, most, found, arrived)], one_core)
    accounts = instance.export_state()["accounts"]
    open_now = totals.sum(axis=0)
    for column, field in enumerate(("long", "short", "notional", "orders")):
        assert accounts[field].tolist() == open_now[:, column].tolist(), field
    assert found[0] > 0 and found[1] == 0
    answers = refused.sum(axis=0)
    assert answers.sum() == WORKERS * each and answers[OVER_RELEASE] == 0
    met = (Reason.ACCEPTED, Reason.POSITION, Reason.NOTIONAL, Reason.OPEN_ORDERS)
    assert all(answers[reason] > each / 100 for reason in met), answers
    assert np.array_equal(instance.export_state()["refused"][1:], answers[1:])
    if paused and name != "baseline":
        assert all(pause[PASSED] > each for pause in pauses)


# ---- small histories ----------------------------------------------------------------------------------------------

THREADS, STEPS, MOST = 3, 4, 5  # an account has room for MOST shares
BEGAN, AMOUNT, ANSWER, ENDED = range(4)


def is_linearizable(history):
    """Say whether some order of the requests explains all answers and contradicts no clock (Wing and Gong 1993)."""

    @functools.cache
    def explains(done, size):
        if all(count == STEPS for count in done):
            return True
        waiting = [history[thread][count] for thread, count in enumerate(done) if count < STEPS]
        first_end = min(entry[ENDED] for entry in waiting)
        for thread, count in enumerate(done):
            if count == STEPS or history[thread][count][BEGAN] > first_end:
                continue  # another request ended before this one began
            amount, answer = history[thread][count][AMOUNT], history[thread][count][ANSWER]
            after = size + amount
            wanted = POSITION if after > MOST else OVER_RELEASE if after < 0 else ACCEPTED
            after = after if wanted == ACCEPTED else size
            if answer == wanted and explains((*done[:thread], count + 1, *done[thread + 1 :]), after):
                return True
        return False

    return explains((0,) * THREADS, 0)


def test_the_checker_of_reservations_knows_a_wrong_history():
    take, refused, back = (0, 3, ACCEPTED, 1), (2, 3, POSITION, 3), (4, -3, ACCEPTED, 5)
    late = [(time, -1, OVER_RELEASE, time + 1) for time in range(20, 60, 2)]
    right = [[take, refused, back, late[0]], late[1:5], late[5:9]]
    assert is_linearizable(right)
    assert not is_linearizable([[take, (2, 3, ACCEPTED, 3), back, late[0]], late[1:5], late[5:9]])  # 6 of 5
    assert not is_linearizable([[refused, take, back, late[0]], late[1:5], late[5:9]])  # refused with nothing open


@core_sets()
@each_variant
def test_small_histories_of_reservations_are_linearizable(name, one_core):
    histories = max(operations(300_000) // 1000, 1)
    limits = {"accounts": histories, "position": MOST, "notional": 2**40, "open_orders": 10**6}
    instance = built(name, **{**LIMITS, **limits})
    log = np.zeros((histories, THREADS, STEPS, 4), np.int64)
    clock, arrived = np.zeros(8, np.int64), np.zeros(8, np.int64)
    pauses = [new_pauses(seed + 9, 2, 100) for seed in range(THREADS)]
    take_part = compiled_for(name)[2]
    jobs = [
        functools.partial(take_part, instance.state, thread, histories, log, clock, arrived, pauses[thread])
        for thread in range(THREADS)
    ]
    run_threads(jobs, one_core)
    wrong = [i for i, history in enumerate(log.tolist()) if not is_linearizable(history)]
    assert not wrong, log[wrong[0]].tolist()
    overlapping = np.count_nonzero(log[..., ENDED] - log[..., BEGAN] > 1)
    marked = name != "baseline"  # which has no marked points to be held up at
    assert one_core or len(allowed_cores()) < 2 or not marked or overlapping > histories / 10  # else nothing was tried
