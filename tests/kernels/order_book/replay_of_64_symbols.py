"""Print the peak of the resident memory, in bytes, of this process, which replays a recording with one variant.

``python replay_of_64_symbols.py VARIANT RECORDING``. The recording is read in blocks, as a feed would give them: a file
that is mapped whole counts as resident too.
"""

import sys
from pathlib import Path

import numpy as np

import kernels
from kernels.messages import BEST, EVENT

BLOCK = 16_384

book = kernels.get("order_book")
variant = book.variants[sys.argv[1]]
instance = variant.build(symbols=64)
with Path(sys.argv[2]).open("rb") as stream:
    np.lib.format.read_magic(stream)
    (length,), _, _ = np.lib.format.read_array_header_1_0(stream)
    block, out, done = np.zeros(BLOCK, EVENT), np.zeros(BLOCK, BEST), 0
    events = book.prepare(block, instance.parameters)
    while count := stream.readinto(block.view(np.uint8)) // EVENT.itemsize:
        variant.replay(instance, events[:count], out[:count])
        done += count
assert done == length
status = Path("/proc/self/status").read_text()
print(int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024)
