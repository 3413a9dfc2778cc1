"""Run with NUMBA_BOUNDSCHECK=1: print IndexError, to prove that the checks are on, then each variant that passed."""

import numpy as np
import streams

import kernels
from kernels._jit import kernel_jit
from kernels.messages import Kind
from kernels.order_book.reference import Reference


@kernel_jit
def beyond(array):
    return array[np.uint64(3)]


try:
    beyond(np.zeros(3))
except IndexError:
    print("IndexError")

events = streams.walk(21, 3000, symbols=2)
random = np.random.default_rng(2)
noise = np.frombuffer(random.bytes(3000 * events.dtype.itemsize), events.dtype).copy()
noise["kind"] = random.integers(0, 12, len(noise))
noise["symbol"] %= 3
noise["side"] %= 3
noise["order_id"] %= np.uint64(40)
noise["price_ticks"] %= 9000
noise["size"] %= 50
clear = streams.make([(Kind.CLEAR, 1, 0, 0, 0, 0, 0)])
book = kernels.get("order_book")
for name, variant in book.variants.items():
    if variant.peer:
        continue
    instance, reference = variant.build(symbols=2, orders=1, levels=1, window_ticks=64), Reference(symbols=2)
    for part in (events, clear, noise):
        assert np.array_equal(variant.replay(instance, part), reference.replay(part)), name
    print(name)
