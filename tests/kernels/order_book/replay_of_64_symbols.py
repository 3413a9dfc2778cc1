"""Print the peak of the resident memory, in bytes, of this process, which replays a recording with one variant.

``python replay_of_64_symbols.py VARIANT RECORDING``. The recording is read in blocks, as a feed would give them: a file
that is mapped whole counts as resident too. As in the memory that the workbench reports, the compiler's machine code is
given back when the first block has loaded what is compiled: how much of it lies in RAM depends on the page cache.
"""

import sys
from pathlib import Path

import numpy as np

import kernels
from kernels.machine.compiler_code import release_compiler_code
from kernels.messages import BEST, EVENT
from workbench.measure.memory import forget_highest, highest_bytes

BLOCK = 16_384

book = kernels.get("order_book")
variant = book.variants[sys.argv[1]]
instance = variant.build(symbols=64)
with Path(sys.argv[2]).open("rb") as stream:
    np.lib.format.read_magic(stream)
    (length,), _, _ = np.lib.format.read_array_header_1_0(stream)
    block, out, done = np.zeros(BLOCK, EVENT), np.zeros(BLOCK, BEST), 0
    events = book.prepare(block, instance.parameters)
    settled = False
    while count := stream.readinto(block.view(np.uint8)) // EVENT.itemsize:
        variant.replay(instance, events[:count], out[:count])
        done += count
        if not settled:
            release_compiler_code()
            forget_highest()
            settled = True
assert done == length
print(highest_bytes())
