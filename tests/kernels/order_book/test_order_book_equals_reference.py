"""Every variant equals the reference after every message: output, counts of bad events, orders and depth."""

import importlib

import numpy as np
import pytest
import streams
from hypothesis import HealthCheck, given, settings

from kernels.messages import BAD_KINDS, MAX_LEVEL_SIZE, MAX_ORDER_SIZE, Bad, Kind
from kernels.order_book.reference import Reference

QUICK = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def module_of(variant):
    return importlib.import_module(f"kernels.order_book.{variant.name}")


def assert_equal(variant, events, symbols, **parameters):
    """Replay `events` in both and compare all that can be seen; return the instance and the reference."""
    reference = Reference(symbols=symbols)
    wanted = reference.replay(events)
    instance = variant.build(symbols=symbols, **parameters)
    found = variant.replay(instance, events)
    different = np.flatnonzero(found != wanted)
    assert not len(different), f"message {different[0]}: {found[different[0]]} is not {wanted[different[0]]}"
    assert instance.state.bad.tolist() == [reference.bad[Bad(kind)] for kind in range(BAD_KINDS)]
    if not variant.peer:
        for name, array in reference.export_state().items():
            assert np.array_equal(instance.export_state()[name], array), name
        for symbol in range(min(symbols, 8)):
            assert module_of(variant).best(instance.state, symbol) == reference.best(symbol)
            for side in (0, 1):
                for n in (0, 3, 10_000):
                    found_levels = module_of(variant).depth(instance.state, symbol, side, n).tolist()
                    assert found_levels == [list(level) for level in reference.depth(symbol, side, n)]
    return instance, reference


@given(events=streams.events_of_all_kinds)
@QUICK
def test_streams_with_bad_events_of_all_kinds(any_variant, events):
    assert_equal(any_variant, events, streams.SYMBOLS, orders=4, levels=1, window_ticks=64)


@pytest.mark.parametrize("window_ticks", [64, 256, 4096])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_price_walks_far_beyond_the_window(any_variant, seed, window_ticks):
    events = streams.walk(seed, 2500, symbols=2)
    assert_equal(any_variant, events, 2, levels=2, window_ticks=window_ticks)


def test_a_replayed_part_continues_where_the_last_one_ended(any_variant):
    events = streams.walk(7, 1500)
    wanted = Reference().replay(events)
    instance = any_variant.build()
    parts = [any_variant.replay(instance, part) for part in np.array_split(events, 7)]
    assert np.array_equal(np.concatenate(parts), wanted)


