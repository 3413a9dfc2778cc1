"""ITCH bytes applied block by block leave every book as the reference is after the same events."""

import dataclasses
import random

import itch_oracle
import numpy as np
import pytest

import kernels
from kernels.catalog import Instance
from kernels.feeds.itch import ItchError, ItchFeed
from kernels.feeds.replay import replay_feed
from kernels.messages import BAD_KINDS, EVENT, Bad
from kernels.order_book.reference import Reference

BOOK = kernels.get("order_book")


@pytest.fixture(params=[name for name in BOOK.variants if name != "peer_hftbacktest"])
def variant(request):
    chosen = BOOK.variants[request.param]
    if chosen.missing():
        pytest.skip(f"{chosen.full_name} cannot run here: {chosen.missing()}")
    return chosen


@pytest.fixture(scope="module")
def stream():
    """Return bytes, their events, and what the reference makes of them."""
    source = random.Random(5)
    data = itch_oracle.framed([itch_oracle.message(source, orders=2000) for _ in range(6000)])
    oracle = itch_oracle.Oracle(data)
    events = np.array(oracle.events, [(name, EVENT[name]) for name in EVENT.names]).astype(EVENT)
    reference = Reference(symbols=5)
    return data, reference.replay(events), reference


@pytest.mark.parametrize("block", [1, 100, 2048])
def test_every_variant_equals_the_reference_and_grows(variant, stream, block):
    data, wanted, reference = stream
    instance, feed, out = variant.build(symbols=5, orders=1, levels=1), ItchFeed(block), np.zeros_like(wanted)
    third = len(data) // 3
    done = 0
    for chunk in (data[:third], data[third : third + 5], data[third + 5 :]):
        done += replay_feed(instance, feed, chunk, out[done:])
    feed.finish()
    assert done == len(wanted) and np.array_equal(out, wanted)
    assert instance.state.bad.tolist() == [reference.bad[Bad(kind)] for kind in range(BAD_KINDS)]
    assert len(reference.orders) > 100 and reference.bad[Bad.UNKNOWN_ID] > 100
    if not variant.peer:
        assert np.array_equal(instance.export_state()["orders"], reference.export_state()["orders"])


def test_without_out_the_book_is_the_same(stream):
    data, wanted, reference = stream
    instance = BOOK.variants["ladder"].build(symbols=5)
    assert replay_feed(instance, ItchFeed(64), data) == len(wanted)
    assert np.array_equal(instance.export_state()["orders"], reference.export_state()["orders"])


def test_an_instrumented_book_counts(stream):
    data, wanted, _ = stream
    instance = BOOK.variants["ladder"].build(symbols=5, instrumented=True)
    replay_feed(instance, ItchFeed(), data)
    assert instance.probe.histogram.sum() == len(wanted) and instance.counters()["refused"] > 0


def test_what_comes_before_the_damage_is_applied(stream):
    data, wanted, _ = stream
    instance = BOOK.variants["ladder"].build(symbols=5)
    out = np.zeros_like(wanted)
    feed = ItchFeed(64)
    with pytest.raises(ItchError, match=rf"at byte {len(data):,} stands type 'z'"):
        replay_feed(instance, feed, data + b"\0\x24z" + bytes(36), out)
    assert np.array_equal(out, wanted)


def test_wrong_use_is_told(stream):
    data, wanted, _ = stream
    variant = BOOK.variants["ladder"]
    with pytest.raises(ValueError, match="out has room for 7 events"):
        replay_feed(variant.build(symbols=5), ItchFeed(), data, np.zeros(7, wanted.dtype))
    copying = dataclasses.replace(variant)
    copying.kernel = dataclasses.replace(BOOK, prepare=lambda events, parameters: events.copy())
    instance = variant.build(symbols=5, orders=1)
    with pytest.raises(ValueError, match="order_book/ladder does not take events as a feed gives them"):
        replay_feed(Instance(copying, instance.parameters, instance.state, None), ItchFeed(), data)
    stuck = dataclasses.replace(variant, grow=None)
    stuck.kernel = BOOK
    with pytest.raises(RuntimeError, match=r"order_book/ladder stopped at event \d+ and cannot grow"):
        replay_feed(Instance(stuck, instance.parameters, instance.state, None), ItchFeed(), data)
