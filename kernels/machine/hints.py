"""Hints that change no result: which way a branch goes, that a loop is only waiting, what may be assumed.

`likely` and `unlikely` put the rare side of a branch out of the straight path of the code, so that the common side runs
without a taken jump and shares no cache line with it. They help where the rare side is long (error handling); they do
nothing where LLVM turns the branch into a conditional move anyway. Wrong hints cost.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.machine._llvm import I1, I32, VOID, declare, external, is_aarch64, is_x86

_YIELD = 1  # the operand of aarch64's `hint` instruction


def _expect(typingctx, condition, expected):
    if not isinstance(types.unliteral(condition), types.Boolean):
        raise TypingError(f"a branch hint takes a boolean, not a {condition}: write the comparison out")

    def codegen(context, builder, signature, args):
        function = declare(builder, "llvm.expect", [I1], I1, [I1, I1])
        return builder.call(function, [args[0], ir.Constant(I1, expected)])

    return types.boolean(types.boolean), codegen


@intrinsic  # type: ignore[untyped-decorator]
def likely(typingctx, condition):
    """Return `condition` (a boolean), telling LLVM that it is true nearly always.

    For example ``if likely(size[i] > 0):``.
    """
    return _expect(typingctx, condition, 1)


@intrinsic  # type: ignore[untyped-decorator]
def unlikely(typingctx, condition):
    """Return `condition` (a boolean), telling LLVM that it is false nearly always.

    For example ``if unlikely(kind > last):``.
    """
    return _expect(typingctx, condition, 0)


@intrinsic  # type: ignore[untyped-decorator]
def assume(typingctx, condition):
    """Promise that `condition` (a boolean) is true; LLVM may drop code that handles the rest.

    For example ``assume(n % 8 == 0)`` before a loop over `n` drops the scalar remainder. A promise that does not hold
    makes the behaviour undefined.
    """
    if not isinstance(types.unliteral(condition), types.Boolean):
        raise TypingError(f"assume takes a boolean, not a {condition}: write the comparison out")

    def codegen(context, builder, signature, args):
        builder.call(declare(builder, "llvm.assume", [], VOID, [I1]), [args[0]])
        return context.get_dummy_value()

    return types.none(types.boolean), codegen


@intrinsic  # type: ignore[untyped-decorator]
def pause(typingctx):
    """Tell the core that this loop only waits: ``pause`` on x86-64, ``yield`` on aarch64 (untested), nothing elsewhere.

    It keeps a spinning core from filling its pipeline with loads that all have to be thrown away when the value
    changes, and gives a hyper-thread beside it the units.
    """

    def codegen(context, builder, signature, args):
        if is_x86(builder):
            builder.call(declare(builder, "llvm.x86.sse2.pause", [], VOID, []), [])
        elif is_aarch64(builder):
            builder.call(declare(builder, "llvm.aarch64.hint", [], VOID, [I32]), [ir.Constant(I32, _YIELD)])
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic  # type: ignore[untyped-decorator]
def yield_core(typingctx):
    """Let another thread have this core, if one waits for it (``sched_yield``): a system call.

    What a spinning loop does after some hundred pauses: the thread it waits for may be asleep on this very core.
    """

    def codegen(context, builder, signature, args):
        builder.call(external(builder, "sched_yield", I32, []), [])
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic  # type: ignore[untyped-decorator]
def choose(typingctx, condition, first, second):
    """Return `first` if `condition` (a boolean), else `second`, without a branch: both are computed.

    Where the processor could not guess the condition, a conditional move costs a cycle and a wrong guess some 15. LLVM
    decides between the two by rules of thumb and often wrongly, because it does not know the data: this tells it
    (``!unpredictable``). Where the condition is nearly always the same, write ``if`` instead.
    """
    if not isinstance(types.unliteral(condition), types.Boolean):
        raise TypingError(f"choose takes a boolean first, not a {condition}: write the comparison out")
    kind = typingctx.unify_types(types.unliteral(first), types.unliteral(second))
    if kind is None or not isinstance(kind, (types.Integer, types.Float, types.Boolean)):
        raise TypingError(f"choose takes two numbers of one type, not {first} and {second}")

    def codegen(context, builder, signature, args):
        chosen = builder.select(*args)
        chosen.set_metadata("unpredictable", builder.module.add_metadata([]))
        return chosen

    return kind(types.boolean, kind, kind), codegen


@intrinsic  # type: ignore[untyped-decorator]
def opaque(typingctx, value):
    """Return the integer `value` so that LLVM forgets all that it knows about it, for no instruction at all."""
    kind = types.unliteral(value)
    if not isinstance(kind, types.Integer):
        raise TypingError(f"opaque takes an integer, not a {value}")

    def codegen(context, builder, signature, args):
        pair = ir.FunctionType(args[0].type, [args[0].type])
        return builder.asm(pair, "", "=r,0", [args[0]], False)

    return kind(kind), codegen
