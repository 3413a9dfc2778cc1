"""What `lock_free` publishes, with one thread: the book after each message, and nothing that does not show."""

import numpy as np
import pytest
import streams

import kernels
from kernels.messages import Kind
from kernels.order_book import _published, _straight, lock_free
from kernels.order_book._published import ALWAYS, DEPTH
from kernels.order_book.reference import Reference

VARIANT = kernels.get("order_book").variants["lock_free"]
WORDS = 1 << _published.SYMBOL_SHIFT


def published_depth(state, symbol):
    levels = np.full((2, DEPTH, 2), -7, np.int64)
    retries = lock_free.read_depth(state, symbol, levels)
    return retries, levels


def reference_depth(reference, symbol):
    levels = np.zeros((2, DEPTH, 2), np.int64)
    for side in (0, 1):
        for i, level in enumerate(reference.depth(symbol, side, DEPTH)):
            levels[side, i] = level
    return levels


def stream_of_all_kinds():
    """A walk with bad events, reprices, and a clear of each symbol."""
    events = streams.walk(21, 1500, symbols=3, step=15)
    events["kind"][500::333] = Kind.CLEAR
    events["symbol"][700::97] = 3  # of no symbol: refused
    events["size"][350::41] = 0
    return events


def test_readers_see_what_the_reference_has_after_each_message():
    events = stream_of_all_kinds()
    reference, instance = Reference(symbols=3), VARIANT.build(symbols=3, window_ticks=64, levels=1, orders=4)
    for symbol in (0, 2):
        lock_free.follow(instance.state, symbol)
    seen = set()
    for i in range(len(events)):
        wanted = reference.replay(events[i : i + 1])
        assert np.array_equal(VARIANT.replay(instance, events[i : i + 1]), wanted)
        seen.add(int(events["symbol"][i]))
        for symbol in range(3):
            assert lock_free.read_best(instance.state, symbol) == (*reference.best(symbol), 0)
        for symbol in {0, 2} & seen:
            retries, levels = published_depth(instance.state, symbol)
            if retries == 0:
                assert np.array_equal(levels, reference_depth(reference, symbol)), f"message {i}, symbol {symbol}"
            else:
                assert not any(reference.best(symbol))  # no message changed it yet
    assert published_depth(instance.state, 1)[0] == -1  # nobody follows it


def test_readers_see_what_the_straight_loop_leaves():
    """Calls of many messages, and behind them trades of another symbol: those, at the end of a call, go another way."""
    reference, instance = Reference(symbols=4), VARIANT.build(symbols=4)
    rest = streams.make([(Kind.TRADE, 3, 0, 0, 0, 0, 0)] * int(_straight.AHEAD))
    for symbol in (0, 2):
        lock_free.follow(instance.state, symbol)
    for events in np.split(streams.walk(22, 1500, symbols=3, step=2), 50):
        wanted = reference.replay(np.concatenate([events, rest]))
        assert np.array_equal(VARIANT.replay(instance, np.concatenate([events, rest])), wanted)
        for symbol in range(3):
            assert lock_free.read_best(instance.state, symbol) == (*reference.best(symbol), 0)
        for symbol in (0, 2):
            _retries, levels = published_depth(instance.state, symbol)
            assert np.array_equal(levels, reference_depth(reference, symbol))


def test_a_symbol_that_keeps_changing_is_shown_every_few_messages():
    instance, turns = VARIANT.build(), 10
    count = turns * int(_straight.TURN) + int(_straight.AHEAD)
    VARIANT.replay(instance, streams.make([streams.add(1, 1000)]))
    before = instance.state.published[_published.BEST_SEQUENCE]
    VARIANT.replay(instance, streams.make([streams.add(2 + i, 1000) for i in range(count)]))
    written = (instance.state.published[_published.BEST_SEQUENCE] - before) // 2
    assert turns <= written - int(_straight.AHEAD) <= turns + 1  # the last ones each by themselves


def test_a_follower_that_has_come_as_far_as_one_side_gets_both():
    instance = VARIANT.build()
    VARIANT.replay(instance, streams.make([streams.add(1, 100), streams.add(2, 110, side=1)]))
    instance.state.depth_floor[0] = ALWAYS  # the first half of `follow`, then an event, then the rest
    VARIANT.replay(instance, streams.make([streams.add(3, 101)]))
    lock_free.follow(instance.state, 0)
    retries, levels = published_depth(instance.state, 0)
    assert retries == 0 and levels[0, :2].tolist() == [[101, 1], [100, 1]] and levels[1, 0].tolist() == [110, 1]


