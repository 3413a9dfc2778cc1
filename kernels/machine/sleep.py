"""A short sleep from compiled code: what a thread does that waits for one which may need this very core.

`kernels.machine.hints.yield_core` is not enough for that. A thread that yields again and again is put back further each
time by Linux's scheduler (EEVDF, since 6.6): after some thousand yields it may not run for many seconds.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from kernels.machine._llvm import I32, external


@intrinsic  # type: ignore[untyped-decorator]
def sleep_us(typingctx, microseconds):
    """Sleep for at least so many microseconds (below 1,000,000), some 50 more on most machines: ``usleep``."""

    def codegen(context, builder, signature, args):
        builder.call(external(builder, "usleep", I32, [I32]), [args[0]])
        return context.get_dummy_value()

    return types.none(types.int32), codegen
