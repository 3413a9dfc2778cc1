"""The state of the book: growth, snapshots, hand-over between variants, what the probe counts, what stays untouched."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import streams
from streams import BOOK, OURS

from kernels.messages import EVENT, MAX_LEVEL_SIZE, MAX_ORDER_SIZE, Kind
from kernels.order_book import _columns
from kernels.order_book._apply import LIMIT, LIVE
from kernels.order_book.reference import Reference

ROOT = Path(__file__).parents[3]


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in ("orders", "bad", "halted"))


def many_orders(n, symbols=1, spread=5000, seed=0):
    random = np.random.default_rng(seed)
    events = np.zeros(n, EVENT)
    events["kind"], events["size"] = Kind.ADD, random.integers(1, 100, n)
    events["order_id"] = random.permutation(np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    events["price_ticks"] = random.integers(10_000, 10_000 + spread, n)
    events["symbol"], events["side"] = random.integers(0, symbols, n), random.integers(0, 2, n)
    return events


def test_tables_and_levels_grow_and_nothing_is_lost(variant):
    events = many_orders(3000, symbols=3)
    instance = variant.build(symbols=3, orders=1, levels=1, window_ticks=64)
    few = instance.state.control[LIMIT]
    reference = Reference(symbols=3)
    assert np.array_equal(variant.replay(instance, events), reference.replay(events))
    assert instance.state.control[LIVE] == 3000 <= instance.state.control[LIMIT] > few
    gone = events.copy()
    gone["kind"] = Kind.DELETE
    assert np.array_equal(variant.replay(instance, gone[::-1]), reference.replay(gone[::-1]))
    assert instance.state.control[LIVE] == 0 and len(instance.export_state()["orders"]) == 0


def test_a_large_table_is_filled_further_than_a_small_one():
    slots = _columns.slots_for(2_800_000)
    assert slots == 2**22 and _columns.limit_of(slots) >= 2_800_000
    assert _columns.slots_for(4096) == 16384


def test_ids_that_share_a_slot_stay_apart(variant):
    instance = variant.build(orders=32)
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)  # ids whose hash is a small number: all of them begin in slot 0
    ids = [i * inverse % 2**64 for i in range(1, 30)] + [(2**64 - i) * inverse % 2**64 for i in range(1, 4)]
    random = np.random.default_rng(3)
    rows = [streams.add(order_id, 10 + i) for i, order_id in enumerate(ids)]
    for _ in range(300):
        order_id = ids[random.integers(len(ids))]
        rows.append(streams.delete(order_id) if random.random() < 0.5 else streams.add(order_id, 5))
    reference = Reference()
    events = streams.make(rows)
    assert np.array_equal(variant.replay(instance, events), reference.replay(events))
    assert same(instance.export_state(), reference.export_state())


def test_reset_empties_everything(variant):
    events = streams.walk(11, 2500, symbols=2)
    instance = variant.build(symbols=2, window_ticks=64)
    first = variant.replay(instance, events)
    instance.reset()
    assert same(instance.export_state(), Reference(symbols=2).export_state())
    assert np.array_equal(variant.replay(instance, events), first)


def test_a_snapshot_brings_the_book_back(variant):
    events = streams.walk(12, 3000)
    instance = variant.build(window_ticks=64)
    variant.replay(instance, events[:1500])
    kept, then = instance.snapshot(), instance.export_state()
    after = variant.replay(instance, events[1500:])
    instance.restore(kept)
    assert same(instance.export_state(), then)
    assert np.array_equal(variant.replay(instance, events[1500:]), after)


def test_a_snapshot_comes_back_after_the_book_has_grown(variant):
    instance = variant.build(orders=32, levels=2, window_ticks=64)
    variant.replay(instance, many_orders(20, spread=2))
    kept, then = instance.snapshot(), instance.export_state()
    variant.replay(instance, many_orders(500, seed=1)[100:])
    instance.restore(kept)
    assert same(instance.export_state(), then)


@pytest.mark.parametrize(("giver", "taker"), list(itertools.product(OURS, OURS)))
def test_any_variant_goes_on_where_another_one_stopped(giver, taker):
    events = streams.walk(13, 3000, symbols=2)
    events["kind"][700] = Kind.HALT
    reference = Reference(symbols=2)
    wanted = reference.replay(events)
    first = BOOK.variants[giver].build(symbols=2, window_ticks=64)
    second = BOOK.variants[taker].build(symbols=2, orders=1, levels=1)
    BOOK.variants[taker].replay(second, streams.walk(99, 300, symbols=2))  # what was there before goes
    BOOK.variants[giver].replay(first, events[:1500])
    second.import_state(first.export_state())
    assert np.array_equal(BOOK.variants[taker].replay(second, events[1500:]), wanted[1500:])
    assert same(second.export_state(), reference.export_state())


def broken(**changes):
    """Return a canonical state of two orders with `changes` to the second one."""
    reference = Reference()
    reference.replay(streams.make([streams.add(1, 10, 5), streams.add(2, 11, 5)]))
    canonical = reference.export_state()
    for name, value in changes.items():
        canonical["orders"][name][1] = value
    return canonical


@pytest.mark.parametrize(
    ("canonical", "words"),
    [
        (broken(order_id=1), "same id"),
        (broken(order_id=0), "id 0"),
        (broken(price_ticks=0), "out of range"),
        (broken(size=MAX_ORDER_SIZE + 1), "out of range"),
        (broken(side=2), "out of range"),
        (broken(symbol=1), "this book has 1"),
        ({}, "'orders' is not there"),
        ({**broken(), "bad": np.zeros(3, np.int64)}, "9 counts"),
        ({**broken(), "halted": np.zeros(2, np.uint8)}, "this book has 1"),
    ],
)
def test_a_canonical_state_that_no_book_can_hold_changes_nothing(variant, canonical, words):
    instance = variant.build()
    variant.replay(instance, streams.make([streams.add(9, 99)]))
    before = instance.export_state()
    with pytest.raises(ValueError, match=words):
        instance.import_state(canonical)
    assert same(instance.export_state(), before)


def test_a_canonical_level_that_is_too_full_is_refused(variant):
    full = MAX_LEVEL_SIZE // MAX_ORDER_SIZE + 1
    canonical = Reference().export_state()
    canonical["orders"] = np.zeros(full, canonical["orders"].dtype)
    for name, values in (("order_id", np.arange(1, full + 1)), ("price_ticks", 7), ("size", MAX_ORDER_SIZE)):
        canonical["orders"][name] = values
    with pytest.raises(ValueError, match="sums to more"):
        variant.build().import_state(canonical)


def test_the_probe_counts_what_happened():
    rows = [streams.add(i, 100 + 10 * i) for i in range(1, 6)] + [streams.add(9, 1), streams.add(3, 5)]
    events = streams.make(rows)
    baseline = BOOK.variants["baseline"].build(instrumented=True)
    BOOK.variants["baseline"].replay(baseline, events)
    assert baseline.counters()["levels_moved"] == 5  # the price 1 goes below five levels
    assert baseline.counters()["refused"] == 1
    for name in ("ladder", "simd", "aligned"):
        ladder = BOOK.variants[name].build(instrumented=True, window_ticks=64)
        BOOK.variants[name].replay(ladder, events)
        counted = ladder.counters()
        # The window of 64 ticks comes to 110 and reaches up to 125: 130, 140, 150 spill, which makes it follow, and 1.
        assert (counted["recentred"], counted["spilled"], counted["refused"]) == (2, 4, 1)
        assert counted["probes"] >= len(events)
    assert baseline.probe.histogram.sum() == ladder.probe.histogram.sum() == len(events)


def test_the_instrumented_book_does_the_same(variant):
    events = streams.walk(14, 3000)
    instance = variant.build(instrumented=True, window_ticks=64, orders=8, levels=1)
    assert np.array_equal(variant.replay(instance, events), Reference().replay(events))
    assert instance.probe.histogram.sum() == len(events)


@pytest.mark.parametrize("name", ["ladder", "simd", "aligned"])
def test_moving_the_window_stays_cheap_on_a_hostile_stream(name):
    """The best price jumps to and fro over a deep book; each move of the window must be paid for by many events."""
    deep = [streams.add(i, 10_000 + 2 * i) for i in range(1, 400)]
    jumps = []
    for i in range(3000):
        jumps += [streams.add(10_000 + i, 60_000 + 1_000 * (i % 7)), streams.delete(10_000 + i)]
    events = streams.make(deep + jumps)
    instance = BOOK.variants[name].build(instrumented=True, window_ticks=64)
    assert np.array_equal(BOOK.variants[name].replay(instance, events), Reference().replay(events))
    counted = instance.counters()
    assert counted["recentred"] < len(jumps) / 4
    assert counted["levels_moved"] < 40 * len(events)


@pytest.mark.parametrize("name", ["ladder", "simd", "aligned"])
def test_the_window_follows_a_market_that_walks_away(name):
    rows = []
    for i in range(1, 20_000):
        rows += [streams.add(i, 10_000 + i // 2, 1, i % 2)] + ([streams.delete(i - 20)] if i > 20 else [])
    instance = BOOK.variants[name].build(instrumented=True, window_ticks=256)
    BOOK.variants[name].replay(instance, streams.make(rows))
    assert instance.counters()["spilled"] < len(rows) / 10


def test_replay_allocates_nothing(variant):
    instance = variant.build(window_ticks=64)
    events = BOOK.prepare(streams.walk(15, 2000), instance.parameters)
    out = variant.replay(instance, events)
    code = "".join(function.inspect_asm(function.signatures[0]) for function in [_compiled_here(variant)])
    assert "NRT_" not in code and "replay" in code
    counts = [sys.getrefcount(array) for array in instance.state]
    for _ in range(20):
        instance.reset()
        variant.replay_from(instance.state, events, out, 0, None)
    assert [sys.getrefcount(array) for array in instance.state] == counts


def _compiled_here(variant):
    """Return `replay`, compiled in this process: what comes from the disk cache cannot be inspected."""
    import numba

    from kernels._jit import OPTIONS

    function = numba.njit(**{**OPTIONS, "_nrt": False})(variant.replay_from.py_func)
    instance = variant.build()
    events = BOOK.prepare(streams.make([]), instance.parameters)
    function(instance.state, events, BOOK.output(events, {}), 0, None)
    return function


def test_events_are_checked_at_the_border(variant):
    instance = variant.build()
    with pytest.raises(ValueError, match="one-dimensional array of kernels"):
        BOOK.prepare(np.zeros(3), instance.parameters)
    joined = np.concatenate([streams.make([streams.add(1, 5)]), streams.make([streams.add(2, 6)])])
    assert joined.dtype.itemsize != EVENT.itemsize  # NumPy drops the padding
    assert variant.replay(instance, joined)["bid_ticks"].tolist() == [5, 6]


def test_a_window_is_a_power_of_two():
    with pytest.raises(ValueError, match="window_ticks must be a power of two, not 100"):
        BOOK.variants["ladder"].build(window_ticks=100)


def test_a_read_only_recording_needs_no_other_code(variant, tmp_path):
    np.save(tmp_path / "events.npy", streams.walk(16, 200))
    instance = variant.build()
    variant.replay(instance, streams.walk(16, 200))
    compiled = len(variant.replay_from.signatures)
    instance.reset()
    variant.replay(instance, np.load(tmp_path / "events.npy", mmap_mode="r"))
    assert len(variant.replay_from.signatures) == compiled


def test_parameters_come_from_the_symbols_alone():
    assert BOOK.parameters_for(streams.walk(1, 50, symbols=3)) == {"symbols": 3}
    assert BOOK.parameters_for(streams.make([])) == {"symbols": 1}


def test_the_peer_has_no_state_protocol_and_says_so():
    peer = BOOK.variants["peer_std_map"]
    if peer.missing():
        pytest.skip(peer.missing())
    with pytest.raises(ValueError, match="no export_state"):
        peer.build().export_state()


def test_the_peer_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RuntimeError, match=r"there is no g\+\+: install it"):
        BOOK.variants["peer_std_map"].build()


# What the book adds to the process. A level of the skip list is a node of two cache lines, and is kept until
# no thread can see it.
LITTLE_BYTES = dict.fromkeys(OURS, 110_000_000) | {"skip_list": 190_000_000}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("name", OURS)
def test_64_symbols_with_many_orders_take_little_memory(name):
    script = Path(__file__).with_name("memory_of_64_symbols.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script, name], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < LITTLE_BYTES[name]  # beside the 100 MB or so of Python, NumPy and Numba
