"""Symbols dealt to several states: every event once, each shard as it would be alone, in one thread and in several."""

import threading

import numpy as np
import pytest
import toy_kernel

import kernels
from kernels.messages import EVENT
from workbench.measure.job import TOGETHER
from workbench.measure.shards import deal, shard

TOY = toy_kernel.KERNEL


@pytest.fixture
def market(events):
    events["symbol"] = np.arange(len(events)) * 7 % 5
    return events


def built(market, shards, **options):
    kernel, variants = shard(TOY, [TOY.variants["baseline"]], shards)
    parameters = kernel.check_parameters(kernel.parameters_for(market))
    given = kernel.prepare(market, parameters)
    out = kernel.output(given, parameters)
    instances = {variant.name: variant.build(**options, **parameters) for variant in variants}
    for name, variant in zip(instances, variants, strict=True):
        variant.replay(instances[name], given, out)  # so that each shard has the room that it needs
    return kernel, {variant.name: variant for variant in variants}, instances, given, out


def test_every_event_is_dealt_once_in_its_order_under_the_number_of_its_shard(market):
    first, second = deal(market, 2)
    assert len(first) + len(second) == len(market)
    assert set(first["symbol"]) == {0, 1, 2} and set(second["symbol"]) == {0, 1}  # 0 2 4, and 1 3
    assert np.array_equal(first["order_id"], market["order_id"][market["symbol"] % 2 == 0])
    assert np.array_equal(np.sort(np.concatenate([first, second])["order_id"]), market["order_id"])
    assert set(market["symbol"]) == {0, 1, 2, 3, 4}  # the caller's are as they were


def test_more_shards_than_symbols_are_refused(market):
    with pytest.raises(ValueError, match="the workload has 5 symbols, and shard 5 gets none"):
        deal(market, 6)


@pytest.mark.parametrize("name", ["baseline", "baseline" + TOGETHER])
def test_each_shard_does_what_it_would_do_alone(market, name):
    kernel, variants, instances, given, out = built(market, 3)
    instances[name].reset()
    reached, elapsed = variants[name].run(instances[name], given, out)
    assert reached == kernel.length(given) == kernel.count_operations(given) == len(market)
    assert elapsed > 0
    for own, found in zip(deal(market, 3), out, strict=True):
        variant = TOY.variants["baseline"]
        alone = variant.replay(variant.build(), own)
        assert np.array_equal(found, alone) and alone.any()


def test_only_together_uses_a_thread_for_each_shard(market, monkeypatch):
    _, variants, instances, given, out = built(market, 3)
    started = []
    run = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (started.append(self), run(self))[1])
    for name, threads in (("baseline", 0), ("baseline" + TOGETHER, 3)):
        started.clear()
        instances[name].reset()
        variants[name].run(instances[name], given, out)
        assert len(started) == threads


def test_the_probes_of_all_shards_are_read_as_one(market):
    _, variants, instances, given, out = built(market, 2, instrumented=True)
    for name, instance in instances.items():
        for _ in range(2):  # the second must not find the first one's counts
            instance.reset()
            variants[name].run(instance, given, out)
            assert instance.counters() == {"added": len(market)}
            assert instance.probe.histogram.sum() == len(market)


def test_a_shard_without_room_ends_early_and_is_told(market):
    kernel, variants = shard(TOY, [TOY.variants["baseline"]], 2)
    given = kernel.prepare(market, {"rounds": 4})
    for variant in variants:
        instance = variant.build(rounds=4)
        assert variant.run(instance, given, kernel.output(given, {"rounds": 4}))[0] < kernel.length(given)


def test_the_kernel_itself_is_left_as_it_was(market):
    built(market, 2)
    assert list(TOY.variants) == ["baseline", "doubled"]
    assert all(variant.kernel is TOY for variant in TOY.variants.values())
    assert kernels.get("order_book").variants["ladder"].kernel is kernels.get("order_book")


def test_all_states_are_as_large_as_the_largest_shard_needs():
    book = kernels.get("order_book")
    events = np.zeros(10, EVENT)
    events["symbol"] = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    kernel, _ = shard(book, [], 2)
    wanted = [book.parameters_for(own) for own in deal(events, 2)]
    assert kernel.parameters_for(events) == {name: max(each[name] for each in wanted) for name in wanted[0]}
