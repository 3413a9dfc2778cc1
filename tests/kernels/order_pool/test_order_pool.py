"""Every pool against the reference and against a model of which slots are taken; misuse, state, memory, counters."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys
from pool_model import KERNEL, OURS, module_of, part, random_churn

from kernels.order_pool._churn import GIVEN, GROUP, TAKEN
from kernels.order_pool._told import Told

each_variant = pytest.mark.parametrize("variant", OURS, ids=lambda variant: variant.name)
one_of_each = pytest.mark.parametrize(  # the others compile for seconds, to show the same
    "variant",
    [pytest.param(v, id=v.name, marks=() if v.name in ("stack", "simd") else pytest.mark.slow) for v in OURS],
)


@each_variant
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32), steps=st.integers(0, 400), slots=st.sampled_from([1, 2, 7, 63, 64, 65, 200, 500]),
    cuts=st.lists(st.integers(0, 400), max_size=3),
)  # fmt: skip
def test_steps_do_what_the_references_do(variant, seed, steps, slots, cuts):
    churn = random_churn(seed, steps, 300)
    instance, reference = variant.build(slots=slots), KERNEL.reference(slots=slots)
    out = np.zeros(steps, np.uint8)
    for begin, end in pairwise([0, *sorted(min(cut, steps) for cut in cuts), steps]):
        variant.replay(instance, part(churn, begin, end), out[begin:end])
    assert np.array_equal(out, reference.replay(churn))
    assert instance.state.told[: len(Told)].tolist() == [reference.exhausted, 0, 0]
    canonical = instance.export_state()
    assert sorted(canonical["taken"].tolist()) == sorted(churn.held[order] for order in reference.holders)
    assert sorted(canonical["words"][:, 0].tolist()) == sorted(reference.holders)


@each_variant
@settings(max_examples=12)
@given(data=st.data(), slots=st.sampled_from([1, 3, 64, 130, 200]))
def test_no_slot_is_lost_or_handed_out_twice(variant, data, slots):
    """Single operations, drawn at random with misuse among them, against a set of taken slots."""
    module, state = module_of(variant), variant.build(slots=slots).state
    misuse = [] if variant.name == "trusted" else ["foreign", "free"]
    taken, told = {}, [0, 0, 0]
    for step in range(data.draw(st.integers(1, 60))):
        action = data.draw(st.sampled_from(["take", "take", "many", "give", "give", "empty", *misuse]))
        if action in ("take", "many"):
            for _ in range(1 if action == "take" else slots):
                slot = module.take(state)
                if len(taken) == slots:
                    assert slot == -1
                    told[Told.EXHAUSTED] += 1
                else:
                    assert 0 <= slot < slots and slot not in taken
                    taken[slot] = step
                    module.write(state, slot, 0, step)
                    module.write(state, slot, 6, -step)
        elif action == "give" and taken:
            slot = data.draw(st.sampled_from(sorted(taken)))
            assert (module.read(state, slot, 0), module.read(state, slot, 6)) == (taken[slot], -taken[slot])
            assert module.give_back(state, slot)
            del taken[slot]
        elif action == "foreign":
            assert not module.give_back(state, data.draw(st.sampled_from([-1, slots, slots + 10**6, -(2**62)])))
            told[Told.FOREIGN] += 1
        elif action == "free" and len(taken) < slots:
            slot = data.draw(st.sampled_from(sorted(set(range(slots)) - set(taken))))
            assert not module.give_back(state, slot)
            told[Told.FREE_ALREADY] += 1
        elif action == "empty":
            module.empty(state)
            taken.clear()
        assert state.told[: len(Told)].tolist() == told


@each_variant
def test_all_slots_can_be_taken_again_after_all_came_back(variant):
    # More than a line of the bitmap, and than a cache of `aligned`.
    module, state = module_of(variant), variant.build(slots=1200).state
    for _ in range(3):
        slots = [module.take(state) for _ in range(1200)]
        assert sorted(slots) == list(range(1200)) and module.take(state) == -1
        for slot in slots[::-1] if slots[0] == 0 else slots:
            assert module.give_back(state, slot)
            assert variant.name == "trusted" or not module.give_back(state, slot)
        assert variant.name == "trusted" or not module.give_back(state, slots[0])
    module.empty(state)
    assert sorted(module.take(state) for _ in range(1200)) == list(range(1200))


@each_variant
def test_a_slot_of_an_emptied_pool_is_not_taken_any_more(variant):
    module, state = module_of(variant), variant.build(slots=8).state
    slot = module.take(state)
    module.empty(state)
    if variant.name != "trusted":
        assert not module.give_back(state, slot) and state.told[Told.FREE_ALREADY] == 1
    assert sorted(module.take(state) for _ in range(8)) == list(range(8))


@each_variant
@pytest.mark.parametrize("other", OURS, ids=lambda variant: variant.name)
def test_a_state_moves_to_any_variant(variant, other):
    churn, slots = random_churn(4, 600, 400), 210
    first, second = variant.build(slots=slots), other.build(slots=slots)
    expected = KERNEL.reference(slots=slots).replay(churn)
    out = np.zeros(600, np.uint8)
    variant.replay(first, part(churn, 0, 320), out[:320])
    other.replay(second, random_churn(5, 50, 40))  # what was there before goes
    second.import_state(first.export_state())
    other.replay(second, part(churn, 320, 600), out[320:])
    assert np.array_equal(out, expected)
    third = variant.build(slots=slots)
    third.import_state(second.export_state())
    exported, again = second.export_state(), third.export_state()
    assert all(np.array_equal(exported[name], again[name]) for name in exported)


@each_variant
def test_a_state_that_does_not_fit_changes_nothing(variant):
    instance = variant.build(slots=20)
    variant.replay(instance, random_churn(6, 40, 30))
    before = instance.export_state()
    taken = before["taken"]
    for change, expected in [
        ({"taken": None}, "'taken' is absent"),
        ({"slots": np.array([21])}, "is of .21. slots, this of 20"),
        ({"taken": taken[::-1]}, "must be sorted"),
        ({"taken": taken + 20}, "within the pool"),
        ({"words": before["words"][:-1]}, "each once and with 7 words"),
        ({"told": np.array([-1, 0, 0])}, "'told' must be 3 counts"),
    ]:
        bad = {name: array for name, array in {**before, **change}.items() if array is not None}
        with pytest.raises(ValueError, match=expected):
            instance.import_state(bad)
    after = instance.export_state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@each_variant
def test_snapshot_restore_and_reset(variant):
    churn = random_churn(7, 300, 200)
    instance = variant.build(slots=90)
    whole = variant.replay(instance, churn).copy()
    instance.reset()
    assert not instance.export_state()["taken"].size and not instance.state.told.any()
    variant.replay(instance, part(churn, 0, 150))
    saved, held = instance.snapshot(), churn.held.copy()
    later = variant.replay(instance, part(churn, 150, 300)).copy()
    instance.restore(saved)
    churn.held[:] = held
    again = variant.replay(instance, part(churn, 150, 300))
    if variant.name == "baseline":  # its memory is not in the snapshot: what was freed since has lost its content
        later, again = later & TAKEN, again & TAKEN
    else:
        assert np.array_equal(later, whole[150:])
    assert np.array_equal(again, later)
    instance.reset()
    assert np.array_equal(variant.replay(instance, churn), whole)


@one_of_each
def test_the_probe_counts(variant):
    churn = random_churn(8, 900, 700)
    instance, plain = variant.build(instrumented=True, slots=200), variant.build(slots=200)
    assert np.array_equal(variant.replay(instance, churn), variant.replay(plain, churn))
    assert instance.probe.histogram.sum() == -(-900 // GROUP)
    counters = instance.counters()
    assert counters["lines_touched"] > 0 and counters["cas_retries"] == counters["refused"] == 0
    assert (counters["refills"] > 0) == (variant.name in ("aligned", "trusted"))
    assert (counters["words_scanned"] > 0) == (variant.name == "simd")


@each_variant
def test_memory_is_allocated_by_the_baseline_alone(variant):
    churn = random_churn(9, 300, 200)
    instance = variant.build(slots=64)
    out = variant.replay(instance, churn)
    instance.reset()
    counts = []
    _nrt_python.memsys_enable_stats()
    try:
        for begin in (300, 0):
            before = rtsys.get_allocation_stats().alloc
            variant.replay_from(instance.state, churn, out, begin, None)
            counts.append(rtsys.get_allocation_stats().alloc - before)
    finally:
        _nrt_python.memsys_disable_stats()
    taken = np.count_nonzero(out & TAKEN)
    assert counts[1] - counts[0] == (taken if variant.name == "baseline" else 0) and taken > 100


def test_the_memory_of_the_baseline_goes_with_its_orders_and_with_its_state():
    variant = KERNEL.variants["baseline"]
    churn = random_churn(10, 200, 150)
    variant.replay(variant.build(slots=64), churn)  # compiles
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        instance = variant.build(slots=64)
        variant.replay(instance, churn)
        live = len(instance.export_state()["taken"])
        during = rtsys.get_allocation_stats()
        assert (during.alloc - before.alloc) - (during.free - before.free) == live > 0
        del instance
        after = rtsys.get_allocation_stats()
        assert after.alloc - before.alloc == after.free - before.free
    finally:
        _nrt_python.memsys_disable_stats()


def test_a_trusting_pool_hands_out_twice_what_was_given_back_twice():
    """What its card says, so that nobody takes it for `aligned`."""
    variant = KERNEL.variants["trusted"]
    module, state = module_of(variant), variant.build(slots=100).state
    slot = module.take(state)
    assert module.give_back(state, slot) and module.give_back(state, slot)
    assert module.take(state) == slot == module.take(state) and not state.told.any()


@pytest.mark.parametrize("name", ["stack", "simd"])
def test_what_is_for_one_thread_refuses_more(name):
    with pytest.raises(ValueError, match="belongs to one thread"):
        KERNEL.variants[name].build(threads=2)


def test_the_aligned_pool_lies_on_cache_lines():
    state = KERNEL.variants["aligned"].build(threads=3).state
    assert state.slots.ctypes.data % 64 == 0 == state.ends.ctypes.data % 128
    assert all(row.ctypes.data % 128 == 0 for row in state.caches)
    assert state.free.base is not None and np.shares_memory(state.free, state.caches[0])


def test_the_bitmap_passes_over_taken_words_once():
    """A full lower half of the pool is not searched again and again."""
    variant = KERNEL.variants["simd"]
    module, instance = module_of(variant), variant.build(slots=64 * 64, instrumented=True)
    for _ in range(64 * 64):
        module.take_counted(instance.state, instance.probe)
    assert instance.counters()["words_scanned"] <= 8 * (64 + 8)
    assert GIVEN != TAKEN
