"""Every variant of the message queue against the reference, its state, its memory and its input."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys

from kernels._jit import kernel_jit
from kernels.marked import marked_point
from kernels.message_queue import KERNEL, mpmc_batch
from kernels.message_queue._work import ALONE, ALONE_TRIP, CONSUMER, COUNT, PRODUCER, ROLE, make_work
from kernels.messages import EVENT

STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=40)
PEERS = [name for name, variant in KERNEL.variants.items() if variant.peer]


def numbered(n, words, seed=1):
    """Return records of random words whose first is their number."""
    records = np.random.default_rng(seed).integers(-(2**63), 2**63, (n, words), np.int64)
    records[:, 0] = np.arange(n)
    return records


def some_events(n=300):
    events = np.zeros(n, EVENT)
    events["timestamp_ns"], events["order_id"] = np.arange(n) * 100, np.arange(n) + 2**40
    events["price_ticks"], events["size"], events["symbol"] = 5000 + np.arange(n) % 7, 100, np.arange(n) % 64
    return events


@pytest.mark.parametrize("words", [1, 3, 8])
@settings(max_examples=30)
@given(slots=st.sampled_from([2, 4, 8]), steps=STEPS)
def test_each_push_and_pop_answers_as_the_reference(each, queue_of, words, slots, steps):
    queue = queue_of(each, slots=slots, record_bytes=8 * words)
    reference, records, out = KERNEL.reference(slots=slots), numbered(64, words), np.zeros((1, words), np.int64)
    sent = 0
    for pushing, times in steps:
        for _ in range(times):
            if pushing:
                assert queue.push(records, sent % 64) == reference.push(records[sent % 64])
                sent += 1
            else:
                expected = reference.pop()
                assert queue.pop(out, 0) == (expected is not None)
                assert expected is None or np.array_equal(out[0], expected)


def test_a_record_out_of_an_array_of_records_goes_through_unchanged(each, queue_of):
    events, out = some_events(20), np.zeros(20, EVENT)
    queue = queue_of(each, slots=32, record_bytes=EVENT.itemsize)
    words, back = events.view(np.int64).reshape(20, -1), out.view(np.int64).reshape(20, -1)
    assert all(queue.push(words, i) for i in range(20)) and all(queue.pop(back, i) for i in range(20))
    assert np.array_equal(out, events)


@pytest.mark.parametrize("words", [1, 8])
def test_what_is_replayed_comes_out_as_from_the_reference(each, words):
    for role, batch, slots, n in ((ALONE, 1, 2, 5), (ALONE, 7, 4, 50), (ALONE, 64, 16, 100), (ALONE_TRIP, 1, 4, 9)):
        variant, records = KERNEL.variants[each], numbered(n, words)
        work = make_work(records, role, 3 * n, batch)
        instance = variant.build(slots=slots, record_bytes=8 * words)
        out = variant.replay(instance, work)
        assert np.array_equal(out, records)
        assert np.array_equal(KERNEL.reference(slots=slots).replay(work), out)
        assert all(len(left) == 0 for left in instance.export_state().values())


@pytest.mark.concurrency
@pytest.mark.parametrize("mode", ["stream", "round_trip"])
def test_two_threads_pass_every_record_in_order(each, mode):
    variant = KERNEL.variants[each]
    instance = variant.build(threads=2, mode=mode, slots=64)
    work = KERNEL.prepare(some_events(), instance.parameters)
    work.plan[COUNT] //= 4
    assert np.array_equal(variant.replay(instance, work), work.records)


@pytest.mark.parametrize("name", PEERS)
def test_peers_pass_every_record_too(name):
    variant = KERNEL.variants[name]
    if variant.missing():
        pytest.skip(f"{name} cannot run here: {variant.missing()}")
    for mode in ("stream", "round_trip"):
        for threads in (1, 2):
            for parameters in ({"slots": 64}, {"record_bytes": 8}):
                instance = variant.build(threads=threads, mode=mode, **parameters)
                work = KERNEL.prepare(some_events(), instance.parameters)
                work.plan[COUNT] = 2 * len(work.records)
                assert np.array_equal(variant.replay(instance, work), work.records)
    with pytest.raises(ValueError, match="records of 8 or 64 bytes, not 40"):
        variant.build(record_bytes=40)


def test_a_state_moves_to_any_variant(each, queue_of):
    for other in ("lock_free", "mpmc"):
        first, second = queue_of(each, slots=8, record_bytes=24), queue_of(other, slots=8, record_bytes=24)
        records, out = numbered(40, 3), np.zeros((40, 3), np.int64)
        for i in range(13):  # round the ring once
            assert first.push(records, i)
            if i >= 6:
                assert first.pop(out, i - 6)
        second.instance.import_state(first.instance.export_state())
        assert second.push(records, 13) and second.push(records, 14) and not second.push(records, 15)
        assert all(second.pop(out, i) for i in range(7, 15)) and not second.pop(out, 15)
        assert np.array_equal(out[:15], records[:15])


def test_snapshot_restore_and_reset(each, queue_of):
    queue, records, out = queue_of(each, slots=4, record_bytes=8), numbered(9, 1), np.zeros((9, 1), np.int64)
    assert queue.push(records, 5) and queue.push(records, 6)
    saved = queue.instance.snapshot()
    assert queue.pop(out, 0) and queue.push(records, 7)
    queue.instance.restore(saved)
    assert queue.pop(out, 0) and out[0, 0] == 5 and queue.pop(out, 0) and out[0, 0] == 6 and not queue.pop(out, 0)
    queue.instance.reset()
    assert not queue.pop(out, 0) and all(queue.push(records, i) for i in range(4)) and not queue.push(records, 4)


def test_a_state_that_does_not_fit_changes_nothing(each, queue_of):
    queue = queue_of(each, slots=4, record_bytes=16)
    assert queue.push(numbered(4, 2), 3)
    before = queue.instance.export_state()
    none = np.zeros((0, 2), np.int64)
    for bad, expected in [
        ({"records": none}, "'back_records' is not there"),
        ({"records": np.zeros((1, 3), np.int64), "back_records": none}, r"'records' must be int64\[n, 2\]"),
        ({"records": none, "back_records": np.zeros((1, 2))}, r"'back_records' must be int64\[n, 2\]"),
        ({"records": np.zeros((5, 2), np.int64), "back_records": none}, "5 records do not fit into 4 slots"),
    ]:
        with pytest.raises(ValueError, match=expected):
            queue.instance.import_state(bad)
    after = queue.instance.export_state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", ["lock_free", pytest.param("mpmc", marks=pytest.mark.slow)])
def test_no_memory_is_allocated_per_record(name):
    variant = KERNEL.variants[name]
    instance = variant.build()
    works = [make_work(numbered(n, 8), ALONE, n, 64) for n in (1, 3000)]
    outs = [KERNEL.output(work, instance.parameters) for work in works]
    variant.replay_from(instance.state, works[0], outs[0], 0, None)
    was = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        counts = []
        for work, out in zip(works, outs, strict=True):
            before = rtsys.get_allocation_stats().alloc
            variant.replay_from(instance.state, work, out, 0, None)
            counts.append(rtsys.get_allocation_stats().alloc - before)
    finally:
        if not was:
            _nrt_python.memsys_disable_stats()
    assert counts[0] == counts[1]  # what the call from Python wraps, whatever the number of records


@pytest.mark.slow
def test_the_probe_counts_batches_waits_and_lines(each):
    variant = KERNEL.variants[each]
    instance = variant.build(instrumented=True, slots=16, batch=8)
    records = numbered(64, 8)
    assert np.array_equal(variant.replay(instance, make_work(records, ALONE, 64, 8)), records)
    counters = instance.counters()
    assert counters["batches"] == 16 and counters["waits"] == 0 and counters["cas_retries"] == 0
    assert instance.probe.histogram.sum() == 8
    assert 2 * 64 <= counters["lines_touched"] <= 8 * 64  # one or two of a slot, and those of the indices
    instance.reset()
    trips = KERNEL.variants[each].replay(instance, make_work(records, ALONE_TRIP, 64, 8))
    assert np.array_equal(trips, records) and instance.probe.histogram.sum() == 64


@pytest.mark.slow
def test_lines_are_those_that_the_variants_ideas_are_about():
    lines = {}
    for name in ("packed", "aligned", "lock_free", "simd"):
        variant = KERNEL.variants[name]
        for size in (8, 64):
            instance = variant.build(instrumented=True, slots=64, batch=32, record_bytes=size)
            variant.replay(instance, make_work(numbered(64, size // 8), ALONE, 6400, 32))
            lines[name, size] = instance.counters()["lines_touched"] / 6400
    assert lines["aligned", 64] == 2 * (1 + 2) and lines["packed", 64] == 2 * (1 + 1)
    assert 4 <= lines["lock_free", 64] < 4.1  # its own index and the slot; the other's index once a batch
    assert 2 <= lines["simd", 64] < 2.2 and 0.2 < lines["simd", 8] < 0.4


def test_bad_parameters_are_told():
    for parameters, expected in [
        ({"slots": 1000}, "slots must be a power of two, not 1000"),
        ({"record_bytes": 12}, "record_bytes must be a multiple of 8, not 12"),
        ({"slots": 1}, "must lie in 2"),
        ({"mode": "duplex"}, "mode must be one of stream, round_trip"),
    ]:
        with pytest.raises(ValueError, match=expected):
            KERNEL.variants["baseline"].build(**parameters)
    with pytest.raises(ValueError, match="one producer and one consumer, not for 4 threads"):
        KERNEL.variants["lock_free"].build(threads=4)
    for parameters, expected in [
        ({"threads": 3}, "threads must be 1 or even, half of them producers, not 3"),
        ({"threads": 4, "mode": "round_trip"}, "a round trip has one or two threads, not 4"),
    ]:
        with pytest.raises(ValueError, match=expected):
            KERNEL.prepare(some_events(), KERNEL.check_parameters(parameters))
    for events, expected in [
        (np.zeros(3), "one-dimensional array of kernels.messages.EVENT"),
        (some_events(0), "no ev"),
    ]:
        with pytest.raises(ValueError, match=expected):
            KERNEL.prepare(events, KERNEL.check_parameters({}))


def test_records_are_made_of_events_and_shared_out_among_threads():
    parameters = KERNEL.check_parameters({"threads": 6, "batch": 16})
    work = KERNEL.prepare(some_events(300), parameters)
    again = KERNEL.prepare(some_events(300), parameters)
    assert np.array_equal(work.records, again.records) and work.records.shape == (4096, 8)
    assert work.records[:, 0].tolist() == list(range(4096))
    assert work.records[301, 2] == 2**40 + 1 and work.records[301, 3] == 5001 << 32 | 100
    out = KERNEL.output(work, parameters)
    shares = KERNEL.divide(work, out, parameters)
    roles = [int(share.plan[ROLE]) for share, _ in shares]
    assert roles == [PRODUCER] * 3 + [CONSUMER] * 3
    for role in (PRODUCER, CONSUMER):
        assert sum(int(s.plan[COUNT]) for s, _ in shares if s.plan[ROLE] == role) == work.plan[COUNT]
    assert np.concatenate([s.records for s, _ in shares[:3]]).tolist() == work.records.tolist()
    assert sum(len(own) for _, own in shares[3:]) == 4096
    for own in (out for _, out in shares[3:]):
        own += 1
    assert np.all(out == 1)  # the consumers' parts are views of the output, and do not overlap


def test_marked_points_are_for_compiled_code_only():
    with pytest.raises(RuntimeError, match="compiled code only"):
        marked_point(None)


TARGET_SCRIPT = """
import re, sys
import numpy as np
from kernels.message_queue import KERNEL
from kernels.message_queue._work import ALONE, make_work
for name in ("simd", "mpmc"):
    for words in (1, 5, 8):
        records = np.random.default_rng(1).integers(-2**63, 2**63, (300, words), np.int64)
        variant = KERNEL.variants[name]
        out = variant.replay(variant.build(slots=32, record_bytes=8 * words), make_work(records, ALONE, 900, 20))
        assert np.array_equal(out, records), (name, words)
