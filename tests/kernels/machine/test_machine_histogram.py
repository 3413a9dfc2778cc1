"""The histogram: buckets, recording by one and by many threads, merging, percentiles against HdrHistogram."""

import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from machine_code import assembly, needs_x86
from numba import int64, types

from kernels._jit import kernel_jit
from kernels.machine import histogram as h
from kernels.machine.memory import aligned

HIGHEST = 60 * 10**9
LENGTH = h.counts_length(HIGHEST)
VALUES = st.one_of(st.integers(0, 5000), st.integers(0, HIGHEST))


@kernel_jit
def record_all(counts, values):
    for i in range(values.shape[0]):
        h.record(counts, values[i])


@kernel_jit
def record_all_atomic(counts, values):
    for i in range(values.shape[0]):
        h.record_atomic(counts, values[i])


def test_length_as_documented():
    assert LENGTH == 27_648
    assert h.counts_length(2**63 - 1) <= h.MAX_BUCKETS


@given(st.integers(0, 2**62))
@example(2047)
@example(2048)
@example(HIGHEST)
@settings(max_examples=200, deadline=None)
def test_a_value_lies_in_its_bucket_known_to_a_thousandth(value):
    index = h.bucket_index(value)
    low, high = h.lowest_value(index), h.highest_value(index)
    assert low <= value <= high
    assert high - low <= max(value // 1000, 0)
    assert h.bucket_index(low) == h.bucket_index(high) == index


@pytest.mark.parametrize("recorder", [record_all, record_all_atomic])
def test_values_outside_go_to_the_ends(recorder):
    counts = np.zeros(LENGTH, np.int64)
    recorder(counts, np.array([-5, 0, -(2**63), 2**63 - 1, HIGHEST * 4], np.int64))
    assert counts[0] == 3
    assert counts[-1] == 2
    assert counts.sum() == 5


FRACTIONS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6)


def plain_percentile(values, fraction):
    """Return what HdrHistogram defines, from the sorted values themselves."""
    rank = max(int(fraction * len(values) + 0.5), 1)
    return h.highest_value(h.bucket_index(sorted(values)[min(rank, len(values)) - 1]))


@given(st.lists(VALUES, min_size=1, max_size=60), FRACTIONS, st.sampled_from([LENGTH, 30 * 1024 + 37]))
@settings(max_examples=100, deadline=None)
def test_percentiles_equal_the_sorted_values(values, fractions, length):
    counts = np.zeros(length, np.int64)
    record_all(counts, np.array(values, np.int64))
    assert h.total_count(counts) == len(values)
    expected = [plain_percentile(values, fraction) for fraction in fractions]
    assert h.value_at_percentiles(counts, np.array(fractions)).tolist() == expected
    assert [h.value_at_percentile(counts, fraction, len(values)) for fraction in fractions] == expected


def test_percentiles_equal_hdrhistogram():
    hdrh = pytest.importorskip("hdrh.histogram")
    values = np.random.default_rng(5).lognormal(8, 1.5, 20_000).astype(np.int64)
    theirs, counts = hdrh.HdrHistogram(1, HIGHEST, 3), np.zeros(LENGTH, np.int64)
    for value in values.tolist():
        theirs.record_value(value)
    record_all(counts, values)
    for fraction in (0.0, 0.5, 0.9, 0.99, 0.999, 1.0):
        wanted = theirs.get_value_at_percentile(fraction * 100)
        if fraction == 0.0:
            wanted = theirs.get_highest_equivalent_value(wanted)  # they give the lowest value there
        assert h.value_at_percentile(counts, fraction, len(values)) == wanted


def test_an_empty_histogram_has_zeros():
    counts = np.zeros(LENGTH, np.int64)
    assert h.value_at_percentile(counts, 0.5, 0) == 0
    assert h.value_at_percentiles(counts, np.array([0.5, 1.0])).tolist() == [0, 0]


def test_merge_adds_and_refuses_other_lengths():
    a, b = np.arange(LENGTH), np.arange(LENGTH) * 10
    h.merge(a, b)
    np.testing.assert_array_equal(a, np.arange(LENGTH) * 11)
    with pytest.raises(ValueError, match="different lengths cannot be merged"):
        h.merge(a, b[:-1].copy())
    with pytest.raises(ValueError, match="longer than any histogram"):
        h.value_at_percentiles(np.zeros(h.MAX_BUCKETS + 1, np.int64), np.array([0.5]))


def test_two_threads_lose_no_value():
    counts = aligned(LENGTH, np.int64)
    values = np.random.default_rng(6).integers(0, 16, 1_000_000)  # few buckets: both threads meet in them
    record_all_atomic(counts, values[:0])
    threads = [threading.Thread(target=record_all_atomic, args=(counts, values)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(counts[:16], 2 * np.bincount(values))


@needs_x86
def test_recording_is_a_handful_of_instructions():
    def once(counts, value):
        h.record(counts, value)

    def once_atomic(counts, value):
        h.record_atomic(counts, value)

    words = types.Array(int64, 1, "C")
    plain, atomic = assembly(once, words, int64), assembly(once_atomic, words, int64)
    assert "lock" not in plain
    assert "lock" in atomic
    for listing in (plain, atomic):
        assert "call" not in listing
        assert len([line for line in listing.splitlines() if line.startswith(" ")]) <= 30
