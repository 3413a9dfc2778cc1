"""A kernel with client requests around it; prints the answer and how many Valgrinds there are, as JSON."""

import json
import sys

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine import valgrind


@kernel_jit
def walk(values, stride):
    total = 0.0
    for i in range(0, values.shape[0], stride):
        total += values[i]
    return total


@kernel_jit
def observed(values, stride, name):
    valgrind.start_instrumentation()
    total = walk(values, stride)
    valgrind.toggle_collect()
    total += walk(values, stride)
    valgrind.toggle_collect()
    valgrind.dump_at(name)
    valgrind.stop_instrumentation()
    return total, valgrind.running_on_valgrind()


if __name__ == "__main__":
    label = np.frombuffer(b"walk by 8\0", np.uint8).copy()
    total, valgrinds = observed(np.ones(65536), 8, label)
    json.dump({"total": total, "valgrinds": valgrinds}, sys.stdout)
