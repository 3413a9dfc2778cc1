"""Vectors made, compared, picked and added up: the part of `kernels.machine.vector` that stays in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.machine._llvm import I1, I32, I64, declare
from kernels.machine._vector_type import (
    Mask,
    Vector,
    broadcast,
    common,
    element_type,
    lane_count,
    llvm_vector,
    omitted,
    scalar_fits,
)


@intrinsic  # type: ignore[untyped-decorator]
def splat(typingctx, value, dtype, lanes=None):
    """Return a vector of `dtype` (``np.float64``) with `value` in every lane."""
    vector = Vector(element_type(dtype), lane_count(lanes, element_type(dtype)))
    if not scalar_fits(vector, value):
        raise TypingError(f"vector.splat cannot put a {value} into lanes of {vector.dtype}")

    def codegen(context, builder, signature, args):
        return broadcast(builder, args[0], vector.lanes)

    return vector(vector.dtype, dtype, omitted(lanes)), codegen


@intrinsic  # type: ignore[untyped-decorator]
def lane_numbers(typingctx, dtype, lanes=None):
    """Return the vector 0, 1, 2, … of `dtype` (``np.int64``)."""
    vector = Vector(element_type(dtype), lane_count(lanes, element_type(dtype)))

    def codegen(context, builder, signature, args):
        return ir.Constant(llvm_vector(vector), [float(i) if vector.is_float else i for i in range(vector.lanes)])

    return vector(dtype, omitted(lanes)), codegen


@intrinsic  # type: ignore[untyped-decorator]
def first_lanes(typingctx, count, lanes):
    """Return the mask of the first `count` lanes of `lanes` (a constant): the tail of a loop."""
    width = lane_count(lanes, None)

    def codegen(context, builder, signature, args):
        element = ir.IntType(max(8, 512 // max(width, 8)))  # as wide as the lanes that such a mask is mostly for
        limit = builder.select(builder.icmp_signed("<", args[0], I64(width)), args[0], I64(width))
        limit = builder.select(builder.icmp_signed(">", limit, I64(0)), limit, I64(0))
        limit = builder.trunc(limit, element) if element.width < 64 else limit
        numbers = ir.Constant(ir.VectorType(element, width), list(range(width)))
        return builder.icmp_signed("<", numbers, broadcast(builder, limit, width))

    return Mask(width)(types.int64, lanes), codegen


@intrinsic  # type: ignore[untyped-decorator]
def bits(typingctx, mask):
    """Return `mask` as an int64 whose bit `i` is lane `i`: for `trailing_zeros` and `popcount`. At most 64 lanes."""
    if not (isinstance(mask, Mask) and mask.lanes <= 64):
        raise TypingError(f"vector.bits takes a mask of at most 64 lanes, not a {mask}")

    def codegen(context, builder, signature, args):
        whole = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.zext(whole, I64) if mask.lanes < 64 else whole

    return types.int64(mask), codegen


@intrinsic  # type: ignore[untyped-decorator]
def mask_of(typingctx, bits, lanes):
    """Return the mask of `lanes` lanes (a constant, at most 64) whose lane `i` is bit `i` of the integer `bits`."""
    width = lane_count(lanes, None)

    def codegen(context, builder, signature, args):
        whole = builder.trunc(args[0], ir.IntType(width)) if width < 64 else args[0]
        return builder.bitcast(whole, ir.VectorType(I1, width))

    return Mask(width)(types.int64, lanes), codegen


@intrinsic  # type: ignore[untyped-decorator]
def any_lane(typingctx, mask):
    """Say whether `mask` has any lane."""
    return _mask_reduction(mask, "or")


@intrinsic  # type: ignore[untyped-decorator]
def all_lanes(typingctx, mask):
    """Say whether `mask` has all its lanes."""
    return _mask_reduction(mask, "and")


def _mask_reduction(mask: Any, operation: str) -> Any:
    if not isinstance(mask, Mask):
        raise TypingError(f"any_lane and all_lanes take a mask, not a {mask}")

    def codegen(context, builder, signature, args):
        function = declare(builder, f"llvm.vector.reduce.{operation}", [args[0].type], I1, [args[0].type])
        return builder.call(function, [args[0]])

    return types.boolean(mask), codegen


@intrinsic  # type: ignore[untyped-decorator]
def select(typingctx, mask, chosen, other):
    """Return `chosen` in the lanes that `mask` has and `other` in the rest; one of the two may be a scalar."""
    vector = common((chosen, other))
    if not (isinstance(mask, Mask) and vector is not None and vector.lanes == mask.lanes):
        raise TypingError(f"vector.select takes a mask and vectors of as many lanes, not {mask}, {chosen} and {other}")

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return vector(mask, vector, vector), codegen


def _together(name: str, arguments: Any, *, floats_only: bool = False) -> Any:
    """Return the one vector type of all `arguments`, or raise TypingError."""
    vector = common(arguments)
    if vector is None or (floats_only and not vector.is_float):
        kinds = "floats" if floats_only else "numbers"
        given = ", ".join(map(str, arguments))
        raise TypingError(f"vector.{name} takes vectors of {kinds} of one type, and scalars beside them, not {given}")
    return vector


def _three(name: str, llvm_name: str, arguments: Any) -> Any:
    vector = _together(name, arguments, floats_only=True)

    def codegen(context, builder, signature, args):
        kind = args[0].type
        return builder.call(declare(builder, llvm_name, [kind], kind, [kind] * 3), args)

    return vector(vector, vector, vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def fma(typingctx, a, b, c):
    """Return ``a * b + c``, rounded once. A slow call for each lane where the target has no fused multiply-add."""
    return _three("fma", "llvm.fma", (a, b, c))


@intrinsic  # type: ignore[untyped-decorator]
def multiply_add(typingctx, a, b, c):
    """Return ``a * b + c``: fused where the target can (rounded once), two instructions where it cannot.

    So the last bit may differ between targets; `fma` is the same everywhere.
    """
    return _three("multiply_add", "llvm.fmuladd", (a, b, c))


def _less(builder: Any, vector: Any, left: Any, right: Any) -> Any:
    if vector.is_float:
        return builder.fcmp_ordered("<", left, right)
    return builder.icmp_signed("<", left, right) if vector.dtype.signed else builder.icmp_unsigned("<", left, right)


@intrinsic  # type: ignore[untyped-decorator]
def minimum(typingctx, a, b):
    """Return ``a if a < b else b`` for each lane: `b` where either is NaN, as the instruction does it."""
    vector = _together("minimum", (a, b))

    def codegen(context, builder, signature, args):
        return builder.select(_less(builder, vector, args[0], args[1]), args[0], args[1])

    return vector(vector, vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def maximum(typingctx, a, b):
    """Return ``a if b < a else b`` for each lane: `b` where either is NaN, as the instruction does it."""
    vector = _together("maximum", (a, b))

    def codegen(context, builder, signature, args):
        return builder.select(_less(builder, vector, args[1], args[0]), args[0], args[1])

    return vector(vector, vector), codegen


def _lane_by_lane(name: str, on_float: str | None, on_integer: str | None, doc: str) -> Any:
    """Build an intrinsic ``(vector) -> vector`` around LLVM's intrinsics for either kind of lane."""

    def apply(typingctx, vector):
        chosen = None
        if isinstance(vector, Vector):
            chosen = on_float if vector.is_float else on_integer
        if chosen is None or (chosen == "llvm.bswap" and vector.dtype.bitwidth == 8):
            raise TypingError(f"vector.{name} cannot take a {vector}")

        def codegen(context, builder, signature, args):
            kind = args[0].type
            flag = [I1(0)] if chosen in ("llvm.abs", "llvm.ctlz", "llvm.cttz") else []  # 0: no operand is poison
            function = declare(builder, chosen, [kind], kind, [kind] + [I1] * len(flag))
            return builder.call(function, [args[0], *flag])

        return vector(vector), codegen

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = doc
    return intrinsic(apply)