def test_each_bad_event_is_counted_under_the_first_check_it_fails(any_variant):
    full = MAX_LEVEL_SIZE // MAX_ORDER_SIZE
    filling = [streams.add(1000 + i, 50, MAX_ORDER_SIZE) for i in range(full)]
    cases = [
        ((0, 99, 9, 1, 1, -1, -1), Bad.KIND),
        ((11, 0, 0, 1, 1, 1, 1), Bad.KIND),
        ((Kind.ADD, 2, 9, 0, 0, 0, 0), Bad.SYMBOL),
        ((Kind.HALT, 65535, 0, 0, 0, 0, 0), Bad.SYMBOL),
        ((Kind.ADD, 0, 2, 0, 0, 0, 0), Bad.SIDE),
        ((Kind.ADD, 0, 0, 1, 0, 0, 0), Bad.PRICE),
        ((Kind.REPLACE, 0, 0, 99, 0, 2**30, 0), Bad.PRICE),
        ((Kind.MODIFY, 0, 0, 99, 0, -5, 1), Bad.PRICE),
        ((Kind.ADD, 0, 0, 1, 0, 7, 2**24), Bad.SIZE),
        ((Kind.CANCEL, 0, 0, 99, 0, 0, 0), Bad.SIZE),
        ((Kind.EXECUTE, 0, 0, 99, 0, 0, -1), Bad.SIZE),
        ((Kind.MODIFY, 0, 0, 99, 0, 7, 0), Bad.SIZE),
        ((Kind.DELETE, 0, 0, 99, 0, 0, 0), Bad.UNKNOWN_ID),
        ((Kind.DELETE, 0, 0, 0, 0, 0, 0), Bad.UNKNOWN_ID),
        ((Kind.DELETE, 1, 0, 1, 0, 0, 0), Bad.UNKNOWN_ID),  # the order is of symbol 0
        ((Kind.CANCEL, 1, 0, 1, 0, 0, 1), Bad.UNKNOWN_ID),
        ((Kind.REPLACE, 0, 0, 99, 0, 7, 1), Bad.UNKNOWN_ID),
        ((Kind.ADD, 0, 0, 0, 0, 7, 1), Bad.DUPLICATE_ID),
        ((Kind.ADD, 1, 1, 1, 0, 7, 1), Bad.DUPLICATE_ID),  # an id is one order in all books together
        ((Kind.REPLACE, 0, 0, 1, 0, 7, 1), Bad.DUPLICATE_ID),
        ((Kind.REPLACE, 0, 0, 1, 1, 7, 1), Bad.DUPLICATE_ID),
        ((Kind.REPLACE, 0, 0, 1, 1000, 7, 1), Bad.DUPLICATE_ID),
        ((Kind.CANCEL, 0, 0, 1, 0, 0, 11), Bad.OVER_SIZE),
        ((Kind.EXECUTE, 0, 0, 1, 0, 0, 11), Bad.OVER_SIZE),
        ((Kind.ADD, 0, 0, 2, 0, 50, MAX_ORDER_SIZE), Bad.LEVEL_FULL),
        ((Kind.MODIFY, 0, 0, 1, 0, 50, MAX_ORDER_SIZE), Bad.LEVEL_FULL),
        ((Kind.REPLACE, 0, 0, 1, 2, 50, MAX_ORDER_SIZE), Bad.LEVEL_FULL),
    ]
    events = streams.make([streams.add(1, 60, 10), *filling, *(row for row, _ in cases)])
    for end in range(1 + full, len(events)):
        one = any_variant.build(symbols=2)
        any_variant.replay(one, events[: 1 + full])
        any_variant.replay(one, events[end : end + 1])
        assert np.flatnonzero(one.state.bad).tolist() == [cases[end - 1 - full][1]], cases[end - 1 - full]
    assert_equal(any_variant, events, 2)
    # A full level may be left and come back to: the order that leaves makes the room.
    again = (Kind.MODIFY, 0, 0, 1000, 0, 50, MAX_ORDER_SIZE)
    _, reference = assert_equal(any_variant, streams.make([*filling, again]), 1)
    assert not reference.bad


def test_halts_and_trades_leave_the_book_alone(variant):
    rows = [streams.add(1, 10), (Kind.HALT, 1, 0, 0, 0, 0, 0), (Kind.TRADE, 0, 9, 1, 0, -1, 10**6)]
    instance, reference = assert_equal(variant, streams.make(rows), 2)
    assert instance.state.halted.tolist() == [0, 1] and not reference.bad
    variant.replay(instance, streams.make([(Kind.RESUME, 1, 0, 0, 0, 0, 0)]))
    assert instance.state.halted.tolist() == [0, 0]


@pytest.mark.parametrize("symbols", [512, 513, 65535])
def test_symbols_up_to_the_highest_number(any_variant, symbols):
    chosen = [0, 1, 255, 256, 511, symbols - 1]
    rows = [streams.add(10 * s + side + 1, 100 + side, 7, side, s) for s in chosen for side in (0, 1)]
    rows += [(Kind.CANCEL, s, 0, 10 * s + 1, 0, 0, 3) for s in chosen]
    rows += [streams.delete(10 * s + 2, (s + 1) % symbols) for s in chosen]  # of another symbol: refused
    rows += [streams.delete(10 * s + 2, s ^ 512) for s in chosen]  # differs in a high bit only: refused
    rows += [(Kind.CLEAR, s, 0, 0, 0, 0, 0) for s in chosen[3:]]
    assert_equal(any_variant, streams.make(rows), symbols, window_ticks=64, levels=1)


