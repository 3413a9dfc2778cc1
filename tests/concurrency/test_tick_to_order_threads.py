"""Two threads send the orders of one; a full queue waits or drops as it was told, and counts."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "kernels" / "order_book"))  # for `streams`
sys.path.insert(0, str(Path(__file__).parents[1] / "kernels" / "tick_to_order"))  # for `pipelines`

from pipelines import EAGER, TICK, market, tally_of
from threads import core_sets, operations, run_threads

from kernels.tick_to_order._layout import CHECKSUM, TAKEN

COMBINED = TICK.variants["combined"]
ROOM = {**EAGER, "orders": 4096, "levels": 64}


def two_threads(variant, instance, events, one_core):
    """Replay in two threads, the feeding one and the gateway; return the orders."""
    prepared = TICK.prepare(events, instance.parameters)
    out = TICK.output(prepared, instance.parameters)
    shares = TICK.divide(prepared, out, instance.parameters)
    assert len(shares) == 2
    probes = instance.probes(2)

    def job(share, probe):
        given, own = share
        return lambda: variant.replay_from(instance.state, given, own, 0, probe)

    run_threads([job(share, probe) for share, probe in zip(shares, probes, strict=True)], one_core)
    instance.add_up(probes)
    return out


@core_sets()
@pytest.mark.parametrize("slots", [2, 1024])
def test_two_threads_send_the_orders_of_one(one_core, slots):
    events = market(31, operations(6000))
    alone = COMBINED.build(symbols=3, **ROOM)
    wanted = COMBINED.replay(alone, events)
    instance = COMBINED.build(symbols=3, threads=2, queue_slots=slots, **ROOM)
    for _ in range(3):
        instance.reset()
        assert np.array_equal(two_threads(COMBINED, instance, events, one_core), wanted)
        assert instance.state.gateway[CHECKSUM] == alone.state.gateway[CHECKSUM]
        told = {name: value for name, value in tally_of(instance).items() if name != "waits"}
        assert told == {name: value for name, value in tally_of(alone).items() if name != "waits"}
    assert alone.state.gateway[TAKEN] > 500


def test_a_variant_is_run_by_two_threads():
    events = market(32, 3000)
    wanted = COMBINED.replay(COMBINED.build(symbols=3, **ROOM), events)
    instance = COMBINED.build(symbols=3, threads=2, **ROOM)
    parts = [COMBINED.replay(instance, part) for part in (events[:2000], events[2000:], events[:0])]
    found = np.concatenate([part[part["order_id"] > 0] for part in parts])
    assert np.array_equal(found, wanted[: len(found)]) and len(found) == np.count_nonzero(wanted["order_id"]) > 200


@pytest.mark.parametrize("overload", ["block", "drop"])
def test_a_full_queue_waits_or_drops(overload):
    events = market(33, 3000)
    alone = COMBINED.build(symbols=3, **ROOM)
    COMBINED.replay(alone, events)
    instance = COMBINED.build(symbols=3, threads=2, overload=overload, queue_slots=4, **ROOM)
    prepared = TICK.prepare(events, instance.parameters)
    out = TICK.output(prepared, instance.parameters)
    (given, none), (nothing, all_room) = TICK.divide(prepared, out, instance.parameters)
    if overload == "drop":  # nobody takes anything out before the end
        COMBINED.replay_from(instance.state, given, none, 0, None)
        COMBINED.replay_from(instance.state, nothing, all_room, 0, None)
        tally = tally_of(instance)
        assert tally["sent"] == instance.state.gateway[TAKEN] == 4 == np.count_nonzero(out["order_id"])
        assert tally["dropped"] == tally["crossings"] - tally["halted"] - 4 > 400
        accounts = instance.export_state()["risk.accounts"]
        assert accounts["orders"].sum() <= 4 and accounts["notional"].sum() <= 4 * 100 * 5000  # given back
        assert len(instance.export_state()["pool.taken"]) <= 4
        assert tally["sent"] + tally["dropped"] + tally["halted"] + tally["refused"] == tally["crossings"]
    else:
        found = two_threads(COMBINED, instance, events, one_core=False)
        assert tally_of(instance)["sent"] == tally_of(alone)["sent"] == np.count_nonzero(found["order_id"])
        assert tally_of(instance)["dropped"] == 0


@pytest.mark.slow
def test_each_message_is_timed_once_whichever_thread_ends_it():
    events = market(34, 3000)
    instance = COMBINED.build(symbols=3, threads=2, instrumented=True, **ROOM)
    two_threads(COMBINED, instance, events, one_core=False)
    assert instance.probe.histogram.sum() == 3000
    stages = {name: int(histogram.sum()) for name, histogram in instance.stages().items()}
    assert stages["queue"] == stages["encode"] == tally_of(instance)["sent"]


@pytest.mark.slow
@pytest.mark.parametrize("queue", ["baseline", "mpmc"])
def test_other_queues_between_two_threads(queue):
    events = market(35, 4000)
    wanted = COMBINED.replay(COMBINED.build(symbols=3, **ROOM), events)
    instance = COMBINED.build(symbols=3, threads=2, queue=queue, queue_slots=8, **ROOM)
    assert np.array_equal(two_threads(COMBINED, instance, events, one_core=False), wanted)
