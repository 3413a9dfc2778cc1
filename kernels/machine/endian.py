"""Big-endian integers at any address, as exchange feeds send them: one load and one byte swap instead of a byte loop.

LLVM joins the two into ``movbe`` where the processor has it. A loop over bytes costs a load, a shift and an OR for each
byte, and LLVM recognises it only where its length is a constant. For little-endian processors, as all that Numba
compiles for here.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.machine._llvm import I64, declare


def _load(bits: int) -> Any:
    """Build an intrinsic ``(data, at) -> uint64`` that reads `bits` bits."""
    width, word = bits // 8, ir.IntType(bits)

    def load(typingctx, data, at):
        if not isinstance(data, types.Array) or data.ndim != 1 or data.layout != "C" or data.dtype != types.uint8:
            raise TypingError(f"a big-endian integer is read from a contiguous array of uint8, not from {data}")
        if not isinstance(types.unliteral(at), types.Integer):
            raise TypingError(f"a big-endian integer is read at a whole number, not at {at}")

        def codegen(context, builder, signature, args):
            array = context.make_array(data)(context, builder, args[0])
            if context.enable_boundscheck:  # the last byte; the first is checked by the load itself
                last = builder.add(args[1], I64(width - 1))
                cgutils.get_item_pointer(context, builder, data, array, [last], boundscheck=True)
            pointer = cgutils.get_item_pointer(
                context, builder, data, array, [args[1]], boundscheck=context.enable_boundscheck
            )
            value = builder.load(builder.bitcast(pointer, word.as_pointer()), align=1)
            swapped = builder.call(declare(builder, "llvm.bswap", [word], word, [word]), [value])
            return swapped if bits == 64 else builder.zext(swapped, I64)

        return types.uint64(data, types.intp), codegen

    load.__name__ = load.__qualname__ = f"big_endian_{bits}"
    load.__doc__ = f"""Return the unsigned big-endian integer of {width} bytes at ``data[at]`` (uint8) as uint64.

    The bytes must lie inside the array, which is only looked at under NUMBA_BOUNDSCHECK; a negative `at` does not
    count from the end.
    """
    return intrinsic(load)


big_endian_16 = _load(16)
big_endian_32 = _load(32)
big_endian_64 = _load(64)
