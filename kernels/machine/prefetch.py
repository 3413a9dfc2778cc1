"""Ask for a cache line before it is needed, while other work hides the wait.

Worth it where the address is known well ahead and the hardware cannot guess it: the book rows of the next messages, the
slots of a hash table. Not worth it on a sequential walk, which the hardware prefetches by itself, nor on data that is
in L1 already: each prefetch takes a load slot. The address is not checked, and may lie outside the array: a prefetch of
memory that is not there does nothing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.machine._llvm import I8, I32, VOID, declare, element_pointer, index_type

_READ, _WRITE, _DATA = 0, 1, 1


def _prefetch(name: str, access: int, locality: int, doc: str) -> Any:
    """Build an intrinsic ``(array, index) -> None`` around ``llvm.prefetch``."""

    def ask(typingctx, array, index):
        position = index_type(array, index, f"prefetch.{name}")

        def codegen(context, builder, signature, args):
            pointer_type = I8.as_pointer()
            pointer = element_pointer(context, builder, array, args[0], args[1])
            pointer = builder.bitcast(pointer, pointer_type)
            function = declare(builder, "llvm.prefetch", [pointer_type], VOID, [pointer_type, I32, I32, I32])
            builder.call(function, [pointer, *(ir.Constant(I32, n) for n in (access, locality, _DATA))])
            return context.get_dummy_value()

        return types.none(array, position), codegen

    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = doc
    return intrinsic(ask)


prefetch_read = _prefetch(
    "prefetch_read", _READ, 3, "Fetch the line of ``array[index]`` into every cache level, to be read (``prefetcht0``)."
)
prefetch_write = _prefetch(
    "prefetch_write",
    _WRITE,
    3,
    """Fetch the line of ``array[index]`` to be written (``prefetchw``), taking it from every other core.

    Where the target has no such instruction LLVM fetches for reading. Never for a line that another core is using.
    """,
)
prefetch_l2 = _prefetch(
    "prefetch_l2",
    _READ,
    2,
    "Fetch the line of ``array[index]`` into L2 and beyond: for use later than L1 would keep it.",
)
prefetch_once = _prefetch(
    "prefetch_once",
    _READ,
    0,
    "Fetch the line of ``array[index]`` for one use (``prefetchnta``), sparing the outer caches.",
)
