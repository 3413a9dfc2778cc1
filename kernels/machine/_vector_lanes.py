"""Lanes moved and changed in kind: the part of `kernels.machine.vector` that shuffles and converts."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.core.imputils import lower_constant
from numba.extending import intrinsic, typeof_impl

from kernels.machine._llvm import I32, literal
from kernels.machine._vector_type import (
    Pattern,
    PatternType,
    Vector,
    broadcast,
    element_type,
    llvm_vector,
    scalar_fits,
)


def pattern(*lanes: int) -> Pattern:
    """Make a constant of lane numbers for `shuffle`: at module level, ``SWAP = vector.pattern(1, 0, 3, 2)``."""
    if not lanes or any(lane < 0 for lane in lanes):
        raise ValueError(f"a pattern names at least one lane, from 0 on, not {lanes}")
    return Pattern(lanes)


@typeof_impl.register(Pattern)
def _typeof_pattern(value: Any, context: Any) -> Any:
    return PatternType(value)


@lower_constant(PatternType)
def _pattern_constant(context, builder, kind, value):
    return context.get_dummy_value()


def _lane_list(given: Any, limit: int) -> list[int]:
    """Return the lane numbers of a `Pattern` or of a tuple of constants. Raises TypingError, also beyond `limit`."""
    if isinstance(given, PatternType):
        chosen = list(given.pattern)
    elif isinstance(given, types.BaseTuple):
        parts: Any = given
        chosen = [literal(part, "each lane number of a shuffle") for part in parts]
    else:
        raise TypingError(f"a shuffle takes a vector.pattern(...) or a tuple of constants, not {given}")
    if any(not 0 <= lane < limit for lane in chosen):
        raise TypingError(f"a shuffle's lane numbers must lie in 0 .. {limit - 1}, not {chosen}")
    return chosen


def _vector_only(given: Any, who: str) -> Any:
    if not isinstance(given, Vector):
        raise TypingError(f"vector.{who} takes a vector, not a {given}")
    return given


def _pick(builder: Any, first: Any, second: Any, chosen: list[int]) -> Any:
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, len(chosen)), chosen))


@intrinsic  # type: ignore[untyped-decorator]
def shuffle(typingctx, vector, pattern):
    """Return the lanes of `vector` that `pattern` names, in its order and number; a lane may be named twice."""
    chosen = _lane_list(pattern, _vector_only(vector, "shuffle").lanes)

    def codegen(context, builder, signature, args):
        return _pick(builder, args[0], args[0], chosen)

    return Vector(vector.dtype, len(chosen))(vector, pattern), codegen


@intrinsic  # type: ignore[untyped-decorator]
def shuffle_two(typingctx, first, second, pattern):
    """Return the lanes that `pattern` names out of `first` (from 0 on) and `second` (from the lane count on)."""
    chosen = _lane_list(pattern, 2 * _vector_only(first, "shuffle_two").lanes)
    if first != second:
        raise TypingError(f"vector.shuffle_two takes two vectors of one type, not {first} and {second}")

    def codegen(context, builder, signature, args):
        return _pick(builder, args[0], args[1], chosen)

    return Vector(first.dtype, len(chosen))(first, second, pattern), codegen


@intrinsic  # type: ignore[untyped-decorator]
def rotate(typingctx, vector, lanes):
    """Return `vector` with lane ``i + lanes`` at lane `i`, the ends joined; `lanes` is a constant, of either sign."""
    by, count = literal(lanes, "the lanes of vector.rotate"), _vector_only(vector, "rotate").lanes

    def codegen(context, builder, signature, args):
        return _pick(builder, args[0], args[0], [(lane + by) % count for lane in range(count)])

    return vector(vector, lanes), codegen


@intrinsic  # type: ignore[untyped-decorator]
def slide(typingctx, vector, lanes, fill):
    """Return `vector` moved up by `lanes` (a constant, 0 to the lane count), the scalar `fill` coming in below.

    The step of a scan: ``x += slide(x, 1, 0.0); x += slide(x, 2, 0.0); …`` makes running sums.
    """
    count = _vector_only(vector, "slide").lanes
    by = literal(lanes, "the lanes of vector.slide", range(count + 1))
    if not scalar_fits(vector, fill):
        raise TypingError(f"vector.slide cannot fill a {vector} with a {fill}")

    def codegen(context, builder, signature, args):
        filling = broadcast(builder, args[2], count)
        return _pick(builder, args[0], filling, [count] * by + list(range(count - by)))

    return vector(vector, lanes, vector.dtype), codegen


@intrinsic  # type: ignore[untyped-decorator]
def reverse(typingctx, vector):
    """Return the lanes of `vector` in the opposite order."""
    count = _vector_only(vector, "reverse").lanes

    def codegen(context, builder, signature, args):
        return _pick(builder, args[0], args[0], list(range(count - 1, -1, -1)))

    return vector(vector), codegen


def _half(vector: Any, who: str, upper: int) -> Any:
    count = _vector_only(vector, who).lanes // 2
    if not count:
        raise TypingError(f"vector.{who} cannot halve a {vector}")

    def codegen(context, builder, signature, args):
        return _pick(builder, args[0], args[0], list(range(upper * count, upper * count + count)))

    return Vector(vector.dtype, count)(vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def low_half(typingctx, vector):
    """Return the first half of the lanes."""
    return _half(vector, "low_half", 0)


@intrinsic  # type: ignore[untyped-decorator]
def high_half(typingctx, vector):
    """Return the second half of the lanes."""
    return _half(vector, "high_half", 1)


@intrinsic  # type: ignore[untyped-decorator]
def join(typingctx, low, high):
    """Return the lanes of `low` and then those of `high`: a vector of twice as many."""
    if _vector_only(low, "join") != high:
        raise TypingError(f"vector.join takes two vectors of one type, not {low} and {high}")

    def codegen(context, builder, signature, args):
        return _pick(builder, args[0], args[1], list(range(2 * low.lanes)))

    return Vector(low.dtype, 2 * low.lanes)(low, high), codegen


@intrinsic  # type: ignore[untyped-decorator]
def insert(typingctx, vector, lane, value):
    """Return `vector` with `value` in its lane number `lane`."""
    if not scalar_fits(_vector_only(vector, "insert"), value):
        raise TypingError(f"vector.insert cannot put a {value} into a {vector}")

    def codegen(context, builder, signature, args):
        return builder.insert_element(args[0], args[2], args[1])

    return vector(vector, types.intp, vector.dtype), codegen


def _conversion(source: Any, target: Any) -> str | None:
    """Return the LLVM builder's method that turns lanes of `source` into lanes of `target`; None when equal in bits."""
    from_float, to_float = isinstance(source, types.Float), isinstance(target, types.Float)
    if from_float and to_float:
        method = "fpext" if target.bitwidth > source.bitwidth else "fptrunc"
        return None if target == source else method
    if from_float:
        return "fptosi" if target.signed else "fptoui"
    if to_float:
        return "sitofp" if source.signed else "uitofp"
    if target.bitwidth == source.bitwidth:
        return None
    if target.bitwidth < source.bitwidth:
        return "trunc"
    return "sext" if source.signed else "zext"


@intrinsic  # type: ignore[untyped-decorator]
def convert(typingctx, vector, dtype):
    """Return the lanes of `vector` as numbers of `dtype` (``np.int64``), as many as before.

    To a narrower integer the upper bits are dropped; a float goes towards zero and must fit: outside the range, and for
    NaN, the integer is unspecified.
    """
    target = Vector(element_type(dtype), _vector_only(vector, "convert").lanes)
    method = _conversion(vector.dtype, target.dtype)

    def codegen(context, builder, signature, args):
        return args[0] if method is None else getattr(builder, method)(args[0], llvm_vector(target))

    return target(vector, dtype), codegen


@intrinsic  # type: ignore[untyped-decorator]
def reinterpret(typingctx, vector, dtype):
    """Return the same bits as lanes of `dtype`: fewer and wider, or more and narrower."""
    kind = element_type(dtype)
    if _vector_only(vector, "reinterpret").bitwidth % kind.bitwidth:
        raise TypingError(f"vector.reinterpret cannot cut a {vector} into lanes of {kind}")
    target = Vector(kind, vector.bitwidth // kind.bitwidth)

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], llvm_vector(target))

    return target(vector, dtype), codegen
