"""What stands in the code of a line is counted once, and by kind."""

import numpy as np
import pytest
from numba import njit, vectorize

from kernels.machine.atomics import RELAXED, add
from workbench.errors import InputError
from workbench.profile.instruction_mix import KINDS, instruction_mix


@njit(nogil=True)
def scaled(value):
    return value * 3.0  # inlined


@njit(nogil=True)
def mixed(values, places, out):
    for i in range(places.shape[0]):
        out[places[i]] = scaled(values[places[i]])  # scattered
    add(places, 0, 1, RELAXED)  # atomic


@pytest.fixture(scope="module")
def profile():
    return instruction_mix(mixed, np.ones(8), np.arange(8), np.zeros(8))


def on(profile, mark):
    (line,) = [line for line in profile.counters if mark in profile.source(line)]
    return profile.counters[line]


def test_each_kind_stands_on_its_line(profile):
    assert on(profile, "# atomic")["atomics"] == 1
    assert on(profile, "# scattered")["stores"] >= 1 and on(profile, "# scattered")["loads"] >= 1
    assert "atomics" not in on(profile, "# scattered")
    assert {name for counters in profile.counters.values() for name in counters} <= set(KINDS)
    assert profile.total == sum(counters[KINDS[0]] for counters in profile.counters.values())


def test_it_counts_the_code_and_not_what_runs(profile):
    more = instruction_mix(mixed, np.ones(4096), np.arange(4096), np.zeros(4096))
    assert more.counters == profile.counters
    assert "no cache was simulated" in more.notes[0]


def test_what_was_inlined_stands_on_its_own_line(profile):
    assert any("# inlined" in profile.source(line) and line.function == "scaled" for line in profile.counters)


def test_a_ufunc_is_refused_with_the_way_out():
    doubled = vectorize(["float64(float64)"])(lambda x: x * 2)
    with pytest.raises(InputError, match="inside it"):
        instruction_mix(doubled, np.ones(3))
