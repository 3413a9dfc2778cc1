"""The pipeline equals its reference, order by order; what goes wrong on the way is counted."""

import numpy as np
import pytest
import streams
from hypothesis import HealthCheck, given, settings
from pipelines import EAGER, STRICT, TICK, assert_equal, market, tally_of

from kernels.machine.histogram import value_at_percentile
from kernels.messages import ORDER, Kind
from kernels.tick_to_order._layout import CHECKSUM, TAKEN

COMBINED = TICK.variants["combined"]
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@given(events=streams.events_of_all_kinds)
@QUICK
def test_streams_with_bad_events_of_all_kinds(events):
    assert_equal(COMBINED, events, symbols=streams.SYMBOLS, lot=3, **{**EAGER, **STRICT})


def test_a_market_of_many_symbols():
    _, reference = assert_equal(COMBINED, market(1, 4000), symbols=3, **EAGER)
    assert reference.tally["sent"] > 100 and reference.tally["halted"] > 0
    assert 0 < reference.tally["filled"] < 100 * reference.tally["answered"]  # some orders are filled in part


def test_limits_refuse_and_are_given_back():
    _, reference = assert_equal(COMBINED, market(2, 4000), symbols=3, **{**EAGER, **STRICT})
    assert reference.tally["refused"] > 20 and reference.tally["sent"] > 20
    assert len(reference.risk.refused) >= 2  # for more than one reason


def test_a_pool_without_a_free_slot_costs_the_order_and_is_counted():
    rows, symbols = [], 80
    for symbol in range(symbols):  # one tick up for each symbol: nothing answers, as no further message comes
        rows += [streams.add(10 * symbol + 1, 100, 5, 0, symbol), streams.add(10 * symbol + 2, 110, 5, 1, symbol)]
        rows += [streams.add(10 * symbol + 3, 104, 5, 0, symbol)]
    instance, reference = assert_equal(
        COMBINED, streams.make(rows), symbols=symbols, pool_slots=64, order_limit=1000, **EAGER
    )
    assert tally_of(instance)["no_slot"] == reference.tally["no_slot"] == symbols - 64
    assert sum(account.orders for account in reference.risk.accounts) == 64


def test_an_order_is_what_the_rule_says():
    rows = [
        streams.add(1, 100, 40, 0),
        streams.add(2, 110, 70, 1),
        streams.add(3, 106, 5, 0),
    ]  # mid price 105, then 108
    rows += [streams.delete(3), (Kind.TRADE, 0, 0, 0, 0, 0, 0)]
    events = streams.make(rows)
    events["timestamp_ns"] += 1000
    instance = COMBINED.build(**EAGER)
    orders = COMBINED.replay(instance, events)
    assert [order["order_id"] for order in orders if order["order_id"]] == [3, 4]  # ids are numbers of messages
    bought, sold = orders[0], orders[1]
    assert (bought["side"], bought["price_ticks"], bought["size"]) == (0, 110, 100)
    assert bought["timestamp_ns"] == bought["market_ns"] == 1002
    assert (sold["side"], sold["price_ticks"]) == (1, 100)
    assert tally_of(instance) | {"messages": 5, "ticks": 3, "crossings": 2, "sent": 2} == tally_of(instance)
    assert tally_of(instance)["filled"] == 70 + 40  # as far as the touch had shares; the second by message 5
    position = instance.export_state()["position.positions"]
    assert len(position) == 1 and position["quantity"][0] == 30


def test_parts_of_a_stream_are_as_the_whole():
    events = market(3, 3000)
    instance = COMBINED.build(symbols=3, **EAGER)
    whole = COMBINED.replay(instance, events)
    sent, checksum = int(instance.state.gateway[TAKEN]), int(instance.state.gateway[CHECKSUM])
    assert sent > 50
    instance.reset()
    parts = [COMBINED.replay(instance, part) for part in np.array_split(events, 7)]
    assert np.array_equal(np.concatenate([part[part["order_id"] > 0] for part in parts]), whole[:sent])
    assert instance.state.gateway[CHECKSUM] == checksum


def test_a_snapshot_is_come_back_to():
    events = market(4, 2000)
    instance = COMBINED.build(symbols=3, **EAGER)
    COMBINED.replay(instance, events[:1000])
    saved = instance.snapshot()
    first = COMBINED.replay(instance, events[1000:])
    instance.restore(saved)
    assert np.array_equal(COMBINED.replay(instance, events[1000:]), first) and first["order_id"].any()


def test_a_pipeline_goes_on_from_an_exported_state():
    events = market(5, 2000)
    one, other = COMBINED.build(symbols=3, **EAGER), COMBINED.build(symbols=3, **EAGER)
    COMBINED.replay(one, events[:1111])
    COMBINED.replay(other, events[:50])
    other.import_state(one.export_state())
    found, wanted = (COMBINED.replay(instance, events[1111:]) for instance in (other, one))
    assert np.array_equal(found, wanted) and wanted["order_id"].any()
    for name, array in one.export_state().items():
        assert np.array_equal(other.export_state()[name], array), name
    with pytest.raises(ValueError, match="touch"):
        COMBINED.build(symbols=2).import_state(one.export_state())


def test_output_has_the_type_of_orders():
    events = market(6, 100)
    given = TICK.prepare(events, TICK.check_parameters({}))
    out = TICK.output(given, {})
    assert out.dtype == ORDER and len(out) == TICK.length(given) == TICK.count_operations(given) == 100
    with pytest.raises(ValueError, match="one-dimensional array"):
        TICK.prepare(np.zeros(3), TICK.check_parameters({}))


@pytest.mark.data
def test_the_first_part_of_a_real_hour():
    events = streams.lobster(streams.data_file("AAPL_2012-06-21_34200000_37800000_message_50.csv.gz"))[:20_000]
    _, reference = assert_equal(COMBINED, events)
    assert reference.tally["sent"] > 200


@pytest.mark.slow
def test_a_probe_records_every_message_once_and_its_stages():
    events = market(7, 3000)
    instance = COMBINED.build(instrumented=True, symbols=3, orders=4096, window=2, edge=0)
    COMBINED.replay(instance, events)
    tally, stages = tally_of(instance), instance.stages()
    assert instance.probe.histogram.sum() == 3000
    counts = {name: int(histogram.sum()) for name, histogram in stages.items()}
    assert counts["decode"] == counts["book"] == 3000
    assert counts["answer"] == tally["answered"] and counts["signal"] == tally["ticks"]
    assert counts["queue"] == counts["encode"] == tally["sent"]
    assert counts["risk"] == tally["sent"] + tally["refused"]
    assert instance.counters()["orders"] == tally["sent"] and instance.counters()["ticks"] == tally["ticks"]
    whole = value_at_percentile(instance.probe.histogram, 0.5, 3000)
    assert 0 < value_at_percentile(stages["book"], 0.5, 3000) <= whole
