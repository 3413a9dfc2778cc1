"""Hints, prefetch, cycles, stack arrays and affinity: results, instructions, refusals."""

import contextlib
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from machine_code import assembly, needs_x86
from numba import boolean, float64, int64, types
from numba.core.errors import TypingError

from kernels._jit import kernel_jit
from kernels.machine import affinity, hints, prefetch
from kernels.machine.cycles import read_cycles
from kernels.machine.stack import stack_empty, stack_zeros

WORDS = types.Array(int64, 1, "C")
needs_pinning = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="pinning needs Linux")


@kernel_jit
def hinted(x):
    hints.assume(x >= 0)
    hints.pause()
    hints.yield_core()
    if hints.unlikely(x > 10):
        return 1
    if hints.likely(x < 5):
        return 2
    return 3


def test_hints_change_no_result():
    assert [hinted(x) for x in (0, 7, 11)] == [2, 3, 1]


def test_hints_turn_the_branch():
    def rare(a, x):
        if hints.unlikely(a[0] > x):
            a[1] = a[2] * 7
        else:
            a[3] = a[4] + 11

    def common(a, x):
        if hints.likely(a[0] > x):
            a[1] = a[2] * 7
        else:
            a[3] = a[4] + 11

    assert assembly(rare, WORDS, int64) != assembly(common, WORDS, int64).replace("common", "rare")


@kernel_jit
def chosen(condition, x, y):
    return hints.choose(condition, x, y)


def test_choose_gives_one_of_the_two():
    for x, y in ((3, 4), (2.5, 4), (np.uint64(2**64 - 1), np.uint64(1)), (True, False)):
        assert chosen(True, x, y) == x and chosen(False, x, y) == y
    with pytest.raises(TypingError, match="takes a boolean first"):
        chosen(1, 2, 3)
    with pytest.raises(TypingError, match="takes two numbers"):
        chosen(True, np.zeros(2), 3)


