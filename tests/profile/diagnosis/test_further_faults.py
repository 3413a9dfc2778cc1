"""Faults that a check knows in several forms: each form is seen on its line, and its fix can be tried."""

import inspect
import linecache
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba import njit, prange

from workbench.profile.diagnosis import diagnose

GOOD = {"nogil": True, "error_model": "numpy", "boundscheck": False}


@njit(**GOOD)
def hashed(x):
    total = np.uint64(17)
    for i in range(x.shape[0]):
        total = total * 31 + x[i]  # fault
    return total


@njit(**GOOD)
def halved(x, out):
    for i in range(x.shape[0]):
        out[i] = int(x[i] / 3)  # fault


@njit(**GOOD)
def largest(x):
    top = x[0]
    for i in range(x.shape[0]):
        if x[i] > top:  # fault
            top = x[i]
    return top


@njit(**GOOD)
def serial(x, out):
    for i in prange(x.shape[0]):  # fault
        out[i] = np.sqrt(x[i])


@njit(parallel=True, **GOOD)  # fault
def nothing_parallel(x):
    total = 0.0
    for i in range(x.shape[0]):
        total = total * 0.5 + x[i]
    return total


VALUES = np.random.default_rng(3).random(4096)
WHOLE = np.arange(4096)


@pytest.mark.parametrize(
    ("function", "arguments", "check", "word"),
    [
        (hashed, (WHOLE.astype(np.uint64),), "float_mixing", "uint64"),
        (halved, (WHOLE, np.zeros(4096, np.int64)), "float_mixing", "a // b"),
        (largest, (VALUES,), "float_order", "nnan"),
        (serial, (VALUES, np.zeros(4096)), "parallel", "without parallel=True"),
        (nothing_parallel, (VALUES,), "parallel", "nothing in the function was made parallel"),
    ],
)
def test_a_further_form_is_seen_on_its_line(function, arguments, check, word):
    told = diagnose(function, *arguments, seconds=0.02)
    seen = [finding for finding in (*told.findings, *told.dismissed) if finding.check == check]
    assert seen, str(told)
    lines, first = inspect.getsourcelines(function.py_func)
    fault = first + next(i for i, line in enumerate(lines) if "# fault" in line)
    assert fault in {line for finding in seen for line in finding.lines}
    suspicion = seen[0].suspicion
    assert word in suspicion.what + suspicion.fix
    assert seen[0].effects and not seen[0].effects[0].refused, str(told)


def test_lost_whole_numbers_are_told_although_the_results_differ():
    """Mixed into float64, a hash loses its low bits: the fix changes the result, because the result was wrong."""
    told = diagnose(hashed, WHOLE.astype(np.uint64), seconds=0.02)
    found = next(finding for finding in told.findings if finding.check == "float_mixing")
    assert "2**53" in found.suspicion.what and "results differ" in str(found.best)


def test_a_global_that_has_changed_since_is_told_with_both_values():
    scope = {"numba": numba, "RATE": 2}
    source = "@numba.njit(nogil=True)\ndef scaled(x):\n    return x * RATE\n"
    file = "<a cell>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # as IPython does
    exec(compile(source, file, "exec"), scope)
    scope["scaled"](3.0)
    scope["RATE"] = 5
    told = diagnose(scope["scaled"], 3.0, seconds=0.02)
    stale = next(finding for finding in told.findings if finding.check == "frozen_globals")
    assert "RATE = 2" in stale.suspicion.what and "is 5 now" in stale.suspicion.what


class First(NamedTuple):
    values: np.ndarray


class Second(NamedTuple):
    values: np.ndarray


class Third(NamedTuple):
    values: np.ndarray


class Fourth(NamedTuple):
    values: np.ndarray


@pytest.mark.parametrize("wrap", [True, False])
def test_a_body_for_each_class_of_state_is_a_choice_and_four_dtypes_are_not(wrap):
    @njit(**GOOD)
    def total(state):
        return state[0][0]

    for made in (First, Second, Third, Fourth):
        total(made(VALUES))
    if not wrap:
        for dtype in (np.float32, np.int16, np.uint8):
            total(Fourth(VALUES.astype(dtype)))
    told = diagnose(total, Fourth(VALUES), seconds=0.02)
    assert ("recompiles" in {finding.check for finding in told.findings}) is not wrap
