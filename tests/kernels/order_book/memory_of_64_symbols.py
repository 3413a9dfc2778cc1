"""Print the resident memory, in bytes, that a book of 64 symbols takes with 2.8 million orders in a fresh process."""

import sys
from pathlib import Path

import numpy as np

import kernels
from kernels.messages import BEST, EVENT, Kind


def resident(name):
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) * 1024


book = kernels.get("order_book")
variant = book.variants[sys.argv[1]]
small = variant.build(symbols=64)
variant.replay(small, np.zeros(1, EVENT))  # load the compiled code first: it is not the book's memory
before = resident("VmRSS:")
instance = variant.build(symbols=64)
random = np.random.default_rng(1)
part = np.zeros(50_000, EVENT)
out = np.zeros(len(part), BEST)
events = book.prepare(part, instance.parameters)
for first in range(0, 2_800_000, len(part)):
    part["kind"], part["size"] = Kind.ADD, 100
    part["order_id"] = np.arange(first + 1, first + 1 + len(part)) * 16
    part["symbol"] = random.integers(0, 64, len(part))
    part["price_ticks"] = 58_000 + random.integers(0, 2_000, len(part))
    part["side"] = random.integers(0, 2, len(part))
    variant.replay(instance, events, out)
assert instance.state.bad.sum() == 0 and len(instance.state.bad)
print(resident("VmRSS:") - before)
