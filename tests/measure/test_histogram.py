import base64
import math
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.machine import histogram as compiled
from workbench.measure import histogram
from workbench.measure.histogram import HIGHEST_NS, Histogram, HistogramError, merge

values = st.lists(st.integers(0, HIGHEST_NS), max_size=200)
skewed = st.lists(st.floats(0, math.log(HIGHEST_NS)).map(lambda x: int(math.exp(x))), max_size=200)


def recorded(numbers):
    made = Histogram()
    for number in numbers:
        compiled.record(made.counts, number)
    return made


def by_package(numbers):
    made = HdrHistogram(1, HIGHEST_NS, 3)
    for number in numbers:
        made.record_value(number)
    return made


def test_layout_is_that_of_the_compiled_recorder():
    assert histogram.SUB_BUCKETS == compiled.SUB_BUCKETS
    assert histogram.counts_length(HIGHEST_NS) == compiled.counts_length(HIGHEST_NS)
    lowest, highest = histogram._edges(histogram.counts_length(HIGHEST_NS))
    assert all(compiled.lowest_value(i) == lowest[i] for i in range(0, len(lowest), 7))
    assert all(lowest[1:] == highest[:-1] + 1)


@settings(deadline=None, max_examples=40)
@given(values | skewed)
def test_the_package_reads_what_we_write(numbers):
    ours = recorded(numbers)
    theirs = HdrHistogram.decode(ours.encode())
    assert theirs.get_total_count() == len(numbers)
    assert [theirs.get_count_at_index(i) for i in range(theirs.counts_len)] == ours.counts.tolist()


@settings(deadline=None, max_examples=40)
@given(values | skewed)
def test_we_read_what_the_package_writes(numbers):
    ours = Histogram.decode(by_package(numbers).encode())
    assert (ours.counts == recorded(numbers).counts).all()


@settings(deadline=None, max_examples=40)
@given(skewed.filter(bool), st.integers(0, 1000))
def test_percentiles_are_those_of_the_sorted_values(numbers, per_mille):
    ours = recorded(numbers)
    rank = max(math.ceil(per_mille * len(numbers) / 1000), 1)
    exact = sorted(numbers)[rank - 1]
    assert exact <= ours.value_at(per_mille / 10) <= max(exact * 1.001, exact)
    theirs = by_package(numbers)
    assert (ours.minimum, ours.maximum) == (theirs.get_min_value(), theirs.get_max_value())
    assert ours.mean == pytest.approx(theirs.get_mean_value())


@given(st.lists(st.integers(0, 2**62), max_size=60))
def test_any_counts_survive(counts):
    made = Histogram()
    made.counts[: len(counts)] = counts
    assert (Histogram.decode(made.encode()).counts == made.counts).all()


@settings(deadline=None, max_examples=40)
@given(skewed.filter(bool))
def test_the_payload_is_the_packages_byte_for_byte(numbers):
    ours, theirs = (base64.b64decode(each.encode())[8:] for each in (recorded(numbers), by_package(numbers)))
    assert zlib.decompress(ours) == zlib.decompress(theirs)


def test_merging_is_adding():
    first, second = recorded([5, 700, 10**6]), recorded([5, 9])
    whole = merge([first, second])
    assert whole.total == 5
    assert whole.value_at(40) == 5
    assert (first.total, second.total) == (3, 2)


def test_merging_takes_the_longer_reach():
    short = Histogram(highest=10**6)
    short.counts[7] = 3
    short.add(recorded([10**9]))
    assert short.total == 4
    assert short.maximum >= 10**9


def test_empty():
    empty = Histogram.decode(Histogram().encode())
    assert (empty.total, empty.value_at(99), empty.mean, empty.maximum, empty.interpolated_at(50, 10)) == (
        0,
        0,
        0,
        0,
        0,
    )


@pytest.mark.parametrize("true_ns", [41.0, 44.0, 47.3, 52.9])
def test_interpolation_finds_a_duration_between_two_steps_of_the_clock(true_ns):
    random_ = np.random.default_rng(1)
    stamps = np.floor((random_.random(20_000) * 10 + true_ns) / 10) * 10
    made = Histogram()
    np.add.at(made.counts, stamps.astype(int), 1)
    assert made.value_at(50) in (40, 50)
    assert made.interpolated_at(50, 10) == pytest.approx(true_ns, abs=2.6)


def test_interpolation_follows_a_change_far_below_the_step():
    found = []
    for true_ns in (44.0, 45.32):
        made = Histogram()
        share = (true_ns - 40) / 10
        made.counts[40], made.counts[50] = round(10_000 * (1 - share)), round(10_000 * share)
        found.append(made.interpolated_at(50, 10))
    assert 1.01 < found[1] / found[0] < 1.06


def test_damaged_texts_are_refused_with_a_sentence():
    text = recorded([1, 2, 3, 4000]).encode()
    raw = base64.b64decode(text)
    inner = bytearray(zlib.decompress(raw[8:]))
    inner[15] = 2  # digits
    squeezed = zlib.compress(bytes(inner))
    other_layout = base64.b64encode(raw[:4] + len(squeezed).to_bytes(4, "big") + squeezed)
    for bad in ("", "!!!", "AAAA", text[:40], text[:-8], base64.b64encode(b"x" * 60), other_layout):
        with pytest.raises(HistogramError):
            Histogram.decode(bad)
    with pytest.raises(HistogramError, match="reach"):
        Histogram(np.zeros(10, np.int64))
