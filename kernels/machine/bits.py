"""Bit counting, scanning and moving as single instructions: Numba's own spelling of these goes through loops or casts.

The overloaded LLVM intrinsics are declared with their full name and type (``llvm.ctlz.i64``): a wrong suffix is not a
compile error but a crash at run time.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels._jit import kernel_jit
from kernels.machine._llvm import I1, I64, declare

WORD_BITS = 64


def _count_intrinsic(name: str, zero_is_poison_flag: bool, doc: str) -> Any:
    """Build a ``(int64) -> int64`` intrinsic out of LLVM's `name`."""

    @intrinsic  # type: ignore[untyped-decorator]
    def count(typingctx: Any, value: Any) -> Any:
        if not isinstance(types.unliteral(value), (types.Integer, types.Boolean)):
            raise TypingError(f"counting bits takes an integer, not a {value}")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            operand = context.cast(builder, args[0], signature.args[0], types.int64)
            flags = [I1(0)] if zero_is_poison_flag else []  # 0: the count of zero is defined, and is 64
            function = declare(builder, name, [I64], I64, [I64, *(flag.type for flag in flags)])
            return builder.call(function, [operand, *flags])

        return types.int64(types.unliteral(value)), codegen

    count.__doc__ = doc
    return count


leading_zeros = _count_intrinsic(
    "llvm.ctlz", True, "Return the number of zero bits above the highest set bit of a 64-bit integer; 64 for zero."
)
trailing_zeros = _count_intrinsic(
    "llvm.cttz", True, "Return the number of zero bits below the lowest set bit of a 64-bit integer; 64 for zero."
)
popcount = _count_intrinsic("llvm.ctpop", False, "Return the number of set bits of a 64-bit integer.")


def _integer(value: Any, who: str) -> Any:
    """Return the integer type of an argument, or raise TypingError."""
    kind = types.unliteral(value)
    if not isinstance(kind, types.Integer):
        raise TypingError(f"{who} takes an integer, not a {value}")
    return kind


@intrinsic  # type: ignore[untyped-decorator]
def byte_swap(typingctx, value):
    """Return the integer `value` with its bytes in reverse order, in its own type: big-endian to little and back."""
    kind = _integer(value, "byte_swap")

    def codegen(context, builder, signature, args):
        if kind.bitwidth == 8:
            return args[0]
        return builder.call(declare(builder, "llvm.bswap", [args[0].type], args[0].type, [args[0].type]), args)

    return kind(kind), codegen


def _rotation(value: Any, amount: Any, name: str, llvm_name: str) -> Any:
    kind = _integer(value, name)
    _integer(amount, name)

    def codegen(context, builder, signature, args):
        word = args[0].type  # a funnel shift of a word with itself: it takes the amount modulo the width by itself
        return builder.call(declare(builder, llvm_name, [word], word, [word] * 3), [args[0], args[0], args[1]])

    return kind(kind, kind), codegen


@intrinsic  # type: ignore[untyped-decorator]
def rotate_left(typingctx, value, amount):
    """Return the integer `value` with its bits moved up by `amount`, the top ones coming in below."""
    return _rotation(value, amount, "rotate_left", "llvm.fshl")


@intrinsic  # type: ignore[untyped-decorator]
def rotate_right(typingctx, value, amount):
    """Return the integer `value` with its bits moved down by `amount`, the low ones coming in on top."""
    return _rotation(value, amount, "rotate_right", "llvm.fshr")


@kernel_jit
def next_set(words, start):
    """Return the lowest set bit at or above `start` of the bitmap `words` (int64[:] or uint64[:]), or -1.

    Bit `i` is bit ``i % 64`` of ``words[i // 64]``. `start` may be any whole number; a negative one counts as 0.
    """
    first = start if start > 0 else 0
    position = first >> 6
    if position >= words.shape[0]:
        return -1
    word = words[position] & (words.dtype.type(-1) << words.dtype.type(first & 63))
    while word == 0:
        position += 1
        if position == words.shape[0]:
            return -1
        word = words[position]
    return (position << 6) + trailing_zeros(word)


@kernel_jit
def previous_set(words, start):
    """Return the highest set bit at or below `start` of the bitmap `words` (int64[:] or uint64[:]), or -1."""
    last = words.shape[0] * WORD_BITS - 1
    first = start if start < last else last
    if first < 0:
        return -1
    position = first >> 6
    word = words[position] << words.dtype.type(63 - (first & 63))
    if word != 0:
        return first - leading_zeros(word)
    while position > 0:
        position -= 1
        if words[position] != 0:
            return (position << 6) + 63 - leading_zeros(words[position])
    return -1
