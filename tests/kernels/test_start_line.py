"""The start line: what is called behind it gets its arguments, its errors come out, and nobody waits for ever."""

import ctypes
import functools
import re
import threading
import time
from typing import NamedTuple

import numba
import numpy as np
import pytest

from kernels import crew, start_line
from kernels._jit import kernel_jit
from kernels.start_line import ForeignReplay, StartLine, clock_ns


class Inner(NamedTuple):
    words: np.ndarray
    halves: np.ndarray


class Outer(NamedTuple):
    inner: Inner
    table: np.ndarray


@kernel_jit(_nrt=False)
def mixed(state, scale, begin, probe):
    """Write to every array of a state within a state; return something of every argument."""
    state.inner.words[0] += begin
    state.inner.halves[1] = scale
    state.table[1, 2] = 7
    return np.int64(state.inner.words[0] * 1000 + state.table.shape[0] * 10 + (probe is None))


@kernel_jit(_nrt=False)
def note_time(places, index):
    places[index] = clock_ns()


@kernel_jit
def refuse(number):
    if number > 2:
        raise ValueError("no such number")
    return number


@kernel_jit
def halve(number):
    return number / 2


def new_state():
    return Outer(Inner(np.zeros(3, np.int64), np.zeros(3, np.float32)), np.zeros((4, 5), np.int32, order="F"))


def test_compiled_code_gets_its_arguments_and_answers_as_when_it_is_called():
    states = [new_state(), new_state()]
    calls = [functools.partial(mixed, state, 2.5, 3 + index, None) for index, state in enumerate(states)]
    answers, elapsed_ns = crew.run_together(calls)
    plain = [new_state(), new_state()]
    assert answers == [mixed(state, 2.5, 3 + index, None) for index, state in enumerate(plain)] == [3041, 4041]
    for own, other in zip(states, plain, strict=True):
        assert np.array_equal(own.inner.words, other.inner.words)
        assert np.array_equal(own.inner.halves, other.inner.halves) and own.inner.halves[1] == 2.5
        assert np.array_equal(own.table, other.table) and own.table[1, 2] == 7
    assert 0 < elapsed_ns < 10**10


def test_it_is_the_dispatchers_own_code_that_runs():
    gate = StartLine(1, 1).behind(0, functools.partial(mixed, new_state(), 2.5, 3, None))
    fresh = numba.njit(nogil=True, _nrt=False)(start_line.call_compiled.py_func)  # what comes from the disk has no text
    assert fresh(*gate.args) == 3041
    (code,) = fresh.inspect_llvm().values()
    defined = re.findall(r"^define .*@(\S+?)\(", code, re.M)
    assert defined and not any("mixed" in name for name in defined), "called by its address, so no copy can be inlined"


def test_clocks_of_compiled_code_and_of_python_are_one():
    places = np.zeros(2, np.int64)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    crew.run_together([functools.partial(note_time, places, index) for index in range(2)])
    assert before < places.min() <= places.max() < time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def test_the_time_is_from_the_first_begin_to_the_last_end():
    line = StartLine(2, 2)
    line._spans[:, :2] = (100, 180), (130, 250)
    assert (line.span_ns(), line.skew_ns()) == (150, 30)


def test_what_compiled_code_raises_is_raised():
    with pytest.raises(ValueError, match="no such number"):
        crew.run_together([functools.partial(refuse, number) for number in (1, 2, 3)])


def test_compiled_code_that_returns_something_else_is_called_from_python():
    assert crew.run_together([functools.partial(halve, number) for number in (1, 3)])[0] == [0.5, 1.5]


def test_more_threads_than_cores_all_begin(monkeypatch):
    monkeypatch.setattr(crew, "_cores", crew._allowed()[:1])
    places = np.zeros(9, np.int64)
    crew.run_together([functools.partial(note_time, places, index) for index in range(9)])
    assert places.all()


def test_when_one_does_not_come_the_others_go_home():
    places = np.zeros(2, np.int64)
    line = StartLine(2, 2)
    waiting = threading.Thread(target=line.behind(0, functools.partial(note_time, places, 0)))
    waiting.start()
    line.call_off()
    waiting.join(30)
    assert not waiting.is_alive() and not places.any()
    with pytest.raises(threading.BrokenBarrierError):
        line.behind(1, int)()
    assert line.behind(1, functools.partial(note_time, places, 1))() is None and not places.any()


def test_a_second_run_compiles_nothing():
    def run():
        crew.run_together([functools.partial(mixed, new_state(), 2.5, 3, None)] * 2)
        return len(mixed.signatures), len(start_line.call_compiled.signatures)

    assert run() == run()


def bind_copy(state, source, target, begin):
    function = ctypes.CDLL(None).memmove
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return function, (target.ctypes.data + begin, source.ctypes.data + begin, source.nbytes - begin), source.nbytes


def test_the_function_of_a_peer_is_called_with_its_numbers():
    copy = ForeignReplay(bind_copy)
    sources = [np.frombuffer(text, np.uint8) for text in (b"abcdef", b"uvwxyz")]
    targets = [np.zeros(6, np.uint8), np.zeros(6, np.uint8)]
    calls = [functools.partial(copy, None, *pair, 2, None) for pair in zip(sources, targets, strict=True)]
    answers, elapsed_ns = crew.run_together(calls)
    assert answers == [6, 6] and elapsed_ns < 10**10
    assert [target.tobytes() for target in targets] == [b"\0\0cdef", b"\0\0wxyz"]
    assert copy(None, sources[0], targets[1], 0, None) == 6 and targets[1].tobytes() == b"abcdef"