absolute = _lane_by_lane("absolute", "llvm.fabs", "llvm.abs", "Return each lane's magnitude; the lowest integer stays.")
square_root = _lane_by_lane("square_root", "llvm.sqrt", None, "Return each lane's square root, correctly rounded.")
byte_swap = _lane_by_lane("byte_swap", None, "llvm.bswap", "Return each lane with its bytes in reverse order.")
bit_counts = _lane_by_lane("bit_counts", None, "llvm.ctpop", "Return the number of set bits of each lane.")


def _halves(builder: Any, vector: Any) -> tuple[Any, Any]:
    """Return the lower and the upper half of an LLVM vector."""
    count = vector.type.count
    lower, upper = (
        ir.Constant(ir.VectorType(I32, count // 2), list(range(start, start + count // 2))) for start in (0, count // 2)
    )
    return builder.shuffle_vector(vector, vector, lower), builder.shuffle_vector(vector, vector, upper)


def _reduction(name: str, combine: Any, doc: str) -> Any:
    """Build an intrinsic ``(vector) -> scalar`` that combines the upper half with the lower until one lane is left."""

    def reduce(typingctx, vector):
        if not isinstance(vector, Vector):
            raise TypingError(f"vector.{name} takes a vector, not a {vector}")

        def codegen(context, builder, signature, args):
            value = args[0]
            while value.type.count > 1:
                lower, upper = _halves(builder, value)
                value = combine(builder, vector, lower, upper)
            return builder.extract_element(value, I32(0))

        return vector.dtype(vector), codegen

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = doc
    return intrinsic(reduce)


def _sum_of(builder, vector, a, b):
    return builder.fadd(a, b) if vector.is_float else builder.add(a, b)


def _smaller_of(builder, vector, a, b):
    return builder.select(_less(builder, vector, a, b), a, b)


def _larger_of(builder, vector, a, b):
    return builder.select(_less(builder, vector, b, a), a, b)


reduce_add = _reduction(
    "reduce_add",
    _sum_of,
    "Return the sum of the lanes, lane `i` first added to lane ``i + lanes / 2`` and so on; integers wrap around.",
)
reduce_min = _reduction("reduce_min", _smaller_of, "Return the smallest lane; unspecified when a lane is NaN.")
reduce_max = _reduction("reduce_max", _larger_of, "Return the largest lane; unspecified when a lane is NaN.")
