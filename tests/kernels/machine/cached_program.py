"""One function that uses every ability; prints its results and what had to be compiled, as JSON."""

import json
import sys

import numpy as np

from kernels._jit import compile_listener, kernel_jit
from kernels.machine import affinity, atomics, bits, hints, locks, prefetch, stack, valgrind
from kernels.machine import vector as v
from kernels.machine.cycles import read_cycles
from kernels.machine.histogram import record, record_atomic
from kernels.machine.memory import aligned

SWAP = v.pattern(1, 0)


@kernel_jit
def everything(words, mutex, doubles, counts):
    began = read_cycles()
    atomics.add(words, 0, 1, atomics.RELAXED)
    locks.mutex_lock(mutex)
    room = stack.stack_zeros(4, np.int64)
    room[words[0] & 3] = affinity.current_core() >= 0
    prefetch.prefetch_write(words, 64)
    valgrind.toggle_collect()
    total = v.reduce_add(v.load(doubles, 0)) + v.shuffle(v.load(doubles, 0, 2), SWAP)[0]
    if hints.unlikely(valgrind.running_on_valgrind() > 1):
        hints.pause()
    record(counts, 5)
    record_atomic(counts, 5)
    locks.mutex_unlock(mutex)
    return words[0], room.sum(), total, bits.popcount(7), read_cycles() >= began


if __name__ == "__main__":
    compiled = []
    state = (np.zeros(8, np.int64), aligned(64, np.uint8), np.ones(64), np.zeros(100, np.int64))
    with compile_listener(lambda name, seconds: compiled.append(name)):
        locks.mutex_init(state[1])
        count, found, total, three, forward = everything(*state)
    wanted = v.lanes(np.float64) + 1.0
    right = (count, found, total, three, forward, state[3][5]) == (1, 1, wanted, 3, True, 2)
    json.dump({"right": bool(right), "compiled": compiled}, sys.stdout)
