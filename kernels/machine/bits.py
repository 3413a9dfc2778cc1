"""Bit counting as single instructions: Numba's own spelling of these goes through loops or casts.

The overloaded LLVM intrinsics are declared with their full name and type (``llvm.ctlz.i64``): a wrong suffix is not a
compile error but a crash at run time.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I1 = ir.IntType(1)
_I64 = ir.IntType(64)


def _count_intrinsic(name: str, zero_is_poison_flag: bool) -> Any:
    """Build a ``(int64) -> int64`` intrinsic out of LLVM's `name`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def count(typingctx: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            operand = context.cast(builder, args[0], signature.args[0], types.int64)
            arguments = [_I64, _I1] if zero_is_poison_flag else [_I64]
            function_type = ir.FunctionType(_I64, arguments)
            function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name=name)
            flags = [_I1(0)] if zero_is_poison_flag else []  # 0: the count of zero is defined, and is 64
            return builder.call(function, [operand, *flags])

        return types.int64(value), codegen

    return count


leading_zeros = _count_intrinsic("llvm.ctlz.i64", True)
trailing_zeros = _count_intrinsic("llvm.cttz.i64", True)
popcount = _count_intrinsic("llvm.ctpop.i64", False)
leading_zeros.__doc__ = """Return the number of zero bits above the highest set bit of a 64-bit integer; 64 for zero."""
trailing_zeros.__doc__ = """Return the number of zero bits below the lowest set bit of a 64-bit integer; 64 for zero."""
popcount.__doc__ = """Return the number of set bits of a 64-bit integer."""