def test_following_in_the_middle_brings_both_sides_with_the_next_change():
    instance = VARIANT.build()
    reference = Reference()
    first = streams.make([streams.add(1, 90, 5), streams.add(2, 110, 6, side=1)])
    second = streams.make([streams.add(3, 91, 7)])
    VARIANT.replay(instance, first)
    lock_free.follow(instance.state, 0)
    retries, levels = published_depth(instance.state, 0)
    assert retries == -1 and (levels == -7).all()  # nothing is written before there is something
    VARIANT.replay(instance, second)
    reference.replay(first), reference.replay(second)
    lock_free.follow(instance.state, 0)  # again: changes nothing
    retries, levels = published_depth(instance.state, 0)
    assert retries == 0 and np.array_equal(levels, reference_depth(reference, 0))


def test_only_what_shows_is_written():
    instance = VARIANT.build(symbols=2)
    lock_free.follow(instance.state, 1)
    rows = [streams.add(1 + i, 100 - i, 5, 0, 1) for i in range(DEPTH)] + [streams.add(20, 110, 5, 1, 1)]
    VARIANT.replay(instance, streams.make(rows))
    words = instance.state.published
    assert not words[:WORDS].any()  # the other symbol's lines
    before = words.copy()
    VARIANT.replay(instance, streams.make([streams.add(30, 50, 9, 0, 1), streams.delete(30, 1), streams.delete(77, 1)]))
    assert np.array_equal(words, before)
    VARIANT.replay(instance, streams.make([streams.add(31, 98, 9, 0, 1)]))  # below the best, within the depth
    assert words[WORDS + _published.BEST_SEQUENCE] == before[WORDS + _published.BEST_SEQUENCE]
    assert words[WORDS + _published.DEPTH_SEQUENCE] == before[WORDS + _published.DEPTH_SEQUENCE] + 2
    VARIANT.replay(instance, streams.make([streams.add(32, 100, 9, 0, 1)]))
    assert words[WORDS + _published.BEST_SEQUENCE] == before[WORDS + _published.BEST_SEQUENCE] + 2


def test_each_symbol_has_whole_cache_lines():
    published = VARIANT.build(symbols=3).state.published
    assert published.ctypes.data % 64 == 0 and WORDS * 8 % 64 == 0
    assert _published.DEPTH_SEQUENCE % 8 == 0 and (_published.DEPTH_BIDS + DEPTH) % 8 == 0
    assert _published.DEPTH_ASKS == _published.DEPTH_BIDS + (1 << _published.SIDE_SHIFT)


def test_a_reader_keeps_its_place_when_the_book_grows():
    instance = VARIANT.build(orders=1, levels=1, window_ticks=64)
    held_by_reader = instance.state
    reference, events = Reference(), streams.walk(5, 1000)
    reference.replay(events)
    VARIANT.replay(instance, events)
    assert instance.state.order_entry is not held_by_reader.order_entry
    assert lock_free.read_best(held_by_reader, 0) == (*reference.best(0), 0)


def test_readers_see_a_reset_and_an_import():
    instance = VARIANT.build()
    lock_free.follow(instance.state, 0)
    VARIANT.replay(instance, streams.make([streams.add(1, 90, 5), streams.add(2, 110, 6, side=1)]))
    canonical = instance.export_state()
    sequence = instance.state.published[_published.BEST_SEQUENCE]
    instance.reset()
    assert lock_free.read_best(instance.state, 0) == (0, 0, 0, 0, 0)
    assert published_depth(instance.state, 0)[0] == 0 and not published_depth(instance.state, 0)[1].any()
    assert instance.state.published[_published.BEST_SEQUENCE] > sequence  # it never goes back under a reader
    instance.import_state(canonical)
    assert lock_free.read_best(instance.state, 0) == (90, 5, 110, 6, 0)
    assert published_depth(instance.state, 0)[1][:, 0].tolist() == [[90, 5], [110, 6]]


@pytest.mark.parametrize("name", ["read_best", "publish"])
def test_every_access_to_a_published_word_is_atomic(name):
    """Plain loads and stores would be a data race in the memory model, whatever x86-64 makes of them."""
    import numba

    from kernels._jit import OPTIONS

    instance = VARIANT.build()
    arguments = (instance.state, 0) if name == "read_best" else (instance.state, 0, None)
    function = numba.njit(**{**OPTIONS, "_nrt": False})(getattr(_published, name).py_func)
    function(*arguments)
    code = function.inspect_llvm(function.signatures[0])
    fences = {"read_best": "fence acquire", "publish": "fence release"}
    assert fences[name] in code
    assert code.count("load atomic") >= (4 if name == "read_best" else 3)
    if name == "publish":
        assert code.count("store atomic") >= 4
        assert "store atomic i64" in code and "release" in code
