"""The signal handler of the sampler: compiled by Numba, no Python, no allocation, no lock, no call.

It runs between two instructions of whatever thread was interrupted. It notes the program counter in a ring by one
atomic add. Where that is outside compiled code (in ``libm``, say), it looks through the top of the stack for an address
inside: as a rule the place the outside function was called from.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, untyped-decorator, var-annotated"
# Compiled bodies carry no annotations: Numba types them.

from __future__ import annotations

import functools
import platform
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from workbench.profile.posix import CONTEXT_PC, CONTEXT_SP, INFO_CODE, INFO_VALUE, SI_TIMER

# The words of the control block.
ENABLED, SLOT, RING, MASK, RANGES, FOREIGN = range(6)
CONTROL_WORDS = 16

# The words of one entry of the ring.
SEQUENCE, PC, CALLER, THREAD = range(4)  # SEQUENCE is written last: the slot's number plus one
ENTRY_WORDS = 4

STACK_WORDS = 64  # how far up the stack it looks: 512 bytes, less than any thread has above a compiled frame


@intrinsic
def load_int64(typingctx, address):
    """Return the 64-bit word at `address`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()))

    return types.int64(types.int64), codegen


@intrinsic
def load_int32(typingctx, address):
    """Return the 32-bit word at `address`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(32).as_pointer()))

    return types.int32(types.int64), codegen


@intrinsic
def store_int64(typingctx, address, value):
    """Write a 64-bit word to `address`, after all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store_atomic(args[1], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def add_int64(typingctx, address, amount):
    """Add to the 64-bit word at `address` in one step; return what was there."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "monotonic")

    return types.int64(types.int64, types.int64), codegen


@functools.cache
def make_handler(control: int) -> Any:
    """Compile the handler for the control block at the address `control`; its ``address`` goes to ``sigaction``."""
    machine = platform.machine()
    pc_offset, sp_offset = CONTEXT_PC[machine], CONTEXT_SP[machine]

    @numba.njit(error_model="numpy", forceinline=True)
    def is_compiled(address):
        table = load_int64(control + 8 * RANGES)  # read once: the keeper may publish another meanwhile
        low, high, ranges = np.int64(0), load_int64(table), table + 8
        # Most words of a stack lie outside all ranges: they are told by two comparisons.
        if high == 0 or address < load_int64(ranges) or address >= load_int64(ranges + 16 * high - 8):
            return False
        while low < high:  # ranges are pairs (begin, end), sorted: find the first that ends after the address
            middle = (low + high) >> 1
            if load_int64(ranges + 16 * middle + 8) > address:
                high = middle
            else:
                low = middle + 1
        return load_int64(ranges + 16 * low) <= address

    @numba.njit(error_model="numpy", forceinline=True)
    def note(pc, caller, thread):
        slot = add_int64(control + 8 * SLOT, np.int64(1))
        place = slot & load_int64(control + 8 * MASK)
        entry = load_int64(control + 8 * RING) + 8 * ENTRY_WORDS * place
        store_int64(entry + 8 * SEQUENCE, np.int64(0))
        store_int64(entry + 8 * PC, pc)
        store_int64(entry + 8 * CALLER, caller)
        store_int64(entry + 8 * THREAD, thread)
        store_int64(entry + 8 * SEQUENCE, slot + 1)

    @numba.cfunc("void(int32, int64, int64)", error_model="numpy")
    def handler(signo, info, context):
        if load_int64(control + 8 * ENABLED) == 0:
            return
        pc = load_int64(context + pc_offset)
        caller = np.int64(0)
        if not is_compiled(pc):
            stack = load_int64(context + sp_offset)
            for word in range(STACK_WORDS):
                candidate = load_int64(stack + 8 * word)
                if is_compiled(candidate):
                    caller = candidate
                    break
        if load_int32(info + INFO_CODE) == SI_TIMER:  # the sender's signals say so too
            note(pc, caller, load_int64(info + INFO_VALUE))
        else:  # sent by something else, such as another profiler's timer
            add_int64(control + 8 * FOREIGN, np.int64(1))

    return handler
