"""Readers beside a writer of `lock_free`: every snapshot is one state of the book.

``WORKBENCH_STRESS_OPS`` sets how many reads each test makes.
"""

import numba
import numpy as np
import pytest
from threads import compiled, core_sets, operations, run_threads

import kernels
from kernels.machine import atomics
from kernels.machine.affinity import allowed_cores
from kernels.machine.sleep import sleep_us
from kernels.marked import PASSED, new_pauses
from kernels.messages import BEST, EVENT, Kind
from kernels.order_book import lock_free
from kernels.order_book._apply import apply
from kernels.order_book._published import BEST_ASK, BEST_BID, DEPTH, DEPTH_SEQUENCE, publish, read_best, read_depth

pytestmark = [pytest.mark.concurrency, pytest.mark.slow]

VARIANT = kernels.get("order_book").variants["lock_free"]
STEPS = 256
CYCLE = 512  # events before they come again
LEAST_CHANGES = 16  # on one core, about one for each time slice
MOST_READS = 2**31
READS, TORN, CHANGES = range(3)


def both_sides_at_once():
    """Return events that add a bid, then an offer, then clear the book: bid and offer always belong together.

    Between two events the book is empty, or has the bid of a step, or the bid and the offer of that same step.
    """
    events = np.zeros(3 * STEPS, EVENT)
    step, turn = np.arange(len(events)) // 3, np.arange(len(events)) % 3
    events["kind"] = np.where(turn == 2, Kind.CLEAR, Kind.ADD)
    events["order_id"], events["side"] = turn + 1, turn % 2
    events["price_ticks"] = np.where(turn == 1, 3000, 1000) + step
    events["size"] = step + 1
    return events


@compiled
def write_and_pause(state, events, first, control, pauses):
    """Apply the events, then those from `first` on again and again, until told to stop; pause at the marked points."""
    begin = 0
    while atomics.load(control, 0, "relaxed") == 0:
        for i in range(begin, events.shape[0]):
            apply(state, events[i], None)
            publish(state, 0, pauses)
        begin = first
        atomics.store(control, 1, 1, "release")


def write(state, events, first, control, pauses):
    """Do as `write_and_pause`, by the variant's own `replay` where there are no pauses."""
    if pauses is not None:
        write_and_pause(state, events, first, control, pauses)
        return
    out, begin = np.zeros(len(events), BEST), 0
    try:
        while control[0] == 0:
            assert VARIANT.replay_from(state, events, out, begin, None) == len(events)
            begin = first
            control[1] = 1
    finally:
        control[1] = 1  # a reader that waits for the writer learns of its end


@numba.njit(nogil=True)
def wait_for_writer(control):
    """Wait until the writer has applied all events once: compiling it can take longer than all reads."""
    while atomics.load(control, 1, "acquire") == 0:
        sleep_us(20)


@numba.njit(nogil=True)
def goes_on(found, reads):
    """Count a read; say whether there are more: until `reads`, and until the writer was seen at work or is given up."""
    found[READS] += 1
    return found[READS] <= reads or (found[CHANGES] < LEAST_CHANGES and found[READS] < reads + MOST_READS)


@compiled
def watch_best(state, reads, control, found):
    """Check that bid and offer belong together."""
    wait_for_writer(control)
    last = -1
    while goes_on(found, reads):
        bid, bid_size, ask, ask_size, _retries = read_best(state, 0)
        whole = (bid == 0 and bid_size == 0) or bid_size == bid - 1000 + 1
        if ask != 0 or ask_size != 0:
            whole = whole and ask - 3000 == bid - 1000 and ask_size == bid_size
        found[TORN] += not whole
        found[CHANGES] += bid != last
        last = bid
    atomics.store(control, 0, 1, "release")


@compiled
def watch_carelessly(state, reads, control, found):
    """Look at the same words without the sequence: what the test must be able to notice."""
    wait_for_writer(control)
    last = -1
    while goes_on(found, reads):
        bid = atomics.load(state.published, BEST_BID, "relaxed")
        ask = atomics.load(state.published, BEST_ASK, "relaxed")
        found[TORN] += ask != 0 and (ask & 0x7FFFFFFF) - 3000 != (bid & 0x7FFFFFFF) - 1000
        found[CHANGES] += bid != last
        last = bid
    atomics.store(control, 0, 1, "release")


def race(watch, reads, one_core, pauses, events=None, first=0):
    """Run the writer and one reader; return what the reader found. `first` is the event from which on they repeat."""
    instance = VARIANT.build(orders=1024)
    control, found = np.zeros(8, np.int64), np.zeros(3, np.int64)
    prepared = VARIANT.kernel.prepare(both_sides_at_once() if events is None else events, instance.parameters)
    run_threads(
        [
            lambda: write(instance.state, prepared, first, control, pauses),
            lambda: watch(instance.state, reads, control, found),
        ],
        one_core,
    )
    return found


