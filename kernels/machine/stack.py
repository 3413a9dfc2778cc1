"""Small arrays on the stack: scratch space in a loop without an allocation, often kept in registers whole.

An array that NumPy makes inside compiled code costs an allocation and reference counting each time. These cost nothing:
their memory is part of the function's frame, and where the indices are constants after unrolling LLVM keeps the
elements in registers. The memory is that of the call: the array must not be returned, stored or handed to a thread, and
a call site inside a loop gives the same memory each time round. Keep them below some kilobytes: the stack of a thread
is a few megabytes.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.machine._llvm import I8, I64, literal
from kernels.machine._vector_type import element_type
from kernels.machine.memory import CACHE_LINE_BYTES

MAX_STACK_BYTES = 65536


def _lengths(shape: Any) -> tuple[int, ...]:
    """Return the constant lengths that `shape` names. Raises TypingError."""
    parts: Any = shape if isinstance(shape, types.BaseTuple) else (shape,)
    lengths = tuple(int(literal(part, "each length of a stack array")) for part in parts)
    if not lengths or any(length < 1 for length in lengths):
        raise TypingError(f"the lengths of a stack array must be at least 1, not {lengths}")
    return lengths


def _item_bytes(kind: Any) -> int:
    return int(kind.bitwidth) // 8


def _make(shape: Any, dtype: Any, *, zeroed: bool) -> Any:
    kind = element_type(dtype)
    lengths = _lengths(shape)
    if not isinstance(kind, types.Number) or isinstance(kind, types.Complex):
        raise TypingError(f"a stack array holds integers or floats, not {kind}")
    array_type = types.Array(kind, len(lengths), "C")
    item_bytes = _item_bytes(kind)
    size_bytes = math.prod(lengths) * item_bytes
    if size_bytes > MAX_STACK_BYTES:
        raise TypingError(f"a stack array of {size_bytes} bytes is more than {MAX_STACK_BYTES}: pass an array in")

    def codegen(context, builder, signature, args):
        room = cgutils.alloca_once(builder, ir.ArrayType(I8, size_bytes))
        room.align = CACHE_LINE_BYTES
        if zeroed:
            cgutils.memset(builder, builder.bitcast(room, I8.as_pointer()), I64(size_bytes), 0)
        array = context.make_array(array_type)(context, builder)
        steps = [math.prod(lengths[axis + 1 :]) * item_bytes for axis in range(len(lengths))]
        context.populate_array(
            array,
            data=builder.bitcast(room, array.data.type),
            shape=[I64(length) for length in lengths],
            strides=[I64(step) for step in steps],
            itemsize=I64(item_bytes),
            meminfo=None,
        )
        return array._getvalue()

    return array_type(shape, dtype), codegen


@intrinsic  # type: ignore[untyped-decorator]
def stack_empty(typingctx, shape, dtype):
    """Return an array of `shape` (constants) on the stack, aligned to a cache line, its content unspecified.

    ``stack_empty(16, np.int64)``, ``stack_empty((4, 8), np.float32)``. At most `MAX_STACK_BYTES`.
    """
    return _make(shape, dtype, zeroed=False)


@intrinsic  # type: ignore[untyped-decorator]
def stack_zeros(typingctx, shape, dtype):
    """Return an array of `shape` (constants) on the stack, aligned to a cache line, zeroed at each call."""
    return _make(shape, dtype, zeroed=True)
