import dataclasses
import gc

import numpy as np
import pytest
import toy_kernel

from kernels import _jit
from kernels.catalog import Variant
from workbench import record
from workbench.errors import WorkbenchError
from workbench.measure import closed_loop
from workbench.measure.histogram import Histogram
from workbench.measure.plan import Plan, balanced_order

CLOCK = record.Clock(source="tsc", ns_per_tick=0.5, cost_ns=10, step_ns=10, invariant=True)


@pytest.fixture
def subjects(events):
    kernel = toy_kernel.KERNEL
    made = closed_loop.make_subjects(kernel, list(kernel.variants.values()), events, {"rounds": 3}, CLOCK)
    for subject in made:
        closed_loop.warm_up(subject)
    return made


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_variant_has_the_same_mean_place_in_each_block(count):
    firsts = set()
    for block in range(count):
        order = balanced_order(count, block)
        firsts.add(order[0])
        places = {i: [place for place, other in enumerate(order) if other == i] for i in range(count)}
        assert {sum(pair) for pair in places.values()} == {2 * count - 1}
    assert len(firsts) == count


def test_a_block_holds_equal_work_and_latencies_of_all(subjects, events):
    block = closed_loop.run_block(subjects, Plan(blocks=1, repeats=3), 2, 7, 0)
    assert (block.replicate, block.index) == (2, 7)
    assert [side.variant for side in block.sides] == ["toy/baseline", "toy/doubled", "toy/doubled", "toy/baseline"]
    assert [side.place for side in block.sides] == [0, 1, 2, 3]
    for side in block.sides:
        assert side.operations == 3 * len(events)
        assert Histogram.decode(side.histogram).total == side.operations
        assert side.counters == {"added": side.operations}
        assert side.elapsed_ns > 0


def test_the_state_is_grown_before_anything_is_timed(subjects, events):
    assert all(len(subject.plain.state.room) >= len(events) for subject in subjects)
    assert all(len(subject.probed.state.room) >= len(events) for subject in subjects)


def test_a_state_that_shrinks_on_reset_is_told(events):
    import toy_broken

    variant = toy_broken.KERNEL.variants["shrinking"]
    (subject,) = closed_loop.make_subjects(toy_broken.KERNEL, [variant], events, {}, CLOCK)
    closed_loop.warm_up(subject)
    with pytest.raises(WorkbenchError, match="stopped at input 4 of 3000"):
        closed_loop.replay_once(subject, subject.plain)


def test_a_peer_is_timed_without_a_probe(subjects, events):
    peer = dataclasses.replace(subjects[0].variant, name="theirs", peer=True)
    peer.kernel = toy_kernel.KERNEL
    (subject,) = closed_loop.make_subjects(toy_kernel.KERNEL, [peer], events, {"rounds": 3}, CLOCK)
    closed_loop.warm_up(subject)
    block = closed_loop.run_block([subjects[0], subject], Plan(1, 1), 0, 0, 0)
    assert [side.histogram is None for side in block.sides] == [False, True, True, False]


def test_without_a_trusted_counter_nothing_is_stamped(events):
    clock = record.Clock(source="clock_gettime", ns_per_tick=1, cost_ns=30, step_ns=1, invariant=False)
    kernel = toy_kernel.KERNEL
    (subject,) = closed_loop.make_subjects(kernel, [kernel.variants["baseline"]], events, {}, clock)
    assert subject.probed is None


def test_compiling_while_timing_is_told(subjects):
    factor = len(subjects)

    @_jit.kernel_jit
    def twice(x):
        return factor * x  # a closure is never cached on disk, so this compiles in every run of this test

    timing = closed_loop.nothing_compiles(subjects)
    with pytest.raises(WorkbenchError, match="twice was compiled while it was timed"), timing:
        twice(1)


def test_a_signature_that_is_loaded_while_timing_is_told(events):
    kernel = toy_kernel.KERNEL
    (subject,) = closed_loop.make_subjects(kernel, [kernel.variants["baseline"]], events, {}, CLOCK)
    closed_loop.warm_up(subject)
    narrow = np.zeros(3, np.int32)
    replay = subject.variant.replay_from
    known = len(replay.signatures)
    with pytest.raises(WorkbenchError, match="toy/baseline"), closed_loop.nothing_compiles([subject]):
        replay(subject.plain.state, narrow, subject.out, 0, None)
    assert len(replay.signatures) == known + 1


def test_the_plan_fills_the_time_and_keeps_its_limits(subjects, monkeypatch):
    ticks = iter(range(0, 10**12, 1_000_000))  # every reading of the clock is 1 ms later
    monkeypatch.setattr(closed_loop.time, "perf_counter_ns", lambda: next(ticks))

    def plan(seconds, least_ns=0):
        return closed_loop.make_plan(subjects, seconds, least_ns, 16, 2)

    # A replay reads the clock twice inside and twice around: 3 ms; two variants, two builds, forward and backward: 24.
    assert plan(0.024 * 10) == Plan(blocks=10, repeats=1)
    assert plan(0.024 * 16 * 5) == Plan(blocks=16, repeats=5)
    assert plan(0.001) == Plan(blocks=2, repeats=1)
    assert plan(0.24, least_ns=5e6).repeats == 5


def test_allocations_of_the_call_are_not_the_kernels(subjects):
    assert [closed_loop.count_allocations(subject) for subject in subjects] == [0, 0]


def test_allocations_of_the_kernel_are_counted(events):
    variant = Variant("wasteful", None, "allocates", lambda p: np.zeros(1), lambda state: None, allocating_replay)
    variant.kernel = toy_kernel.KERNEL
    instance = variant.build()
    prepared = np.arange(7)
    subject = closed_loop.Subject(variant, prepared, np.zeros(1), instance, None)
    closed_loop.warm_up(subject)
    assert closed_loop.count_allocations(subject) == 7


@_jit.kernel_jit
def allocating_replay(state, sizes, out, begin, probe):
    for i in range(begin, len(sizes)):
        kept = np.full(sizes[i] + 1, 1.0)
        out[0] += kept[-1]
    return len(sizes)


def test_the_collector_rests_while_timing():
    assert gc.isenabled()
    with closed_loop.no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_nothing_to_measure_is_refused(events):
    kernel = toy_kernel.KERNEL
    with pytest.raises(ValueError, match="no operation"):
        closed_loop.make_subjects(kernel, [kernel.variants["baseline"]], events[:0], {}, CLOCK)
