"""Atomic instructions on array elements, each with the memory order it needs.

``add(array, index, value, "relaxed")`` is one ``lock xadd``: no lock, no call, no lost update. `array` holds integers
of 8 to 64 bits (`load`, `store` and `exchange` take floats too), of any shape and layout; `index` is a whole number, or
a tuple for several dimensions. Nothing is checked: the index must be inside (a negative one does not count from the
end) and the element must lie at a multiple of its own size, which it does in every array that NumPy allocated.

The order is a constant in the source, a string or one of the names below, and there is no default: each use says what
it relies on.

==========  ========================================================================================================
RELAXED     the operation itself cannot tear or get lost; says nothing about other memory. For counters
ACQUIRE     a load: what the storing thread wrote before its RELEASE store is visible after it
RELEASE     a store: everything written before it is visible to whoever ACQUIRE-loads the stored value
ACQ_REL     both, for an operation that reads and writes
SEQ_CST     also one order of all SEQ_CST operations that every thread agrees on. Needed when two threads each store
            to one place and then load the other's (Dekker's algorithm); dearer, as it waits for the store buffer
==========  ========================================================================================================

On x86-64 plain loads are ACQUIRE and plain stores RELEASE already: those orders cost nothing there and only keep the
compiler from moving code. An operation that reads and writes costs the same under every order. On aarch64 they become
``ldar``, ``stlr``, ``casal`` and the like (untested there).
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.machine._llvm import Word, element_pointer, index_type, literal

RELAXED = Word("relaxed")
ACQUIRE = Word("acquire")
RELEASE = Word("release")
ACQ_REL = Word("acq_rel")
SEQ_CST = Word("seq_cst")

_LLVM_ORDER = {RELAXED: "monotonic", ACQUIRE: "acquire", RELEASE: "release", ACQ_REL: "acq_rel", SEQ_CST: "seq_cst"}
_ON_FAILURE = {RELAXED: "monotonic", ACQUIRE: "acquire", RELEASE: "monotonic", ACQ_REL: "acquire", SEQ_CST: "seq_cst"}
_LOAD_ORDERS = (RELAXED, ACQUIRE, SEQ_CST)
_STORE_ORDERS = (RELAXED, RELEASE, SEQ_CST)
_FENCE_ORDERS = (ACQUIRE, RELEASE, ACQ_REL, SEQ_CST)
_ANY_ORDER = tuple(_LLVM_ORDER)


def _element(array: Any, index: Any, who: str, *, floats: bool) -> tuple[Any, Any]:
    """Return the types of the element and of the index, or raise TypingError with one sentence."""
    position = index_type(array, index, who)
    allowed = (types.Integer, types.Float) if floats else (types.Integer,)
    if not isinstance(array.dtype, allowed):
        raise TypingError(f"{who} has no machine instruction for elements of {array.dtype}")
    return array.dtype, position


def _check_value(element: Any, value: Any, who: str) -> None:
    """Refuse a float for an integer element: the cast would drop its fraction without a word."""
    value = types.unliteral(value)
    if isinstance(element, types.Integer) and not isinstance(value, (types.Integer, types.Boolean)):
        raise TypingError(f"{who} cannot put a {value} into an element of {element}")


@intrinsic  # type: ignore[untyped-decorator]
def load(typingctx, array, index, order):
    """Return ``array[index]``, read in one piece. `order` is RELAXED, ACQUIRE or SEQ_CST."""
    chosen = _LLVM_ORDER[literal(order, "the order of atomics.load", _LOAD_ORDERS)]
    element, position = _element(array, index, "atomics.load", floats=True)

    def codegen(context, builder, signature, args):
        pointer = element_pointer(context, builder, array, args[0], args[1])
        return builder.load_atomic(pointer, chosen, element.bitwidth // 8)

    return element(array, position, order), codegen


@intrinsic  # type: ignore[untyped-decorator]
def store(typingctx, array, index, value, order):
    """Write `value` to ``array[index]`` in one piece. `order` is RELAXED, RELEASE or SEQ_CST."""
    chosen = _LLVM_ORDER[literal(order, "the order of atomics.store", _STORE_ORDERS)]
    element, position = _element(array, index, "atomics.store", floats=True)
    _check_value(element, value, "atomics.store")

    def codegen(context, builder, signature, args):
        pointer = element_pointer(context, builder, array, args[0], args[1])
        builder.store_atomic(args[2], pointer, chosen, element.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, position, element, order), codegen


def _read_modify_write(name: str, signed: str, unsigned: str, floating: str | None, doc: str) -> Any:
    """Build an intrinsic ``(array, index, value, order) -> old value`` around LLVM's ``atomicrmw``."""
    who = f"atomics.{name}"

    def operate(typingctx, array, index, value, order):
        chosen = _LLVM_ORDER[literal(order, f"the order of {who}", _ANY_ORDER)]
        element, position = _element(array, index, who, floats=floating is not None)
        _check_value(element, value, who)
        if isinstance(element, types.Float):
            operation = floating
        else:
            operation = signed if element.signed else unsigned

        def codegen(context, builder, signature, args):
            pointer = element_pointer(context, builder, array, args[0], args[1])
            return builder.atomic_rmw(operation, pointer, args[2], chosen)

        return element(array, position, element, order), codegen

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = doc
    return intrinsic(operate)


