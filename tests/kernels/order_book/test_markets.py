"""Every variant equals the reference after every message on real markets: of 64 and of 512 symbols, and NASDAQ's ITCH.

The whole multiples of the hour, 5.9 and 47 million messages, take plain Python minutes: ``WORKBENCH_LONG=1``.
"""

import os

import numpy as np
import pytest
import streams

from kernels.messages import BAD_KINDS, Bad, Kind
from kernels.order_book.reference import Reference
from workbench import workloads

LONG = os.environ.get("WORKBENCH_LONG") == "1"
HOUR = "AAPL_2012-06-21_34200000_37800000_message_50.csv.gz"
ODD = np.uint64(0x9E3779B97F4A7C15)  # times this, ids from 1 on are spread over all 64 bits, and stay different
PART = 1 << 20


@pytest.fixture(scope="module")
def hour():
    return workloads.load(streams.data_file(HOUR)).events


def dense(events):
    """Number the orders anew, from 1 on in the order of their ids."""
    known, number = np.unique(np.stack([events["order_id"], events["new_order_id"]]), return_inverse=True)
    number = number.reshape(2, -1).astype(np.uint64) + np.uint64(known[0] != 0)
    events["order_id"], events["new_order_id"] = number


def sparse(events):
    """Spread the ids over 64 bits."""
    for field in ("order_id", "new_order_id"):
        events[field] *= ODD


def with_halts_and_clears(events, symbols):
    """Turn some messages into halts, resumptions, clears, and events of no symbol."""
    for kind, step in ((Kind.HALT, 401), (Kind.RESUME, 523), (Kind.CLEAR, 2003)):
        events["kind"][step::step] = kind
    events["symbol"][97::997] = symbols
    return events


@pytest.fixture(scope="module", params=["64-dense", "64-sparse", "512-dense", "512-sparse"])
def market(request, hour):
    """Return the events of a market of many symbols, and the reference's answers to them."""
    symbols, ids = int(request.param.split("-")[0]), request.param.split("-")[1]
    events = workloads.multiply(hour[: 32_000 // symbols], symbols)
    (dense if ids == "dense" else sparse)(events)
    events = with_halts_and_clears(events, symbols)
    reference = Reference(symbols=symbols)
    return events, reference.replay(events), reference


def assert_same(instance, reference):
    """Compare what can be seen of two books at the end."""
    assert instance.state.bad.tolist() == [reference.bad[Bad(kind)] for kind in range(BAD_KINDS)]
    if not instance.variant.peer:
        for name, array in reference.export_state().items():
            assert np.array_equal(instance.export_state()[name], array), name


@pytest.mark.data
def test_many_symbols_with_dense_and_sparse_ids_halts_and_clears(any_variant, market):
    events, wanted, reference = market
    assert reference.bad[Bad.SYMBOL] > 20 and len(reference.orders) > 1000 and any(reference.halted)
    instance = any_variant.build(symbols=reference.symbols)
    assert np.array_equal(any_variant.replay(instance, events), wanted)
    assert_same(instance, reference)


@pytest.fixture(scope="module")
def itch():
    events = workloads.load(streams.data_file("ex20101224.TEST_ITCH_50")).events
    reference = Reference(symbols=int(events["symbol"].max()) + 1)
    return events, reference.replay(events), reference


@pytest.mark.data
def test_the_itch_test_file(any_variant, itch):
    events, wanted, reference = itch
    assert len(events) == 12_000 and wanted["bid_size"].any() and wanted["ask_size"].any()
    instance = any_variant.build(symbols=reference.symbols)
    assert np.array_equal(any_variant.replay(instance, events), wanted)
    assert_same(instance, reference)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not LONG, reason="minutes of plain Python: set WORKBENCH_LONG=1")
@pytest.mark.parametrize("symbols", [64, 512])
def test_the_whole_multiple_of_the_hour(book, hour, symbols):
    """All variants side by side, part by part, so that the answers need not all be kept."""
    events = workloads.multiply(hour, symbols)
    reference = Reference(symbols=symbols)
    instances = [
        book.variants[name].build(symbols=symbols) for name in streams.ANY_EVENTS if not book.variants[name].missing()
    ]
    for begin in range(0, len(events), PART):
        part = events[begin : begin + PART]
        wanted = reference.replay(part)
        for instance in instances:
            assert np.array_equal(instance.variant.replay(instance, part), wanted), (instance.variant.name, begin)
    for instance in instances:
        assert_same(instance, reference)
