"""The row on coordinated omission: what it is held against is the queue's own answer."""

import numpy as np
import pytest
from proof import omission

from workbench.measure.clock import is_invariant
from workbench.measure.histogram import Histogram
from workbench.measure.open_loop import Opened
from workbench.measure.schedule import fixed


def test_the_queue_is_computed_as_its_definition_says():
    due = fixed(omission.RATE_PER_S, omission.OPERATIONS)
    opened = Opened(due, due, due + 40)
    waits = np.full(len(due), 40.0)
    half, pause = len(due) // 2, 20_000_000
    delayed = np.arange(len(due) - half)
    waits[half:] = np.maximum(pause + 40 * delayed - delayed * 10_000, 40)
    expected = np.sort(waits)[-100]
    found = omission.analytic_p99(opened, pause)
    assert abs(found - expected) <= omission.bucket_ns(found)


@pytest.mark.parametrize("value", [1, 2047, 2048, 4097, 19_005_439, 2**40 + 12_345])
def test_buckets_are_those_of_the_histogram(value):
    made = Histogram()
    place = omission._place(value)
    if place < len(made.counts):
        made.counts[place] = 1
        assert made.minimum <= value <= made.maximum
        assert made.maximum - made.minimum + 1 == omission.bucket_ns(value)


@pytest.mark.skipif(not is_invariant(), reason="the time-stamp counter of this machine is not invariant")
def test_a_pause_shows_in_the_corrected_percentile_alone():
    found = omission.inject()
    assert found["pause_ns"] >= 0.99 * omission.PAUSE_NS
    assert found["corrected_p99_ns"] >= found["analytic_p99_ns"] - found["bucket_ns"]
    assert found["uncorrected_p99_ns"] < found["corrected_p99_ns"] / 2