@core_sets()
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
def test_no_best_is_torn(one_core, paused):
    pauses = new_pauses(1, 4, 200) if paused else None
    found = race(watch_best, operations(20_000 if one_core else 200_000), one_core, pauses)
    assert found[TORN] == 0
    assert found[READS] > 1000 and found[CHANGES] >= LEAST_CHANGES
    assert pauses is None or pauses[PASSED] > LEAST_CHANGES


def one_side_after_the_other():
    """Return events that `_straight.run` does all alone: a better bid, the old one out, a better offer, the old out.

    The first two put a bid and an offer there; the rest can come again and again. A level of step `s` has the size
    ``s + 1``. Between two events the step of the offer is that of the bid or the one before, around the clock.
    """
    step = np.repeat(np.arange(1, STEPS + 1) % STEPS, 4)
    turn = np.tile(np.arange(4), STEPS)
    events = np.zeros(2 + 4 * STEPS, EVENT)
    events["kind"][:2] = Kind.ADD
    events["kind"][2:] = np.where(turn % 2, Kind.DELETE, Kind.ADD)
    events["side"][:2], events["side"][2:] = (0, 1), turn // 2
    events["order_id"][:2] = (1, STEPS + 1)
    events["order_id"][2:] = np.where(turn % 2, (step - 1) % STEPS, step) + 1 + STEPS * (turn // 2)
    events["price_ticks"][:2] = (1000, 3000)
    events["price_ticks"][2:] = np.where(turn // 2, 3000 - step, 1000 + step)
    events["size"][:2], events["size"][2:] = 1, step + 1
    return events


@compiled
def watch_steps(state, reads, control, found):
    """Check that the offer is of the bid's step or of the one before."""
    wait_for_writer(control)
    last = -1
    while goes_on(found, reads):
        bid, bid_size, ask, ask_size, _retries = read_best(state, 0)
        behind = (bid_size - ask_size) % STEPS
        whole = (bid == 999 + bid_size) & (ask == 3001 - ask_size)
        found[TORN] += not (whole and behind <= 1)
        found[CHANGES] += bid != last
        last = bid
    atomics.store(control, 0, 1, "release")


@core_sets()
def test_no_best_of_the_straight_loop_is_torn(one_core):
    # Both words are stored within a cycle or two: it takes this many reads to meet a writer without the sequence.
    reads = operations(20_000 if one_core else 300_000_000)
    found = race(watch_steps, reads, one_core, None, one_side_after_the_other(), 2)
    assert found[TORN] == 0
    assert found[READS] > 1000 and found[CHANGES] >= LEAST_CHANGES


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs two cores")
def test_a_careless_reader_would_be_noticed():
    found = race(watch_carelessly, 400_000, False, new_pauses(1, 1, 400))
    assert found[TORN] > 0


def orders_that_wander(orders=5):
    """Return events that move a few orders of known sizes to other prices: nothing is ever lost or doubled."""
    random = np.random.default_rng(4)
    events = np.zeros(2 * orders + CYCLE, EVENT)
    events["kind"][: 2 * orders] = Kind.ADD
    events["kind"][2 * orders :] = Kind.MODIFY
    events["order_id"][: 2 * orders] = np.arange(1, 2 * orders + 1)
    events["order_id"][2 * orders :] = random.integers(1, 2 * orders + 1, CYCLE)
    owner = (events["order_id"] - 1).astype(np.int64)
    events["side"] = owner % 2
    events["size"] = 1 << (owner // 2)
    # An order has prices of its own: two never meet on one level.
    events["price_ticks"] = 1000 + 1000 * (owner % 2) + owner // 2 + orders * random.integers(0, 40, len(events))
    return events


@compiled
def watch_depth(state, reads, control, found, levels, orders):
    """Check that each snapshot holds every order once, in the order of prices."""
    wait_for_writer(control)
    last = 0
    while goes_on(found, reads):
        read_depth(state, 0, levels)
        sequence = atomics.load(state.published, DEPTH_SEQUENCE, "relaxed")
        found[CHANGES] += sequence != last
        last = sequence
        for side in range(2):
            sizes = 0
            for i in range(orders):
                sizes |= levels[side, i, 1]
                if i > 0 and (levels[side, i, 0] > levels[side, i - 1, 0]) != (side == 1):
                    found[TORN] += 1
            if sizes != (1 << orders) - 1 or levels[side, orders, 1] != 0:
                found[TORN] += 1
    atomics.store(control, 0, 1, "release")


@core_sets()
def test_no_depth_is_torn(one_core):
    orders = DEPTH - 2
    events = orders_that_wander(orders)
    instance = VARIANT.build()
    lock_free.follow(instance.state, 0)
    control, found, levels = np.zeros(8, np.int64), np.zeros(3, np.int64), np.zeros((2, DEPTH, 2), np.int64)
    prepared = VARIANT.kernel.prepare(events, instance.parameters)
    reads = operations(20_000 if one_core else 100_000)
    run_threads(
        [
            lambda: write(instance.state, prepared, 2 * orders, control, new_pauses(2, 8, 100)),
            lambda: watch_depth(instance.state, reads, control, found, levels, orders),
        ],
        one_core,
    )
    assert found[TORN] == 0
    assert found[READS] > reads and found[CHANGES] >= LEAST_CHANGES
