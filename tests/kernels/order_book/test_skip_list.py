"""The skip list with one thread at a time: its shape, its answers, and when a node may be used again."""

import numpy as np
import pytest
import streams

import kernels
from kernels.messages import MAX_LEVEL_SIZE
from kernels.order_book import _reclaim, _skip_list, skip_list
from kernels.order_book._apply import DONE, LEVEL_FULL, NO_ROOM
from kernels.order_book._reclaim import BAG, BAGS, FREE, KEY, LINK, POISON, SLOTS, TOTAL
from kernels.order_book._skip_list import ABSENT, HEIGHT, LAST_KEY, MAX_HEIGHT, NEXT, OWNERS, TAIL

VARIANT = kernels.get("order_book").variants["skip_list"]


def built(levels=64, symbols=1):
    return VARIANT.build(levels=levels, symbols=symbols).state


def change(state, key, amount, row=0, slot=0):
    return _skip_list.change(state, row, key, amount, slot, None, None)


def size(state, key, row=0, slot=0):
    return _skip_list.size_of(state, row, key, slot, None, None)


def records(state):
    return state.nodes.reshape(-1, 16)


def chain(state, row, level):
    """Return the nodes of a row on a level, from the best on; all links must be unmarked."""
    nodes, found = records(state), []
    link = int(nodes[row + 1, NEXT + level])
    while link >> 1 != TAIL:
        assert link & 1 == 0
        found.append(link >> 1)
        link = int(nodes[link >> 1, NEXT + level])
    return found


def linked(state, first):
    found = []
    while first:
        found.append(first)
        first = int(records(state)[first, LINK])
    return found


def check_shape(state):
    """Check what must hold of the nodes while no thread is at work: each is in one row, in one bag, or free."""
    nodes = records(state)
    rows = int(state.rows[0])
    assert nodes[TAIL, KEY] == LAST_KEY and not nodes[TAIL, NEXT : NEXT + MAX_HEIGHT].any()
    everywhere = list(range(rows + 1))
    for row in range(rows):
        lowest = chain(state, row, 0)
        keys = nodes[lowest, KEY]
        assert (np.diff(keys) < 0).all() and (nodes[lowest, TOTAL] > 0).all()
        assert (nodes[lowest, OWNERS] == 1).all()  # the inserter is done; who takes the node out is not there yet
        for level in range(1, MAX_HEIGHT):
            assert chain(state, row, level) == [node for node in lowest if nodes[node, HEIGHT] > level]
        everywhere += lowest
    free = linked(state, int(state.epoch[FREE]) & 0xFFFFFFFF)
    assert (nodes[free, KEY] == POISON).all() and (nodes[free, TOTAL] == POISON).all()
    everywhere += free
    slots = state.slots.reshape(SLOTS, -1)
    for slot in range(SLOTS):
        for bag in range(BAGS):
            everywhere += linked(state, int(slots[slot, BAG + bag]))
    assert sorted(everywhere) == list(range(len(nodes)))  # no node is lost and none is in two places


def test_the_shape_holds_through_a_day_of_trading():
    instance = VARIANT.build(symbols=2, levels=4)
    for part in np.array_split(streams.walk(31, 6000, symbols=2), 12):
        VARIANT.replay(instance, part)
        check_shape(instance.state)
    instance.reset()
    check_shape(instance.state)


def test_answers():
    state = built()
    assert change(state, 5, -1) == ABSENT and size(state, 5) == 0
    assert change(state, 5, 7) == DONE and size(state, 5) == 7
    assert change(state, 5, -8) == ABSENT and size(state, 5) == 7
    assert change(state, 5, MAX_LEVEL_SIZE - 6) == LEVEL_FULL and size(state, 5) == 7
    assert change(state, 5, MAX_LEVEL_SIZE - 7) == DONE and size(state, 5) == MAX_LEVEL_SIZE
    assert change(state, 5, -MAX_LEVEL_SIZE) == DONE and size(state, 5) == 0
    assert size(state, 5, row=1) == 0
    check_shape(state)


