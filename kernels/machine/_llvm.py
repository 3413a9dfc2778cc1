"""What the intrinsics of this package share: element addresses, literal arguments, LLVM declarations."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.errors import TypingError
from numba.core.imputils import lower_constant
from numba.extending import register_model, typeof_impl

VOID = ir.VoidType()
I1 = ir.IntType(1)
I8 = ir.IntType(8)
I32 = ir.IntType(32)
I64 = ir.IntType(64)


class Word(str):
    """A string that compiled code knows as a constant also when it is read from a module, as in ``atomics.RELAXED``."""


class WordType(types.Dummy):
    """The type of a `Word`: it holds the text itself."""

    def __init__(self, word: str):
        self.word = str(word)
        super().__init__(name=f"Word({self.word})")


register_model(WordType)(models.OpaqueModel)


@typeof_impl.register(Word)
def _typeof_word(value: Any, context: Any) -> Any:
    return WordType(value)


@lower_constant(WordType)
def _word_constant(context, builder, kind, value):
    return context.get_dummy_value()


def is_x86(builder: Any) -> bool:
    """Say whether the module under construction is for x86-64."""
    return str(builder.module.triple).startswith("x86_64")


def is_aarch64(builder: Any) -> bool:
    """Say whether the module under construction is for 64-bit ARM."""
    return str(builder.module.triple).startswith(("aarch64", "arm64"))


def literal(argument: Any, what: str, allowed: Any = None) -> Any:
    """Return the compile-time value of `argument`.

    Raises TypingError when it is a run-time value or not one of `allowed`. Numba types a call without literals first,
    and with them when that fails: so raising here is also how an intrinsic asks for the literal.
    """
    if isinstance(argument, WordType):
        value: Any = argument.word
    elif isinstance(argument, types.Literal):
        value = argument.literal_value
    else:
        raise TypingError(f"{what} must be a constant in the source, not a {argument}")
    if allowed is not None and value not in allowed:
        raise TypingError(f"{what} must be one of {', '.join(map(str, allowed))}, not {value!r}")
    return value


def index_type(array: Any, given: Any, who: str) -> Any:
    """Return the type that `given` is cast to: an intp, or a tuple with one intp for each dimension of `array`."""
    if not isinstance(array, types.Array):
        raise TypingError(f"{who} works on an element of an array, not of a {array}")
    index: Any = types.unliteral(given)
    if array.ndim == 1 and isinstance(index, types.Integer):
        return types.intp
    parts: Any = index if isinstance(index, types.BaseTuple) else ()
    if len(parts) == array.ndim and all(isinstance(types.unliteral(part), types.Integer) for part in parts):
        return types.UniTuple(types.intp, array.ndim)
    raise TypingError(f"{who} takes one whole number for each of the {array.ndim} dimensions, not {index}")


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return the address of ``array[index]``; no bounds check, and a negative index does not count from the end."""
    struct = context.make_array(array_type)(context, builder, array)
    indices = [index] if array_type.ndim == 1 and not isinstance(index.type, ir.ArrayType) else None
    if indices is None:
        indices = cgutils.unpack_tuple(builder, index, array_type.ndim)
    return cgutils.get_item_pointer(context, builder, array_type, struct, indices)


def declare(builder: Any, name: str, suffixes: Any, result: Any, arguments: Any) -> Any:
    """Declare an LLVM intrinsic under its full name: a missing or wrong type suffix would crash at run time."""
    function_type = ir.FunctionType(result, arguments)
    full = ".".join([name, *(intrinsic_suffix(suffix) for suffix in suffixes)])
    known = builder.module.globals.get(full)
    return known if known is not None else ir.Function(builder.module, function_type, name=full)


def intrinsic_suffix(type_: Any) -> str:
    """Return how LLVM spells `type_` in the name of an overloaded intrinsic: ``i64``, ``f64``, ``v8f64``, ``p0``."""
    if isinstance(type_, ir.VectorType):
        return f"v{type_.count}{intrinsic_suffix(type_.element)}"
    return str(type_.intrinsic_name)


def external(builder: Any, name: str, result: Any, arguments: Any) -> Any:
    """Declare a C function that the loader finds by name: the code then holds no address, and can be cached."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)
