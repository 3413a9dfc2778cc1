"""Replay a recording through a pipeline block by block, as a feed would give it: ``python FILE VARIANT RECORDING``.

Prints the peak of this process's resident memory in bytes, the messages, the orders and the ns a message. The
compiler's machine code is given back when the first block has loaded what is compiled, as the workbench does.
"""

import sys
import time
from pathlib import Path

import numpy as np

import kernels
from kernels.machine.compiler_code import release_compiler_code
from kernels.messages import EVENT, ORDER
from kernels.tick_to_order._layout import TAKEN
from workbench.measure.memory import forget_highest, highest_bytes

BLOCK = 16_384

tick = kernels.get("tick_to_order")
variant = tick.variants[sys.argv[1]]
instance = variant.build(symbols=64)
with Path(sys.argv[2]).open("rb") as stream:
    np.lib.format.read_magic(stream)
    (length,), _, _ = np.lib.format.read_array_header_1_0(stream)
    block, out, done, spent = np.zeros(BLOCK, EVENT), np.zeros(BLOCK, ORDER), 0, 0
    events = tick.prepare(block, instance.parameters)
    while count := stream.readinto(block.view(np.uint8)) // EVENT.itemsize:
        began = time.perf_counter_ns()
        variant.replay(instance, events[:count], out[:count])
        spent += time.perf_counter_ns() - began if done else 0
        if not done:
            release_compiler_code()
            forget_highest()
        done += count
assert done == length
print(highest_bytes(), done, instance.state.gateway[TAKEN], round(spent / max(done - BLOCK, 1), 2))
