"""Several threads on one table of positions: nothing lost, doubled or torn, slots claimed once, and linearizable.

``WORKBENCH_STRESS_OPS`` sets how many fills each thread applies, and how many reads are made beside them.
"""

import functools
import importlib

import numpy as np
import pytest
from threads import compiled, core_sets, meet, operations, run_threads

from kernels.machine import atomics
from kernels.machine.affinity import allowed_cores
from kernels.marked import PASSED, new_pauses, next_random
from kernels.positions import KERNEL
from kernels.positions._sequence import COST, QUANTITY, REALISED

pytestmark = [pytest.mark.concurrency, pytest.mark.slow]

WRITERS, ACCOUNTS, SYMBOLS = 3, 128, 3
PRICE = 7
SHARED = ["baseline", "lock_free"]  # any thread may write any position
ALL = ["baseline", "lock_free", "aligned", "simd"]


@functools.cache
def compiled_for(name):
    """Return the writer, the reader and the one of histories, compiled for a variant."""
    module = importlib.import_module(f"kernels.positions.{name}")
    fill, read = module.fill, module.read

    @compiled
    def write(state, fills, seed, accounts, first, step, sums, arrived, pauses):
        """Buy and sell one share at one price: then cost is always 7 times the shares, and nothing is ever booked."""
        random = np.array([2 * seed + 5], np.int64)
        meet(arrived, WRITERS + 1, 1)
        for _ in range(fills):
            drawn = next_random(random, 0) >> np.uint64(20)
            account = first + step * np.int64(drawn % np.uint64(accounts))
            symbol, side = (
                np.int64((drawn >> np.uint64(9)) % np.uint64(SYMBOLS)),
                np.int64((drawn >> np.uint64(20)) & np.uint64(1)),
            )
            reason, _quantity, _cost, _realised = fill(state, account, symbol, side, PRICE, 1, None, pauses)
            sums[account, symbol] += (1 - 2 * side) * (reason == 0)
        atomics.add(arrived, 1, 1, "release")

    @compiled
    def watch(state, accounts, found, arrived):
        """Read until the writers are done, and count positions whose words are not of one moment."""
        meet(arrived, WRITERS + 1, 1)
        item = 0
        while atomics.load(arrived, 1, "acquire") < WRITERS:
            quantity, cost, realised, _unrealised, retries = read(state, item % accounts, item % SYMBOLS)
            found[0] += 1
            found[1] += (cost != PRICE * abs(quantity)) | (realised != 0)
            found[2] += retries
            item += 1

    @compiled
    def take_part(state, thread, histories, log, clock, arrived, pauses):
        """Do `STEPS` fills or reads of one position in each round; log when each began and ended, and the answer."""
        random = np.array([2 * thread + 31], np.int64)
        for history in range(histories):
            meet(arrived, THREADS, history + 1)
            for step in range(STEPS):
                drawn = next_random(random, 0) >> np.uint64(20)
                entry = log[history, thread, step]
                entry[BEGAN] = atomics.add(clock, 0, 1, "seq_cst")
                if drawn & np.uint64(256):
                    side, size = np.int64(drawn & np.uint64(1)), 1 + np.int64((drawn >> np.uint64(1)) % np.uint64(3))
                    entry[AMOUNT] = -size if side else size
                    entry[ANSWER] = fill(state, history, 0, side, PRICE, size, None, pauses)[1]
                else:
                    entry[ANSWER] = read(state, history, 0)[0]
                entry[ENDED] = atomics.add(clock, 0, 1, "seq_cst")

    return write, watch, take_part