add = _read_modify_write("add", "add", "add", None, "Add `value` to ``array[index]``; return what was there before.")
sub = _read_modify_write("sub", "sub", "sub", None, "Subtract `value` from ``array[index]``; return the old value.")
and_ = _read_modify_write(
    "and_", "and", "and", None, "Keep the bits of ``array[index]`` that `value` has; return the old."
)
or_ = _read_modify_write("or_", "or", "or", None, "Set the bits of `value` in ``array[index]``; return the old value.")
xor = _read_modify_write(
    "xor", "xor", "xor", None, "Flip the bits of `value` in ``array[index]``; return the old value."
)
minimum = _read_modify_write("minimum", "min", "umin", None, "Lower ``array[index]`` to `value`; return the old value.")
maximum = _read_modify_write("maximum", "max", "umax", None, "Raise ``array[index]`` to `value`; return the old value.")
exchange = _read_modify_write(
    "exchange", "xchg", "xchg", "xchg", "Put `value` into ``array[index]``; return the old one."
)


@intrinsic  # type: ignore[untyped-decorator]
def compare_exchange(typingctx, array, index, expected, desired, order):
    """Put `desired` into ``array[index]`` if `expected` is there. Return ``(what was there, whether it was put)``.

    Strong: it fails only when the value differs. After a failure the order is that of the load alone (ACQUIRE for
    ACQ_REL, RELAXED for RELEASE). A value that went away and came back (ABA) is not noticed: put a tag beside it.
    """
    name = literal(order, "the order of atomics.compare_exchange", _ANY_ORDER)
    element, position = _element(array, index, "atomics.compare_exchange", floats=False)
    _check_value(element, expected, "atomics.compare_exchange")
    _check_value(element, desired, "atomics.compare_exchange")
    result = types.Tuple((element, types.boolean))

    def codegen(context, builder, signature, args):
        pointer = element_pointer(context, builder, array, args[0], args[1])
        pair = builder.cmpxchg(pointer, args[2], args[3], _LLVM_ORDER[name], _ON_FAILURE[name])
        return cgutils.pack_struct(builder, [builder.extract_value(pair, 0), builder.extract_value(pair, 1)])

    return result(array, position, element, element, order), codegen


@intrinsic  # type: ignore[untyped-decorator]
def fence(typingctx, order):
    """Order this thread's loads and stores before it against those after it: ``mfence`` for SEQ_CST on x86-64."""
    chosen = _LLVM_ORDER[literal(order, "the order of atomics.fence", _FENCE_ORDERS)]

    def codegen(context, builder, signature, args):
        builder.fence(chosen)
        return context.get_dummy_value()

    return types.none(order), codegen