assembly = "".join(KERNEL.variants["simd"].replay_from.inspect_asm().values())
print(sorted(set(re.findall(r"v?movdqu\\w*[^\\n]*%([xyz]mm)|v?movup[sd][^\\n]*%([xyz]mm)", assembly)))[-1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpu", "features", "expected"),
    [
        ("x86-64", "", "xmm"),
        ("x86-64-v3", "+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+f16c,+popcnt,+sse4.2", "ymm"),
        (None, None, "mm"),
    ],
    ids=["x86-64", "x86-64-v3", "host"],
)
def test_every_target_gives_the_same(tmp_path, cpu, features, expected):
    settings = {} if cpu is None else {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    environment = {**os.environ, **settings, "WORKBENCH_CACHE": str(tmp_path)}  # a cached function shows no assembly
    command = [sys.executable, "-W", "error", "-c", TARGET_SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout


@kernel_jit(_nrt=False)
def push_range(state, records, begin, end):
    return mpmc_batch.enqueue_some(state, records, begin, end, None, None)


@kernel_jit(_nrt=False)
def pop_range(state, records, begin, end):
    return mpmc_batch.dequeue_some(state, records, begin, end, None, None)


def test_a_batch_of_nothing_takes_nothing_and_returns():
    """`mpmc_batch` must not wait for a slot that it does not need."""
    state = KERNEL.variants["mpmc_batch"].build(slots=4).state
    records = np.zeros((2, state.slots.shape[1] - 1), np.int64)
    assert push_range(state, records, 1, 1) == pop_range(state, records, 0, 0) == 0
    assert push_range(state, records, 0, 2) == 2
    assert push_range(state, records, 2, 2) == pop_range(state, records, 1, 1) == 0
    assert pop_range(state, records, 0, 2) == 2