@needs_x86
def test_choose_has_no_branch_where_llvm_would_have_made_one():
    """LLVM branches around a costly operand that only one side needs, unless it is told that nobody can guess."""

    def guessed(a, x):
        total = 0
        for i in range(a.shape[0]):
            total += a[i] // 7 // x if a[i] & 1 else total
        return total

    def computed(a, x):
        total = 0
        for i in range(a.shape[0]):
            total += hints.choose(a[i] & 1 != 0, a[i] // 7 // x, total)
        return total

    jumps = [
        sum(line.split()[0].startswith("j") for line in assembly(f, WORDS, int64).splitlines() if line.split())
        for f in (guessed, computed)
    ]
    assert jumps[1] < jumps[0]


def test_opaque_hides_a_value_and_changes_it_not():
    @kernel_jit
    def hidden(x):
        return hints.opaque(x)

    for value in (0, -1, 2**62, np.uint64(2**64 - 1), np.int32(-7)):
        assert hidden(value) == value
    with pytest.raises(TypingError, match="opaque takes an integer"):
        hidden(1.5)

    def known(x):
        return (x & 1) * 2 & 1

    def unknown(x):
        return hints.opaque((x & 1) * 2) & 1

    assert len(assembly(unknown, int64)) > len(assembly(known, int64))  # LLVM knows the first to be 0


@needs_x86
def test_instructions_of_hints_and_cycles():
    def waits():
        hints.pause()

    def stamps():
        return read_cycles()

    def divides(n):
        hints.assume(n >= 0)
        return n // 8

    def divides_any(n):
        return n // 8

    assert "pause" in assembly(waits)
    assert "rdtsc" in assembly(stamps)
    assert len(assembly(divides, int64).splitlines()) <= len(assembly(divides_any, int64).splitlines())


def test_cycles_go_forward():
    @kernel_jit
    def stamps(out):
        for i in range(out.shape[0]):
            out[i] = read_cycles()

    out = np.zeros(1000, np.int64)
    stamps(out)
    assert (np.diff(out) >= 0).all()
    assert out[-1] > out[0]


def test_a_hint_on_a_number_is_refused():
    def hopes(x):
        return hints.likely(x)

    with pytest.raises(TypingError, match="takes a boolean"):
        assembly(hopes, float64)
    assert assembly(hopes, boolean)


@needs_x86
def test_instructions_of_prefetch():
    def asks(a, i):
        prefetch.prefetch_read(a, i)
        prefetch.prefetch_l2(a, i + 64)
        prefetch.prefetch_once(a, i + 128)
        prefetch.prefetch_write(a, i + 192)

    listing = assembly(asks, WORDS, int64)
    for instruction in ("prefetcht0", "prefetcht1", "prefetchnta"):
        assert instruction in listing
    assert "prefetchw" in listing or listing.count("prefetcht0") == 2


def test_a_prefetch_outside_the_array_does_nothing():
    @kernel_jit
    def asks(a):
        prefetch.prefetch_read(a, -(1 << 40))
        prefetch.prefetch_write(a, 1 << 40)
        return a.sum()

    assert asks(np.ones(4, np.int64)) == 4


@kernel_jit
def on_the_stack(n, out):
    for i in range(n):
        fresh = stack_zeros(8, np.int64)
        table = stack_empty((2, 4), np.float32)
        for k in range(8):
            fresh[k] += k + i
            table[k // 4, k % 4] = fresh[k]
        out[i] = fresh.sum() + table[1, 3]


def test_stack_arrays_are_fresh_each_time_round():
    out = np.zeros(5)
    on_the_stack(5, out)
    assert out.tolist() == [sum(k + i for k in range(8)) + 7 + i for i in range(5)]


def test_stack_arrays_do_not_allocate():
    def scratch(n):
        total = 0
        for i in range(n):
            room = stack_zeros(4, np.int64)
            room[i & 3] = i
            total += room[0] + room[3]
        return total

    def allocated(n):
        total = 0
        for i in range(n):
            room = np.zeros(4, np.int64)
            room[i & 3] = i
            total += room[0] + room[3]
        return total

    assert "NRT_MemInfo_alloc" not in assembly(scratch, int64)
    assert "NRT" in assembly(allocated, int64)  # so that the line above can fail


@pytest.mark.parametrize(
    ("misuse", "sentence"),
    [
        (lambda n: stack_zeros(n, np.int64)[0], "each length of a stack array must be a constant"),
        (lambda n: stack_zeros(0, np.int64)[0], "must be at least 1"),
        (lambda n: stack_zeros(1000000, np.int64)[0], "pass an array in"),
        (lambda n: stack_zeros(4, np.complex128)[0], "holds integers or floats"),
    ],
)
def test_bad_stack_arrays_are_refused(misuse, sentence):
    with pytest.raises(TypingError, match=sentence):
        assembly(misuse, int64)


@kernel_jit
def where():
    return affinity.current_core()


@needs_pinning
def test_a_pinned_thread_runs_there_and_only_inside_the_block():
    before = affinity.allowed_cores()
    where()
    for core in before:
        with affinity.pinned(core) as done:
            assert done
            assert affinity.allowed_cores() == (core,)
            assert where() == core
    assert affinity.allowed_cores() == before


@needs_pinning
def test_pinning_a_thread_leaves_the_others():
    before = affinity.allowed_cores()
    thread = threading.Thread(target=affinity.pin_thread, args=(before[0],))
    thread.start()
    thread.join()
    assert affinity.allowed_cores() == before


@needs_pinning
def test_pinning_the_process_takes_every_thread():
    before = affinity.allowed_cores()
    started, done, seen = threading.Event(), threading.Event(), []

    def other():
        started.set()
        done.wait()
        seen.append(affinity.allowed_cores())

    thread = threading.Thread(target=other)
    thread.start()
    started.wait()
    try:
        assert affinity.pin_process(before[0])
        done.set()
        thread.join()
        assert seen == [(before[0],)]
    finally:
        done.set()
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(task.name), before)


@needs_pinning
def test_a_refusal_of_the_system_is_told_and_a_core_that_is_not_there_is_an_error(monkeypatch):
    with pytest.raises(ValueError, match="there is no core 100000"):
        affinity.pin_thread(100_000)

    def refuse(task, cores):
        raise PermissionError

    before = affinity.allowed_cores()
    monkeypatch.setattr(affinity.os, "sched_setaffinity", refuse)
    assert not affinity.pin_thread(before[0])
    with affinity.pinned(before[0]) as done:
        assert not done


def test_outside_linux_there_is_one_clear_sentence(monkeypatch):
    monkeypatch.delattr(affinity.os, "sched_setaffinity", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RuntimeError, match="needs Linux, and this is darwin"):
        affinity.pin_thread(0)
