"""The operators of vectors and masks: ``+ - * / & | ^ << >> ~``, comparisons and ``vector[lane]``, as one instruction
each.

Importing this file registers them with Numba.
"""

from __future__ import annotations

import operator
from typing import Any

from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin

from kernels.machine._vector_type import Mask, Vector, common


def _binary(operation: Any, on_float: str | None, on_signed: str | None, on_unsigned: str | None) -> None:
    """Register an operator on vectors, each argument naming the LLVM builder's method for that kind of lane."""

    def method(vector: Any) -> str | None:
        if vector.is_float:
            return on_float
        return on_signed if vector.dtype.signed else on_unsigned

    class Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            vector = common(args) if len(args) == 2 else None
            if vector is not None and method(vector):
                return vector(vector, vector)
            return None

    infer_global(operation)(Template)

    @lower_builtin(operation, Vector, Vector)
    def lower(context, builder, signature, args):
        return getattr(builder, method(signature.args[0]))(args[0], args[1])


for _operations, _methods in (
    ((operator.add, operator.iadd), ("fadd", "add", "add")),
    ((operator.sub, operator.isub), ("fsub", "sub", "sub")),
    ((operator.mul, operator.imul), ("fmul", "mul", "mul")),
    ((operator.truediv, operator.itruediv), ("fdiv", None, None)),
    ((operator.and_, operator.iand), (None, "and_", "and_")),
    ((operator.or_, operator.ior), (None, "or_", "or_")),
    ((operator.xor, operator.ixor), (None, "xor", "xor")),
    ((operator.lshift, operator.ilshift), (None, "shl", "shl")),
    ((operator.rshift, operator.irshift), (None, "ashr", "lshr")),
):
    for _operation in _operations:
        _binary(_operation, *_methods)


def _comparison(operation: Any, symbol: str) -> None:
    """Register a comparison of vectors, which gives a `Mask`. With a NaN only ``!=`` is true, as in Python."""

    class Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            vector = common(args)
            return None if vector is None else Mask(vector.lanes)(vector, vector)

    infer_global(operation)(Template)

    @lower_builtin(operation, Vector, Vector)
    def lower(context, builder, signature, args):
        vector = signature.args[0]
        if vector.is_float:
            compare = builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered
        else:
            compare = builder.icmp_signed if vector.dtype.signed else builder.icmp_unsigned
        return compare(symbol, args[0], args[1])


for _operation, _symbol in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
    (operator.ne, "!="),
):
    _comparison(_operation, _symbol)


def _mask_binary(operation: Any, method: str) -> None:
    class Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            same = len(args) == 2 and isinstance(args[0], Mask) and args[0] == args[1]
            return args[0](*args) if same else None

    infer_global(operation)(Template)

    @lower_builtin(operation, Mask, Mask)
    def lower(context, builder, signature, args):
        return getattr(builder, method)(args[0], args[1])


for _operations, _method in (
    ((operator.and_, operator.iand), "and_"),
    ((operator.or_, operator.ior), "or_"),
    ((operator.xor, operator.ixor), "xor"),
):
    for _operation in _operations:
        _mask_binary(_operation, _method)


@infer_global(operator.invert)
class _Invert(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        (operand,) = args
        whole = isinstance(operand, Vector) and not operand.is_float
        return operand(operand) if whole or isinstance(operand, Mask) else None


@infer_global(operator.neg)
class _Negate(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        (operand,) = args
        return operand(operand) if isinstance(operand, Vector) else None


@lower_builtin(operator.invert, Vector)
@lower_builtin(operator.invert, Mask)
def _invert(context, builder, signature, args):
    return builder.not_(args[0])


@lower_builtin(operator.neg, Vector)
def _negate(context, builder, signature, args):
    return builder.fneg(args[0]) if signature.args[0].is_float else builder.neg(args[0])


@infer_global(operator.getitem)
class _GetLane(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        vector, lane = args
        if isinstance(vector, Vector) and isinstance(types.unliteral(lane), types.Integer):
            return vector.dtype(vector, types.intp)
        return None


@lower_builtin(operator.getitem, Vector, types.Integer)
def _get_lane(context, builder, signature, args):
    return builder.extract_element(args[0], args[1])