def test_nodes_are_used_again_and_again():
    state = built(levels=2)
    for i in range(5000):
        assert change(state, i % 7, 3) == DONE
        assert change(state, i % 7, -3) == DONE
    check_shape(state)


def test_full_means_full():
    state = built(levels=2)
    room = len(records(state)) - 3  # less the tail and two heads
    assert [change(state, key, 1) for key in range(room)] == [DONE] * room
    assert change(state, room, 1) == NO_ROOM
    assert change(state, 0, 1) == DONE  # a level that is there needs no node
    assert change(state, 1, -1) == DONE and change(state, room, 1) == DONE  # the node of the one is the other's
    check_shape(state)


def test_a_pinned_thread_keeps_the_node_that_it_is_on():
    state = built(levels=2)
    change(state, 50, 9)
    reader = 3
    _reclaim.pin(state, reader)
    node = chain(state, 0, 0)[0]
    change(state, 50, -9)
    for i in range(60):  # fewer than there are nodes: the reader must not be waited for
        change(state, 100 + i, 1), change(state, 100 + i, -1)
    _reclaim.try_advance(state), _reclaim.collect(state, 0)
    _reclaim.try_advance(state), _reclaim.collect(state, 0)
    assert records(state)[node, KEY] == 50  # it was taken out, but the reader may still look at it
    _reclaim.unpin(state, reader)
    _reclaim.relieve(state, 0)
    _reclaim.unpin(state, 0)
    assert records(state)[node, KEY] == POISON
    check_shape(state)


def test_the_epoch_waits_for_every_pinned_thread():
    state = built()
    epoch = int(state.epoch[_reclaim.EPOCH])
    _reclaim.pin(state, 1)
    assert _reclaim.try_advance(state)  # it has seen the present one
    assert not _reclaim.try_advance(state)
    _reclaim.pin(state, 2)
    _reclaim.unpin(state, 1)
    assert _reclaim.try_advance(state) and not _reclaim.try_advance(state)
    _reclaim.unpin(state, 2)
    assert _reclaim.try_advance(state) and state.epoch[_reclaim.EPOCH] == epoch + 3


def test_nodes_grow_with_the_book():
    instance = VARIANT.build(levels=1)
    before = len(records(instance.state))
    VARIANT.replay(instance, streams.make([streams.add(i, 100 + i) for i in range(1, before + 10)]))
    assert len(records(instance.state)) == 2 * before
    check_shape(instance.state)


def test_one_node_in_four_is_a_level_higher():
    state = built(levels=10_000)
    for key in range(10_000):
        change(state, key, 1)
    heights = records(state)[chain(state, 0, 0), HEIGHT]
    shares = [float((heights > level).mean()) for level in range(4)]
    assert shares[0] == 1
    assert shares[1:] == pytest.approx([1 / 4, 1 / 16, 1 / 64], rel=0.25)
    check_shape(state)


def test_readers_read_the_book():
    instance = VARIANT.build(symbols=2)
    rows = [streams.add(1, 90, 5, 0, 1), streams.add(2, 89, 6, 0, 1), streams.add(3, 110, 7, 1, 1)]
    VARIANT.replay(instance, streams.make(rows))
    state = instance.state
    assert skip_list.read_best(state, 0) == (0, 0, 0, 0, 0)
    assert skip_list.read_best(state, 1) == skip_list.read_best(state, 1, 5) == (90, 5, 110, 7, 0)
    prices, sizes = np.zeros(3, np.int64), np.zeros(3, np.int64)
    assert skip_list.read_depth(state, 1, 0, prices, sizes) == 2
    assert (prices.tolist(), sizes.tolist()) == ([90, 89, 0], [5, 6, 0])
    assert not state.slots.reshape(SLOTS, -1)[:, 0].any()  # nobody stays pinned
