"""Memory of Numba's run-time, kept by hand: an array is made, and its number of references is what holds it.

``numpy.empty`` inside compiled code allocates a block and counts references to it. `keep` adds a reference that nobody
owns and returns where the block is; `let_go` takes it away again, upon which the block is freed.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_POINTER = types.MemInfoPointer(types.voidptr)


@intrinsic  # type: ignore[untyped-decorator]
def keep(typingctx, array):
    """Return the address of the block that holds `array`, int64[n], and that of its first element; keep it alive."""

    def codegen(context, builder, signature, args):
        context.nrt.incref(builder, array, args[0])
        struct = context.make_array(array)(context, builder, args[0])
        word = ir.IntType(64)
        return context.make_tuple(
            builder,
            signature.return_type,
            [builder.ptrtoint(struct.meminfo, word), builder.ptrtoint(struct.data, word)],
        )

    return types.UniTuple(types.int64, 2)(array), codegen


@intrinsic  # type: ignore[untyped-decorator]
def let_go(typingctx, block):
    """Take away the reference that `keep` added; `block` is the first of what it returned."""

    def codegen(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        context.nrt.decref(builder, _POINTER, pointer)
        return context.get_dummy_value()

    return types.none(types.int64), codegen


def _pointer(builder, address, index):
    word = ir.IntType(64)
    return builder.gep(builder.inttoptr(address, word.as_pointer()), [index], source_etype=word)


@intrinsic  # type: ignore[untyped-decorator]
def word_at(typingctx, address, index):
    """Return element `index` of the int64 that begin at `address`."""

    def codegen(context, builder, signature, args):
        return builder.load(_pointer(builder, args[0], args[1]), typ=ir.IntType(64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def set_word_at(typingctx, address, index, value):
    """Set element `index` of the int64 that begin at `address`."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _pointer(builder, args[0], args[1]))
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), codegen
