"""Atomics: results against plain Python, the instruction and its order in the machine code, misuse refused."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_code import assembly, needs_x86
from numba import int64, types
from numba.core.errors import TypingError

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine.atomics import ACQ_REL, ACQUIRE, RELAXED, RELEASE, SEQ_CST
from kernels.machine.memory import aligned

INTEGERS = (np.int64, np.uint64, np.int32, np.uint8)
WORDS = types.Array(int64, 1, "C")


@kernel_jit
def every_operation(cells, value, out):
    out[0] = atomics.add(cells, 0, value, RELAXED)
    out[1] = atomics.sub(cells, 1, value, ACQUIRE)
    out[2] = atomics.and_(cells, 2, value, RELEASE)
    out[3] = atomics.or_(cells, 3, value, ACQ_REL)
    out[4] = atomics.xor(cells, 4, value, SEQ_CST)
    out[5] = atomics.minimum(cells, 5, value, RELAXED)
    out[6] = atomics.maximum(cells, 6, value, RELAXED)
    out[7] = atomics.exchange(cells, 7, value, "acq_rel")


@pytest.mark.parametrize("dtype", INTEGERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_operations_equal_plain_python(dtype, data):
    limits = np.iinfo(dtype)
    numbers = st.integers(int(limits.min), int(limits.max))
    start = data.draw(st.lists(numbers, min_size=8, max_size=8))
    value = data.draw(numbers)
    cells, out = np.array(start, dtype), np.zeros(8, dtype)
    every_operation(cells, dtype(value), out)
    assert out.tolist() == start
    plain = [s + value for s in start[:1]] + [start[1] - value, start[2] & value, start[3] | value, start[4] ^ value]
    plain += [min(start[5], value), max(start[6], value), value]
    assert cells.tolist() == [int(np.array(x & (2**64 - 1), np.uint64).astype(dtype)) for x in plain]


@kernel_jit
def try_exchange(cells, expected, desired):
    return atomics.compare_exchange(cells, (0, 1), expected, desired, ACQ_REL)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_compare_exchange_tells_what_was_there(dtype):
    cells = np.zeros((2, 2), dtype)
    assert try_exchange(cells, dtype(0), dtype(7)) == (0, True)
    assert try_exchange(cells, dtype(0), dtype(9)) == (7, False)
    assert cells.tolist() == [[0, 7], [0, 0]]


@kernel_jit
def move(floats, fields):
    atomics.store(floats, 1, atomics.load(floats, 0, ACQUIRE), RELEASE)
    atomics.add(fields, 1, 5, RELAXED)
    return atomics.exchange(floats, 0, 2.5, SEQ_CST)


def test_floats_move_and_fields_of_records_count():
    floats = np.array([1.5, 0.0])
    records = np.zeros(3, [("price", "<i8"), ("size", "<i4"), ("rest", "<i4")])
    assert move(floats, records["size"]) == 1.5
    assert floats.tolist() == [2.5, 1.5]
    assert records["size"].tolist() == [0, 5, 0]
    assert not records["price"].any()


def listing_of(order_of):
    return assembly(order_of, WORDS)


@needs_x86
def test_instructions():
    def counts(a):
        return atomics.add(a, 0, 3, RELAXED)

    def counts_only(a):
        atomics.add(a, 0, 3, RELAXED)

    def swaps(a):
        return atomics.compare_exchange(a, 0, 1, 2, ACQ_REL)[1]

    def exchanges(a):
        return atomics.exchange(a, 0, 2, RELAXED)

    assert "lock xaddq" in listing_of(counts)
    assert "xadd" not in listing_of(counts_only)
    assert "lock" in listing_of(counts_only)
    assert "cmpxchgq" in listing_of(swaps)
    assert "xchgq" in listing_of(exchanges)


@needs_x86
def test_only_seq_cst_stores_and_fences_cost_an_instruction():
    def published(a):
        atomics.store(a, 0, 1, RELEASE)

    def ordered(a):
        atomics.store(a, 0, 1, SEQ_CST)

    def fenced(a):
        atomics.fence(SEQ_CST)

    def light_fence(a):
        atomics.fence(ACQ_REL)

    assert "xchg" not in listing_of(published)
    assert "xchg" in listing_of(ordered)
    assert "mfence" in listing_of(fenced) or "lock" in listing_of(fenced)
    assert "mfence" not in listing_of(light_fence)
    assert "lock" not in listing_of(light_fence)


@needs_x86
def test_a_relaxed_load_is_not_taken_out_of_a_loop():
    def waits(a):
        while atomics.load(a, 0, RELAXED) == 0:
            pass

    def never_looks_again(a):
        while a[0] == 0:
            pass

    def loop_of(listing):
        return listing[listing.index(".LBB0_1:") :].split("\n.LBB", 1)[0]

    assert "(%r" in loop_of(listing_of(waits)).split(" j")[0]  # a load, and then the jump back
    assert "(%r" not in loop_of(listing_of(never_looks_again))  # a plain one is read once


@pytest.mark.parametrize(
    ("misuse", "sentence"),
    [
        (lambda a: atomics.load(a, 0, "release"), "the order of atomics.load must be one of relaxed, acquire, seq_cst"),
        (lambda a: atomics.store(a, 0, 1, "acquire"), "the order of atomics.store must be one of"),
        (lambda a: atomics.fence("relaxed"), "the order of atomics.fence must be one of"),
        (lambda a: atomics.store(a, 0, 1.5, "release"), "cannot put a float64 into an element of int64"),
        (lambda a: atomics.add(a, (0, 0), 1, "relaxed"), "takes one whole number for each of the 1 dimensions"),
        (lambda a: atomics.add(3, 0, 1, "relaxed"), "works on an element of an array"),
        (lambda a: atomics.add(a.view(np.float64), 0, 1.0, "relaxed"), "has no machine instruction for elements"),
    ],
)
def test_misuse_is_refused_when_compiling(misuse, sentence):
    with pytest.raises(TypingError, match=sentence):
        assembly(misuse, WORDS)


def test_a_run_time_order_is_refused():
    def ordered_by_argument(a, order):
        return atomics.load(a, 0, order)

    with pytest.raises(TypingError, match="must be a constant in the source"):
        assembly(ordered_by_argument, WORDS, types.unicode_type)


@kernel_jit
def add_many(cells, times):
    for _ in range(times):
        atomics.add(cells, 0, 1, RELAXED)


@kernel_jit
def add_by_exchange(cells, times):
    for _ in range(times):
        seen = atomics.load(cells, 0, RELAXED)
        while True:
            seen, done = atomics.compare_exchange(cells, 0, seen, seen + 1, RELAXED)
            if done:
                break


@pytest.mark.parametrize("adder", [add_many, add_by_exchange])
def test_two_threads_lose_no_update(adder):
    cells, times = aligned(8, np.int64), 1_000_000
    adder(cells, 0)  # compiled before the threads start
    threads = [threading.Thread(target=adder, args=(cells, times)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cells[0] == 2 * times
