"""Vectors to and from memory: the part of `kernels.machine.vector` that loads, stores and gathers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.machine._llvm import I1, I32, VOID, declare, element_pointer, index_type, is_x86
from kernels.machine._vector_type import Mask, Vector, lane_count, llvm_element, llvm_vector, omitted


def _vector_in(array: Any, index: Any, count: Any, who: str) -> tuple[Vector, Any]:
    """Return the vector type that `array` holds at `index`, and the index's type; or raise TypingError."""
    position = index_type(array, index, who)
    if array.layout != "C":
        raise TypingError(f"{who} needs a C-contiguous array, not {array}")
    llvm_element(array.dtype)
    return Vector(array.dtype, lane_count(count, array.dtype)), position


def _vector_pointer(context: Any, builder: Any, array_type: Any, vector: Any, args: Any) -> Any:
    pointer = element_pointer(context, builder, array_type, args[0], args[1])
    return builder.bitcast(pointer, llvm_vector(vector).as_pointer())


def _load(array: Any, index: Any, count: Any, who: str, *, whole: bool) -> Any:
    vector, position = _vector_in(array, index, count, who)

    def codegen(context, builder, signature, args):
        pointer = _vector_pointer(context, builder, array, vector, args)
        return builder.load(pointer, align=(vector.bitwidth if whole else vector.dtype.bitwidth) // 8)

    return vector(array, position, omitted(count)), codegen


@intrinsic  # type: ignore[untyped-decorator]
def load(typingctx, array, index, lanes=None):
    """Return the vector of the elements from ``array[index]`` on, at any address."""
    return _load(array, index, lanes, "vector.load", whole=False)


@intrinsic  # type: ignore[untyped-decorator]
def load_aligned(typingctx, array, index, lanes=None):
    """Return the vector from ``array[index]`` on, whose address must be a multiple of the vector's bytes.

    An address that is not one ends the process. Gains over `load` only on old CPUs and where LLVM folds the load.
    """
    return _load(array, index, lanes, "vector.load_aligned", whole=True)


def _store(array: Any, index: Any, value: Any, who: str, *, whole: bool, stream: bool = False) -> Any:
    if not isinstance(value, Vector):
        raise TypingError(f"{who} stores a vector, not a {value}")
    vector, position = _vector_in(array, index, types.literal(value.lanes), who)
    if vector != value or not array.mutable:
        raise TypingError(f"{who} cannot store a {value} into {array}")

    def codegen(context, builder, signature, args):
        pointer = _vector_pointer(context, builder, array, vector, args)
        instruction = builder.store(args[2], pointer, align=(vector.bitwidth if whole else vector.dtype.bitwidth) // 8)
        if stream:
            instruction.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(I32, 1)]))
        return context.get_dummy_value()

    return types.none(array, position, vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def store(typingctx, array, index, vector):
    """Write `vector` to the elements from ``array[index]`` on, at any address."""
    return _store(array, index, vector, "vector.store", whole=False)


@intrinsic  # type: ignore[untyped-decorator]
def store_aligned(typingctx, array, index, vector):
    """Write `vector` from ``array[index]`` on, whose address must be a multiple of the vector's bytes."""
    return _store(array, index, vector, "vector.store_aligned", whole=True)


@intrinsic  # type: ignore[untyped-decorator]
def stream(typingctx, array, index, vector):
    """Write `vector` past the caches (``vmovntpd``), to an address that is a multiple of its bytes.

    Saves reading the line first, and keeps the caches for others: for outputs far larger than the cache that nobody
    reads soon. Slower for everything else. Call `stream_fence` before another thread is told of the data.
    """
    return _store(array, index, vector, "vector.stream", whole=True, stream=True)


@intrinsic  # type: ignore[untyped-decorator]
def stream_fence(typingctx):
    """Wait until what `stream` wrote is visible to others (``sfence``); a release store alone does not order it."""

    def codegen(context, builder, signature, args):
        if is_x86(builder):
            builder.call(declare(builder, "llvm.x86.sse.sfence", [], VOID, []), [])
        else:
            builder.fence("release")
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic  # type: ignore[untyped-decorator]
def load_masked(typingctx, array, index, mask):
    """Return the vector from ``array[index]`` on with zero in the lanes that `mask` leaves out, which are not read."""
    if not isinstance(mask, Mask):
        raise TypingError(f"vector.load_masked takes a mask, not a {mask}")
    vector, position = _vector_in(array, index, types.literal(mask.lanes), "vector.load_masked")

    def codegen(context, builder, signature, args):
        pointer = _vector_pointer(context, builder, array, vector, args)
        kind, opaque = llvm_vector(vector), ir.PointerType()
        mask_type = ir.VectorType(I1, vector.lanes)
        function = declare(builder, "llvm.masked.load", [kind, opaque], kind, [opaque, I32, mask_type, kind])
        align = ir.Constant(I32, vector.dtype.bitwidth // 8)
        return builder.call(function, [builder.bitcast(pointer, opaque), align, args[2], ir.Constant(kind, None)])

    return vector(array, position, mask), codegen


@intrinsic  # type: ignore[untyped-decorator]
def store_masked(typingctx, array, index, vector, mask):
    """Write the lanes of `vector` that `mask` has from ``array[index]`` on; the others are not touched."""
    if not (isinstance(vector, Vector) and isinstance(mask, Mask) and vector.lanes == mask.lanes):
        raise TypingError(f"vector.store_masked takes a vector and a mask of as many lanes, not {vector} and {mask}")
    held, position = _vector_in(array, index, types.literal(vector.lanes), "vector.store_masked")
    if held != vector or not array.mutable:
        raise TypingError(f"vector.store_masked cannot store a {vector} into {array}")

    def codegen(context, builder, signature, args):
        pointer = _vector_pointer(context, builder, array, vector, args)
        kind, opaque = llvm_vector(vector), ir.PointerType()
        mask_type = ir.VectorType(I1, vector.lanes)
        function = declare(builder, "llvm.masked.store", [kind, opaque], VOID, [kind, opaque, I32, mask_type])
        align = ir.Constant(I32, vector.dtype.bitwidth // 8)
        builder.call(function, [args[2], builder.bitcast(pointer, opaque), align, args[3]])
        return context.get_dummy_value()

    return types.none(array, position, vector, mask), codegen


class _VectorAddress(ir.instructions.Instruction):  # type: ignore[misc]
    """``getelementptr`` with a vector of indices, which llvmlite's own builder does not know."""

    def __init__(self, builder: Any, element: Any, base: Any, indices: Any):
        kind = ir.VectorType(ir.PointerType(), indices.type.count)
        super().__init__(builder.block, kind, "getelementptr", [base, indices])
        self.element = element

    def descr(self, buf: Any) -> None:
        """Write the instruction's text."""
        base, indices = self.operands
        text = f"ptr {base.get_reference()}, {indices.type} {indices.get_reference()}"
        buf.append(f"getelementptr {self.element}, {text}\n")


@intrinsic  # type: ignore[untyped-decorator]
def gather(typingctx, array, indices):
    """Return the vector of ``array[indices[lane]]``; `array` is one-dimensional, `indices` a vector of int32 or int64.

    One instruction on AVX2 and AVX-512, but still a load for each lane: worth it for the arithmetic around it. Scalar
    loads elsewhere.
    """
    if not (isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"):
        raise TypingError(f"vector.gather needs a one-dimensional contiguous array, not {array}")
    if not (isinstance(indices, Vector) and indices.dtype in (types.int32, types.int64)):
        raise TypingError(f"vector.gather takes a vector of int32 or int64 indices, not {indices}")
    vector = Vector(array.dtype, indices.lanes)

    def codegen(context, builder, signature, args):
        kind, element = llvm_vector(vector), llvm_element(vector.dtype)
        base = builder.bitcast(context.make_array(array)(context, builder, args[0]).data, ir.PointerType())
        addresses = _VectorAddress(builder, element, base, args[1])
        builder._insert(addresses)
        mask_type = ir.VectorType(I1, vector.lanes)
        everything = ir.Constant(mask_type, [1] * vector.lanes)
        arguments = [addresses.type, I32, mask_type, kind]
        function = declare(builder, "llvm.masked.gather", [kind, addresses.type], kind, arguments)
        align = ir.Constant(I32, vector.dtype.bitwidth // 8)
        return builder.call(function, [addresses, align, everything, ir.Constant(kind, ir.Undefined)])

    return vector(array, indices), codegen