def test_clear_takes_the_orders_of_one_symbol_only(any_variant):
    events = streams.walk(5, 2000, symbols=3)
    clear = streams.make([(Kind.CLEAR, 1, 0, 0, 0, 0, 0)])
    assert_equal(any_variant, np.concatenate([events, clear, streams.walk(6, 500, symbols=3)]), 3, window_ticks=64)


@pytest.mark.data
def test_the_real_hour(any_variant):
    events = streams.lobster(streams.data_file("AAPL_2012-06-21_34200000_37800000_message_50.csv.gz"))
    assert len(events) == 91_997
    _, reference = assert_equal(any_variant, events, 1)
    assert reference.bad == {Bad.UNKNOWN_ID: 84}  # of orders that rested before the hour began


@pytest.mark.data
def test_ten_levels_equal_those_of_lobster_after_each_message(variant):
    """LOBSTER tells only what happens within ten levels: what comes into view from behind is put into the book anew."""
    messages = streams.lobster(streams.data_file("AAPL_2012-06-21_message_10_head.csv"))
    truth = np.loadtxt(streams.data_file("AAPL_2012-06-21_orderbook_10_head.csv"), delimiter=",", dtype=np.int64)
    truth = truth.reshape(len(messages), 10, 2, 2)[:, :, ::-1]  # asks come first there: [message, level, side, field]
    truth[..., 0] //= 100
    before = truth[0].copy()  # the book after the first message: without that order it is the one to begin with
    before[before[:, 0, 0] == messages["price_ticks"][0], 0, 1] -= messages["size"][0]
    view = View(variant)
    for side in (0, 1):
        view.see(side, before[before[:, side, 1] > 0, side])
    for i, message in enumerate(messages):
        view.name_the_seen_order(message)
        variant.replay(view.instance, messages[i : i + 1])
        for side, sign in ((0, -1), (1, 1)):
            behind = sign * (truth[i, :, side, 0] - truth[max(i - 1, 0), -1, side, 0]) > 0
            assert np.array_equal(view.levels(side)[: np.sum(~behind)], truth[i, ~behind, side]), f"message {i} {side}"
            if not np.array_equal(view.levels(side), truth[i, :, side]):
                view.forget(side, sign, truth[max(i - 1, 0), -1, side, 0])
                view.see(side, truth[i, behind, side])
            assert np.array_equal(view.levels(side), truth[i, :, side]), f"message {i} {side}"
    assert not view.instance.state.bad.any()
    assert 20 < view.next_id < 200  # most levels were known from their orders


class View:
    """A book, and the orders put into it that stand for a whole level that came into view."""

    def __init__(self, variant):
        self.variant, self.instance, self.next_id, self.seen = variant, variant.build(), 1, {}

    def levels(self, side):
        return module_of(self.variant).depth(self.instance.state, 0, side, 10)

    def see(self, side, levels):
        for price, size in levels:
            self.seen[side, int(price)] = self.next_id
            self.variant.replay(self.instance, streams.make([streams.add(self.next_id, price, size, side)]))
            self.next_id += 1

    def forget(self, side, sign, horizon):
        orders = self.instance.export_state()["orders"]
        hidden = orders[(orders["side"] == side) & (sign * (orders["price_ticks"].astype(np.int64) - horizon) > 0)]
        self.variant.replay(self.instance, streams.make([streams.delete(known) for known in hidden["order_id"]]))

    def name_the_seen_order(self, message):
        """Let a message about an order that is not known take its size out of the one that stands for its level."""
        if message["kind"] in (Kind.ADD, Kind.TRADE):
            return
        if message["order_id"] not in self.instance.export_state()["orders"]["order_id"]:
            message["order_id"] = self.seen[int(message["side"]), int(message["price_ticks"])]
            message["kind"] = Kind.CANCEL
