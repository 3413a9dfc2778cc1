"""The steps that the pools do: out of the life of orders, for one thread and for several."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_model import KERNEL, add, make_events

from kernels.messages import EVENT, Kind
from kernels.order_pool._churn import NOBODY, lifetimes, most_at_once


def lives(rows):
    came, went = lifetimes(make_events(rows))
    return list(zip(came.tolist(), went.tolist(), strict=True))


def test_orders_come_and_go():
    assert lives([add(5), add(6), {"kind": Kind.DELETE, "order_id": 5}]) == [(0, 2), (1, 3)]
    executed = [{"kind": Kind.EXECUTE, "order_id": 5, "size": 4}, {"kind": Kind.CANCEL, "order_id": 5, "size": 6}]
    assert lives([add(5), *executed, add(6)]) == [(0, 2), (3, 4)]
    replaced = {"kind": Kind.REPLACE, "order_id": 5, "new_order_id": 7, "size": 3}
    assert lives([add(5), replaced, {"kind": Kind.EXECUTE, "order_id": 7, "size": 3}]) == [(0, 1), (1, 2)]
    assert lives([{"kind": Kind.DELETE, "order_id": 9}, add(5), {"kind": Kind.TRADE, "order_id": 5}]) == [(1, 3)]
    assert lives([]) == []


def test_ids_from_before_and_ids_that_come_again_are_left_out():
    assert lives([{"kind": Kind.EXECUTE, "order_id": 9, "size": 1}, add(9)]) == []
    assert lives([add(5), {"kind": Kind.DELETE, "order_id": 5}, add(5)]) == [(0, 1)]


def slow_lifetimes(events):
    """Do as `lifetimes`, order by order."""
    came, went, left, before = {}, {}, {}, set()
    for i, event in enumerate(events):
        kind, order_id = event["kind"], int(event["order_id"])
        if kind in (Kind.DELETE, Kind.REPLACE, Kind.CANCEL, Kind.EXECUTE):
            if order_id not in came:
                before.add(order_id)
            elif order_id in left:
                left[order_id] -= event["size"] if kind in (Kind.CANCEL, Kind.EXECUTE) else left[order_id]
                if left[order_id] <= 0:
                    went[order_id] = i
                    del left[order_id]
        if kind in (Kind.ADD, Kind.REPLACE):
            new = int(event["new_order_id"]) if kind == Kind.REPLACE else order_id
            if new not in came and new not in before:
                came[new], left[new] = i, int(event["size"])
    return [(at, went.get(order_id, len(events))) for order_id, at in came.items()]


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), length=st.integers(0, 60))
def test_lifetimes_are_those_of_a_slow_count(seed, length):
    random = np.random.default_rng(seed)
    events = np.zeros(length, EVENT)
    kinds = [Kind.ADD, Kind.ADD, Kind.CANCEL, Kind.DELETE, Kind.EXECUTE, Kind.REPLACE, Kind.TRADE]
    events["kind"] = random.choice(kinds, length)
    events["order_id"], events["size"] = random.integers(1, 30, length), random.integers(1, 6, length)
    adds = np.isin(events["kind"], [Kind.ADD, Kind.REPLACE])  # ids that come once
    fresh = np.arange(100, 100 + length)
    events["new_order_id"] = fresh
    events["order_id"][events["kind"] == Kind.ADD] = fresh[events["kind"] == Kind.ADD]
    others = np.flatnonzero(events["kind"] != Kind.ADD)
    for i in others:
        earlier = fresh[:i][adds[:i]]
        if len(earlier) and random.random() < 0.9:
            events["order_id"][i] = random.choice(earlier)
    assert list(zip(*map(np.ndarray.tolist, lifetimes(events)), strict=True)) == slow_lifetimes(events)


def random_orders(seed, length):
    random = np.random.default_rng(seed)
    rows, live = [], []
    for i in range(length):
        if live and random.random() < 0.48:
            rows.append({"kind": Kind.DELETE, "order_id": live.pop(int(random.integers(len(live))))})
        else:
            rows.append(add(i + 1))
            live.append(i + 1)
    return make_events(rows)


@pytest.mark.parametrize("pattern", ["pairs", "events"])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_order_takes_once_and_gives_back_later(pattern, threads):
    events = random_orders(1, 500)
    parameters = KERNEL.check_parameters({"pattern": pattern, "threads": threads})
    churn = KERNEL.prepare(events, parameters)
    orders = np.count_nonzero(events["kind"] == Kind.ADD)
    assert KERNEL.count_operations(churn) == orders == len(churn.held)
    shares = KERNEL.shares(churn, KERNEL.output(churn, parameters), parameters)
    assert [int(share.lane[0]) for share, _ in shares] == list(range(threads))
    seen = []
    for share, out in shares:
        assert len(out) == len(share.gives) == len(share.takes)
        takes = {int(order): i for i, order in enumerate(share.takes) if order != NOBODY}
        gives = {int(order): i for i, order in enumerate(share.gives) if order != NOBODY}
        assert takes.keys() == gives.keys() and all(takes[order] < gives[order] for order in takes)
        seen += takes
    assert sorted(seen) == list(range(orders))


def test_pairs_keep_the_pool_at_its_high_water_mark():
    events = random_orders(2, 400)
    by_pattern = {}
    for pattern in ("pairs", "events"):
        churn = KERNEL.prepare(events, KERNEL.check_parameters({"pattern": pattern}))
        by_pattern[pattern] = most_at_once(churn.gives, churn.takes)
        both = (churn.gives != NOBODY) & (churn.takes != NOBODY)
        assert both.any() == (pattern == "pairs")
        alone = np.count_nonzero((churn.gives == NOBODY) & (churn.takes != NOBODY))
        assert pattern == "events" or alone == by_pattern[pattern]
    assert by_pattern["pairs"] == by_pattern["events"]


def test_the_pool_is_made_as_large_as_the_stream_needs():
    events = make_events([add(i + 1) for i in range(5000)])
    assert KERNEL.parameters_for(events) == {"slots": 5000}
    assert KERNEL.parameters_for(events[:10]) == {"slots": 4096}


def test_what_are_no_events_is_told():
    for wrong in (np.zeros(3), np.zeros((2, 2), EVENT), [1]):
        with pytest.raises(ValueError, match="must be a one-dimensional array"):
            KERNEL.prepare(wrong, KERNEL.check_parameters({}))
