"""The same messages as bytes of an ITCH stream: the same orders; damaged and cut bytes are counted."""

import numpy as np
import pytest
import streams
from pipelines import EAGER, TICK, market, tally_of

from kernels.feeds.itch import ItchFeed
from kernels.feeds.replay import replay_feed
from kernels.messages import EVENT, Kind
from kernels.tick_to_order._decode import count_messages, itch_of
from kernels.tick_to_order._layout import CHECKSUM, TAKEN

COMBINED = TICK.variants["combined"]


def parsed(data):
    """Return the events that the feed of `kernels.feeds` makes of the bytes."""
    feed, blocks = ItchFeed(cents=False), []
    feed.push(data)
    while count := feed.pull():
        blocks.append(feed.events[:count].copy())
    feed.finish()
    return np.concatenate(blocks)


def all_that_itch_says():
    """Return one event of each kind that ITCH has a message for, all their fields set."""
    ids = st = np.arange(1, 9, dtype=np.uint64)
    events = np.zeros(8, EVENT)
    kinds = [Kind.ADD, Kind.CANCEL, Kind.DELETE, Kind.EXECUTE, Kind.TRADE, Kind.REPLACE, Kind.HALT, Kind.RESUME]
    events["kind"], events["timestamp_ns"] = kinds, 2**47 + np.arange(8)
    events["order_id"], events["new_order_id"] = ids + np.uint64(2**63), st + np.uint64(2**40)
    events["price_ticks"], events["size"], events["side"] = np.arange(8) - 2**30, np.arange(8) + 70_000, 1
    return events


def test_bytes_say_what_the_events_say():
    events = all_that_itch_says()
    found = parsed(itch_of(events))
    assert count_messages(itch_of(events)) == len(found) == 8
    has = {
        "kind": list(Kind),
        "timestamp_ns": list(Kind),
        "order_id": [Kind.ADD, Kind.CANCEL, Kind.DELETE, Kind.EXECUTE, Kind.TRADE, Kind.REPLACE],
        "new_order_id": [Kind.REPLACE],
        "price_ticks": [Kind.ADD, Kind.TRADE, Kind.REPLACE],
        "size": [Kind.ADD, Kind.CANCEL, Kind.EXECUTE, Kind.TRADE, Kind.REPLACE],
        "side": [Kind.ADD, Kind.TRADE],
    }
    for name, kinds in has.items():
        rows = np.isin(events["kind"], kinds)
        assert found[name][rows].tolist() == events[name][rows].tolist(), name


@pytest.mark.parametrize(
    ("field", "value"), [("kind", 11), ("kind", int(Kind.CLEAR)), ("side", 2), ("timestamp_ns", 2**48)]
)
def test_what_itch_cannot_say_is_refused(field, value):
    events = all_that_itch_says()
    events[field][0] = value
    with pytest.raises(ValueError, match="feed=records"):
        itch_of(events)
    with pytest.raises(ValueError, match="feed=records"):
        TICK.prepare(events, TICK.check_parameters({"feed": "itch"}))


@pytest.mark.slow
def test_itch_makes_the_orders_that_records_make():
    events = market(21, 3000)
    records, itch = (COMBINED.build(symbols=3, feed=feed, **EAGER) for feed in ("records", "itch"))
    wanted = COMBINED.replay(records, events)
    data = TICK.prepare(events, itch.parameters)
    assert TICK.count_operations(data) == 3000 and data.dtype == np.uint8 and TICK.length(data) == len(data)
    found = COMBINED.replay(itch, data)
    sent = int(records.state.gateway[TAKEN])
    assert sent > 100 and np.array_equal(found[:sent], wanted[:sent]) and not found[sent:]["order_id"].any()
    assert np.array_equal(records.state.tally, itch.state.tally)
    itch.reset()
    assert np.array_equal(COMBINED.replay(itch, data), found)

    # Blocks of a feed, which parses for itself, through a pipeline of records.
    records.reset()
    assert replay_feed(records, ItchFeed(cents=False), with_locates_in_order(data, events)) == 3000
    assert records.state.gateway[CHECKSUM] == itch.state.gateway[CHECKSUM] and records.state.gateway[TAKEN] == sent


def with_locates_in_order(data, events):
    """Return `data`, whose symbols come in the order of their numbers, as a feed numbers them."""
    first = [int(np.flatnonzero(events["symbol"] == symbol)[0]) for symbol in range(3)]
    if first != sorted(first):
        pytest.fail("choose a seed whose symbols come in order")
    return data


@pytest.mark.slow
def test_damaged_and_cut_bytes_are_counted():
    events = streams.make([streams.add(1, 100), streams.add(2, 110, side=1), streams.add(3, 101)])
    data = itch_of(events)
    length = len(data) // 3
    instance = COMBINED.build(feed="itch")
    COMBINED.replay(instance, data[:-5].copy())
    assert tally_of(instance) | {"messages": 2, "faults": 0, "unread": length - 5} == tally_of(instance)
    broken = data.copy()
    broken[length + 2] = ord("z")
    instance.reset()
    COMBINED.replay(instance, broken)
    assert tally_of(instance) | {"messages": 1, "faults": 1, "unread": 2 * length} == tally_of(instance)
    instance.reset()
    COMBINED.replay(instance, data)  # a fault is of one call
    assert tally_of(instance) | {"messages": 3, "faults": 0, "unread": 0} == tally_of(instance)
