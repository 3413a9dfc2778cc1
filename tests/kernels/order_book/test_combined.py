"""The straight loop of `combined` on streams that reach it: a call's last events go another way."""

import numpy as np
import pytest
import streams
from hypothesis import HealthCheck, given, settings
from test_order_book_equals_reference import assert_equal

from kernels._jit import kernel_jit
from kernels.messages import BEST, EVENT, Kind
from kernels.order_book import _straight
from kernels.order_book._apply import LIMIT, LIVE, PROBES
from kernels.order_book.reference import Reference

VARIANT = streams.BOOK.variants["combined"]
MANY = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def padded(events):
    """Return `events` and behind them trades, which change nothing, so that the loop reaches all of `events`."""
    longer = np.zeros(len(events) + int(_straight.AHEAD), EVENT)
    longer["kind"] = Kind.TRADE
    longer[: len(events)] = events
    return longer


@given(events=streams.events_of_all_kinds)
@MANY
def test_streams_with_bad_events_of_all_kinds(events):
    assert_equal(VARIANT, padded(events), streams.SYMBOLS, orders=4, levels=1, window_ticks=64)


@given(events=streams.events_of_all_kinds)
@MANY
def test_streams_in_a_book_of_more_symbols_than_the_packed_order_has_bits_for(events):
    events["symbol"] *= np.uint16(512)  # 0, 512, 1024: alike in the packed order; then one that is not there
    assert_equal(VARIANT, padded(events), 1025, orders=4, levels=1, window_ticks=64)


@pytest.mark.parametrize("symbols", [1, 600])
def test_ids_that_share_a_slot(symbols):
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)  # times this, small numbers are ids that all begin in slot 0
    rows = []
    for step in range(400):
        number = step % 23 + 1
        order_id, symbol = number * inverse % 2**64, (number * 67) % symbols
        if (step // 23) % 2 == 0:
            rows.append((Kind.ADD, symbol, number % 2, order_id, 0, 1000 + number, 5))
        else:
            rows.append((Kind.DELETE if number % 3 else Kind.CANCEL, symbol, 0, order_id, 0, 0, 5))
    instance, reference = assert_equal(VARIANT, padded(streams.make(rows)), symbols, orders=64)
    assert not instance.state.bad.any() and len(reference.orders) < 23


@kernel_jit(_nrt=False)
def run_loop(state, events, out, begin):
    return _straight.run(state, None, None, events, out, np.uint64(begin), None)


def test_only_what_is_rare_leaves_the_loop():
    """Adds and deletes at prices near each other are all done in the straight loop: the other code is not called."""
    rows = [streams.add(i + 1, 1000 + i % 50) for i in range(200)] + [streams.delete(i + 1) for i in range(150)]
    events = streams.make(rows)
    instance = VARIANT.build(orders=1000)
    VARIANT.replay(instance, events[:40])  # places the window
    out = np.zeros(len(events), BEST)
    reached, row, _stamp = run_loop(instance.state, events, out, 40)
    assert row == _straight.NO_ROW and reached == len(events) - int(_straight.AHEAD)
    wanted = Reference().replay(events)
    assert np.array_equal(out[40:reached], wanted[40:reached])


def test_a_table_near_its_limit_takes_a_few_more_and_no_more():
    events = padded(streams.make([streams.add(i + 1, 1000 + i) for i in range(60)]))
    instance = VARIANT.build(orders=4)
    limit = int(instance.state.control[LIMIT])
    VARIANT.replay(instance, events[:2])  # places the window
    assert instance.state.control[LIMIT] == limit
    reached, row, _stamp = run_loop(instance.state, events, np.zeros(len(events), BEST), 2)
    assert row == _straight.NO_ROW and reached == instance.state.control[LIVE] == limit + int(_straight.AHEAD)


def test_each_message_is_counted_once_and_timed_once():
    events = padded(streams.walk(5, 3000, symbols=2))
    instance = VARIANT.build(symbols=2, window_ticks=64, instrumented=True, ns_per_tick=0.5)
    VARIANT.replay(instance, events)
    instance.reset()
    instance.probe.histogram[:], instance.probe.counters[:] = 0, 0
    VARIANT.replay(instance, events)
    assert instance.probe.histogram.sum() == len(events)
    assert instance.probe.counters[PROBES] > 0
