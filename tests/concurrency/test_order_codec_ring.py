"""Several threads on the ring of the codec: every message is decoded once, whole, and in the order of its producer.

``WORKBENCH_STRESS_OPS`` sets how many messages each producer sends.
"""

import functools

import numpy as np
import pytest
from threads import compiled, core_sets, meet, operations, run_threads

import kernels
from kernels.machine import atomics
from kernels.machine.hints import pause, yield_core
from kernels.marked import PASSED, new_pauses
from kernels.order_codec._ring import claim, claim_marked, publish, release, take_next, take_next_marked
from kernels.order_codec.lock_free import decode, encode

pytestmark = [pytest.mark.concurrency]

CODEC = kernels.get("order_codec")
PRODUCERS, CONSUMERS = 2, 2


@compiled
def send(state, producer, messages, arrived, pauses):
    """Send orders whose fields all follow from the producer and a number."""
    meet(arrived, PRODUCERS + CONSUMERS, 1)
    for number in range(messages):
        at = claim_marked(state, pauses)
        tries = 0
        while at < 0:
            tries += 1
            pause() if tries % 64 else yield_core()
            at = claim_marked(state, pauses)
        encode(state, state.ring, at, number, 3 * number, np.uint64(number), np.uint64(producer), number & 0xFFFFFF,
               number & 0xFFFF, producer, number & 0xFFFF, number & 1, 1, 0, 1)  # fmt: skip
        publish(state, at)
    atomics.add(arrived, 1, 1, "release")


@compiled
def receive(state, last, counts, arrived, pauses):
    """Take messages until all were sent and the ring is empty; `counts` is received, torn, out of order."""
    meet(arrived, PRODUCERS + CONSUMERS, 1)
    tries = 0
    while True:
        all_sent = atomics.load(arrived, 1, "acquire") == PRODUCERS
        at = take_next_marked(state, pauses)
        if at < 0:
            if all_sent:
                return
            tries += 1
            pause() if tries % 64 else yield_core()
            continue
        order = decode(state, state.ring, at, at + 64)
        release(state, at)
        number, producer = order[1], order[7]
        counts[0] += 1
        counts[1] += (
            order[0] != at + 64 or order[2] != 3 * number or order[3] != number or order[4] != producer
            or order[5] != number & 0xFFFFFF or order[6] != number & 0xFFFF or order[8] != number & 0xFFFF
            or order[9] != number & 1
        )  # fmt: skip
        counts[2] += number <= last[producer]
        last[producer] = number
        counts[3] += number  # summed up: none lost, none doubled


@pytest.mark.slow
@core_sets()
@pytest.mark.parametrize("paused", [False, True], ids=["full-speed", "paused"])
def test_every_message_arrives_once_whole_and_in_order(paused, one_core):
    state = CODEC.variants["lock_free"].build(threads=1, batch=8).state
    assert len(state.ring) == 16 * 64
    messages = operations(5_000 if paused or one_core else 100_000)
    arrived, counts = np.zeros(8, np.int64), np.zeros((CONSUMERS, 8), np.int64)
    last = np.full((CONSUMERS, PRODUCERS), -1, np.int64)
    pauses = [new_pauses(seed, 4 if paused else 1 << 20, 200) for seed in range(PRODUCERS + CONSUMERS)]
    jobs = [functools.partial(send, state, i, messages, arrived, pauses[i]) for i in range(PRODUCERS)]
    jobs += [
        functools.partial(receive, state, last[i], counts[i], arrived, pauses[PRODUCERS + i]) for i in range(CONSUMERS)
    ]
    run_threads(jobs, one_core)
    assert counts[:, 0].sum() == PRODUCERS * messages
    assert not counts[:, 1:3].any() and not state.bad.any()
    assert counts[:, 3].sum() == PRODUCERS * messages * (messages - 1) // 2
    assert all(p[PASSED] > 0 for p in pauses)


@pytest.mark.slow
@core_sets()
def test_replays_of_several_threads_share_a_ring(one_core):
    from kernels.order_codec._messages import Messages, words

    orders = np.zeros(30_000, kernels.messages.ORDER)
    orders["order_id"], orders["size"] = np.arange(len(orders)), np.arange(len(orders)) % 5000
    orders["action"] = orders["order_type"] = 1
    rows = words(orders)
    rows.flags.writeable = False
    variant = CODEC.variants["lock_free"]
    instance = variant.build(threads=3, batch=16)
    out = np.zeros(rows.shape, np.uint64)
    shares = CODEC.shares(Messages(rows, np.zeros(1, np.int64)), out, instance.parameters)
    run_threads([functools.partial(variant.replay_from, instance.state, *share, 0, None) for share in shares], one_core)
    assert np.array_equal(out, rows)
    assert take_next(instance.state) == -1 and claim(instance.state) >= 0  # what it leaves is an empty ring


def test_a_full_ring_refuses_and_an_empty_one_has_nothing():
    state = CODEC.variants["lock_free"].build(batch=2).state
    slots = len(state.ring) // 64
    for _ in range(3):
        assert take_next(state) == -1
        claimed = [claim(state) for _ in range(slots)]
        assert sorted(claimed) == [64 * i for i in range(slots)] and claim(state) == -1
        assert take_next(state) == -1  # claimed, not published
        for at in claimed[::-1]:
            publish(state, at)
        taken = [take_next(state) for _ in range(slots)]
        assert taken == claimed and take_next(state) == -1
        assert claim(state) == -1  # taken, not released
        for at in taken:
            release(state, at)
