"""The Numba types of `kernels.machine.vector`, and how many lanes the target's registers hold."""

from __future__ import annotations

import functools
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.extending import lower_cast, overload, register_model
from numba.np import numpy_support

from kernels.machine._llvm import I1, literal

_REGISTER_BYTES = {"zmm": 64, "ymm": 32, "xmm": 16}
_NEON_BYTES = 16
_WIDEST_BYTES = 64

# One addition on a vector of the widest register; the register that LLVM picks for it tells what the target has.
_WIDTH_PROBE = """
target triple = "{triple}"
define void @probe(ptr %a, ptr %b) {{
  %u = load <{lanes} x {element}>, ptr %a, align {align}
  %v = load <{lanes} x {element}>, ptr %b, align {align}
  %w = {add} <{lanes} x {element}> %u, %v
  store <{lanes} x {element}> %w, ptr %a, align {align}
  ret void
}}
"""


class Vector(types.Type):
    """`lanes` numbers of one `dtype` in a vector register."""

    def __init__(self, dtype: Any, lanes: int):
        self.dtype = dtype
        self.lanes = lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")

    @property
    def bitwidth(self) -> int:
        """Return the bits of the whole vector."""
        return int(self.dtype.bitwidth) * self.lanes

    @property
    def is_float(self) -> bool:
        """Say whether the lanes are floating-point numbers."""
        return isinstance(self.dtype, types.Float)


class Mask(types.Type):
    """One bit for each of `lanes` lanes: what a comparison of vectors gives."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


class Pattern(tuple[int, ...]):
    """Lane numbers for a shuffle, known when the code is compiled: a module-level constant."""


class PatternType(types.Dummy):
    """The type of a `Pattern`: it holds the numbers themselves."""

    def __init__(self, pattern: tuple[int, ...]):
        self.pattern = tuple(pattern)
        super().__init__(name=f"Pattern{self.pattern}")


def llvm_element(given: Any) -> Any:
    """Return the LLVM type of one lane. Raises TypingError for what no lane can hold."""
    dtype: Any = given
    if isinstance(given, types.Integer) and dtype.bitwidth <= 64:
        return ir.IntType(dtype.bitwidth)
    if dtype == types.float64:
        return ir.DoubleType()
    if dtype == types.float32:
        return ir.FloatType()
    raise TypingError(f"a vector holds integers or floats of at most 64 bits, not {dtype}")


def llvm_vector(vector: Any) -> Any:
    """Return the LLVM type of a `Vector`."""
    return ir.VectorType(llvm_element(vector.dtype), vector.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any):
        super().__init__(dmm, fe_type, llvm_vector(fe_type))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any):
        super().__init__(dmm, fe_type, ir.VectorType(I1, fe_type.lanes))


register_model(PatternType)(models.OpaqueModel)


def element_type(dtype: Any) -> Any:
    """Return the Numba type that `dtype` names: a NumPy dtype or scalar class, or a Numba type."""
    if isinstance(dtype, (types.NumberClass, types.DType)):
        return dtype.dtype
    if isinstance(dtype, types.Type):
        return dtype
    return numpy_support.from_dtype(np.dtype(dtype))


@functools.cache
def register_bytes(dtype: Any) -> int:
    """Return the width of the widest register in which the target adds lanes of the Numba type `dtype`.

    Asks LLVM itself, by compiling one addition with the target machine that Numba uses: the names of a CPU and its
    features do not say it, as AVX without AVX2 adds integers in 16 bytes only, and AVX-512F without BW bytes in 32.
    """
    element = llvm_element(dtype)
    codegen = cpu_target.target_context.codegen()
    triple = llvm.get_process_triple()
    text = _WIDTH_PROBE.format(
        triple=triple,
        lanes=_WIDEST_BYTES * 8 // dtype.bitwidth,
        element=element,
        align=dtype.bitwidth // 8,
        add="fadd" if isinstance(dtype, types.Float) else "add",
    )
    if not triple.startswith("x86_64"):
        return _NEON_BYTES
    assembly = codegen._tm.emit_assembly(llvm.parse_assembly(text))
    addition = next(line for line in assembly.splitlines() if "add" in line and "mm" in line)
    return next(size for register, size in _REGISTER_BYTES.items() if register in addition)


def lanes(dtype: Any) -> int:
    """Return how many lanes of `dtype` the target's widest register holds: 8, 4 or 2 of ``np.float64``.

    `dtype` is a NumPy dtype or scalar class, or a Numba type. Make it a module-level constant, ``LANES =
    lanes(np.float64)``, where a vector function is to be told; compiled code may also call it.
    """
    kind = element_type(dtype)
    return register_bytes(kind) * 8 // int(kind.bitwidth)


@overload(lanes, inline="always")
def _lanes(dtype):
    count = lanes(dtype)
    return lambda dtype: count


def lane_count(given: Any, dtype: Any) -> int:
    """Return the number of lanes that a call names, or the target's where it names none (None)."""
    if given is None or isinstance(given, (types.NoneType, types.Omitted)):
        return lanes(dtype)
    count = int(literal(given, "the number of lanes"))
    if count < 1 or count & (count - 1):
        raise TypingError(f"the number of lanes must be a power of two, not {count}")
    return count


def omitted(given: Any) -> Any:
    """Return the type of an optional argument as the signature needs it."""
    return types.none if given is None else given


def broadcast(builder: Any, scalar: Any, count: int) -> Any:
    """Return a vector whose `count` lanes all hold `scalar`."""
    vector_type = ir.VectorType(scalar.type, count)
    first = builder.insert_element(ir.Constant(vector_type, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(vector_type, ir.Undefined), zeros)


@lower_cast(types.Number, Vector)
def _splat_cast(context, builder, fromty, toty, value):
    return broadcast(builder, context.cast(builder, value, fromty, toty.dtype), toty.lanes)


def scalar_fits(vector: Any, scalar: Any) -> bool:
    """Say whether the type `scalar` may be broadcast to `vector`: no float is cut to an integer without a word."""
    scalar = types.unliteral(scalar)
    return isinstance(scalar, types.Integer) or (isinstance(scalar, types.Float) and vector.is_float)


def common(arguments: Any) -> Any:
    """Return the vector type that all `arguments` (vectors of one type, and scalars) take, or None."""
    vectors = {argument for argument in arguments if isinstance(argument, Vector)}
    if len(vectors) != 1:
        return None
    vector = vectors.pop()
    fits = all(argument == vector or scalar_fits(vector, argument) for argument in arguments)
    return vector if fits else None