def race(name, one_core, paused, disjoint):
    """Run three writers and a reader; return the instance, what the writers did and what the reader found."""
    accounts = ACCOUNTS if disjoint else 4
    instance = KERNEL.variants[name].build(accounts=accounts, symbols=SYMBOLS, positions=1024)
    write, watch, _ = compiled_for(name)
    sums, found = np.zeros((WRITERS, accounts, SYMBOLS), np.int64), np.zeros(3, np.int64)
    arrived = np.zeros(8, np.int64)
    each = operations(4_000 if paused else 40_000)
    pauses = [new_pauses(seed, 4 if paused else 1 << 20, 300) for seed in range(WRITERS)]
    jobs = []
    for seed in range(WRITERS):
        # A writer of its own shards has the accounts seed, seed + 4, ...; else all writers have all accounts.
        mine = (accounts // 4, seed, 4) if disjoint else (accounts, 0, 1)
        jobs.append(functools.partial(write, instance.state, each, seed, *mine, sums[seed], arrived, pauses[seed]))
    run_threads([*jobs, lambda: watch(instance.state, accounts, found, arrived)], one_core)
    assert not paused or name == "baseline" or all(pause[PASSED] > each for pause in pauses)
    return instance, sums.sum(axis=0), found


def assert_nothing_lost(instance, sums, found):
    rows = instance.export_state()["positions"]
    held = np.zeros_like(sums)
    held[rows["account"], rows["symbol"]] = rows["quantity"]
    assert np.array_equal(held, sums)
    assert np.array_equal(rows["cost"], PRICE * abs(rows["quantity"])) and not rows["realised"].any()
    assert found[0] > 0 and found[1] == 0
    # A slot that was claimed twice would show as two rows of one position, or as one too many alive.
    keys = rows["account"] * SYMBOLS + rows["symbol"]
    assert len(np.unique(keys)) == len(keys) == np.count_nonzero(keys >= 0)


@core_sets()
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
def test_writers_of_the_same_positions_lose_nothing(name, one_core, paused):
    assert_nothing_lost(*race(name, one_core, paused, disjoint=False))


@core_sets()
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
def test_writers_of_shards_of_their_own_lose_nothing(name, one_core, paused):
    assert_nothing_lost(*race(name, one_core, paused, disjoint=True))


@compiled
def watch_carelessly(state, found, arrived):
    """Look at the words of all rows without their sequence: what the test must be able to notice."""
    meet(arrived, 2, 1)
    while atomics.load(arrived, 1, "acquire") < 1:
        for row in range(state.rows.shape[0]):
            quantity = atomics.load(state.rows, (row, QUANTITY), "relaxed")
            cost = atomics.load(state.rows, (row, COST), "relaxed")
            found[0] += (cost != PRICE * abs(quantity)) | (state.rows[row, REALISED] != 0)


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs two cores")
def test_a_careless_reader_of_positions_would_be_noticed():
    module = importlib.import_module("kernels.positions.lock_free")
    fill = module.fill

    @compiled
    def write_one(state, fills, arrived, pauses):
        meet(arrived, 2, 1)
        for i in range(fills):
            fill(state, 0, 0, i & 1, PRICE, 5, None, pauses)
        atomics.store(arrived, 1, 1, "release")

    instance = KERNEL.variants["lock_free"].build(accounts=1, symbols=1, positions=1)
    found, arrived = np.zeros(1, np.int64), np.zeros(8, np.int64)
    jobs = [
        lambda: write_one(instance.state, 40_000, arrived, new_pauses(1, 1, 300)),
        lambda: watch_carelessly(instance.state, found, arrived),
    ]
    run_threads(jobs, False)
    assert found[0] > 0


# ---- small histories ----------------------------------------------------------------------------------------------

THREADS, STEPS = 3, 4
BEGAN, AMOUNT, ANSWER, ENDED = range(4)


def is_linearizable(history):
    """Say whether some order of fills and reads explains all answers and contradicts no clock (Wing and Gong 1993)."""

    @functools.cache
    def explains(done, quantity):
        if all(count == STEPS for count in done):
            return True
        waiting = [history[thread][count] for thread, count in enumerate(done) if count < STEPS]
        first_end = min(entry[ENDED] for entry in waiting)
        for thread, count in enumerate(done):
            if count == STEPS or history[thread][count][BEGAN] > first_end:
                continue  # another operation ended before this one began
            _began, amount, answer, _ended = history[thread][count]
            after = quantity + amount
            if answer == after and explains((*done[:thread], count + 1, *done[thread + 1 :]), after):
                return True
        return False

    return explains((0,) * THREADS, 0)


def test_the_checker_of_positions_knows_a_wrong_history():
    buy, sell, look = (0, 3, 3, 1), (2, -1, 2, 3), (4, 0, 2, 5)
    late = [(time, 0, 2, time + 1) for time in range(20, 60, 2)]
    assert is_linearizable([[buy, sell, look, late[0]], late[1:5], late[5:9]])
    assert not is_linearizable([[buy, sell, (4, 0, 3, 5), late[0]], late[1:5], late[5:9]])  # an old position
    assert not is_linearizable([[buy, (2, -1, -1, 3), look, late[0]], late[1:5], late[5:9]])  # a fill that was lost


@core_sets()
@pytest.mark.parametrize("name", SHARED)
def test_small_histories_of_fills_are_linearizable(name, one_core):
    histories = max(operations(300_000) // 1000, 1)
    instance = KERNEL.variants[name].build(accounts=histories, symbols=1, positions=histories)
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
    assert one_core or len(allowed_cores()) < 2 or not marked or overlapping > histories / 10
