"""Fuzz the packed and the record forms against the oracle: ``python codec_fuzz.py MESSAGES SEED``. Prints the count.

Every array ends at a page that nobody may touch, so a byte read or written behind it ends the process. Run with
NUMBA_BOUNDSCHECK=1 it first prints IndexError, to prove that the checks are on.
"""

import ctypes
import importlib
import mmap
import os
import sys

import numpy as np
from codec_oracle import COMPILED, KERNEL, KINDS, decoded, packed, random_records

from kernels._jit import kernel_jit
from kernels.order_codec._messages import Messages, records, words
from kernels.order_codec._words import REFUSALS

PAGE = mmap.PAGESIZE
_mprotect = ctypes.CDLL(None, use_errno=True).mprotect


class Guarded:
    """Memory that ends at a page without any rights."""

    def __init__(self, size):
        self.size = -(-size // PAGE) * PAGE
        self.map = mmap.mmap(-1, self.size + PAGE)
        self.bytes = np.frombuffer(self.map, np.uint8)
        guard = ctypes.c_void_p(self.bytes.ctypes.data + self.size)
        assert _mprotect(guard, ctypes.c_size_t(PAGE), 0) == 0

    def array(self, shape, dtype=np.uint8):
        """Return an array that ends where the memory does; of words, where they are aligned."""
        count = int(np.prod(shape))
        begin = self.size - count * np.dtype(dtype).itemsize
        return np.frombuffer(self.map, dtype, count, begin).reshape(shape)


@kernel_jit
def beyond(array):
    return array[np.uint64(3)]


def damaged(random, data):
    """Return bytes with some changed, cut or added."""
    wire = bytearray(data)
    for _ in range(int(random.integers(0, 3))):
        if wire:
            wire[int(random.integers(len(wire)))] ^= 1 << int(random.integers(8))
    if random.random() < 0.5:
        wire = wire[: int(random.integers(0, len(wire) + 1))]
    return bytes(wire) + random.bytes(int(random.integers(0, 4)))


def one_round(random, guards, kind):
    """Check one stream in every variant; return how many messages it had."""
    length = int(random.integers(0, 40))
    made = random_records(int(random.integers(2**32)), length, kind, float(random.choice([0, 0.1, 0.6])))
    rows = guards[0].array((length, made.itemsize // 8), np.uint64)
    rows[:] = words(made)
    form, data = packed(made, kind), None
    data = damaged(random, form) if random.random() < 0.8 else form
    room = int(random.integers(0, 45))
    expected, refused = decoded(data, kind, room)
    for name in ("big_endian", "simd", "aligned"):
        module = importlib.import_module(f"kernels.order_codec.{name}")
        right = made.tobytes() if name == "aligned" else form
        wire = guards[1].array(len(right))
        assert module.encode_all(rows, wire) == len(right) and wire.tobytes() == right
        if name == "aligned":
            continue
        wire = guards[1].array(len(data))
        wire[:] = np.frombuffer(data, np.uint8)
        out, bad = guards[2].array((room, made.itemsize // 8), np.uint64), np.zeros(REFUSALS, np.int64)
        count = module.decode_all(wire, out, bad)
        assert np.array_equal(records(np.ascontiguousarray(out[:count])), expected), (name, kind)
        assert bad.tolist() == refused.tolist(), (name, kind, bad, refused)
    read_only = rows.view()
    read_only.flags.writeable = False
    messages, reference = Messages(read_only, np.zeros(1, np.int64)), KERNEL.reference()
    right = reference.replay(messages)
    for variant in COMPILED:
        out = guards[2].array(rows.shape, np.uint64)
        instance = variant.build(message=kind, batch=int(random.choice([1, 5, 64])))
        variant.replay(instance, messages, out)
        assert np.array_equal(out, right), (variant.name, kind)
        assert np.array_equal(instance.export_state()["bad"], reference.export_state()["bad"])
    return length


def main(messages, seed):
    """Check about `messages` messages; return how many there were."""
    random = np.random.default_rng(seed)
    guards = [Guarded(8 * PAGE) for _ in range(3)]
    done = 0
    while done < messages:
        for kind in KINDS:
            done += one_round(random, guards, kind)
    return done


if __name__ == "__main__":
    if os.environ.get("NUMBA_BOUNDSCHECK") == "1":
        try:
            beyond(np.zeros(3))
        except IndexError:
            print("IndexError")
    print(main(int(sys.argv[1]), int(sys.argv[2])))
