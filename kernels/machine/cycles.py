"""The time-stamp counter, read from compiled code without a call.

``llvm.readcyclecounter`` is ``rdtsc`` on x86-64 and the virtual counter register on aarch64 (untested there). It is
not a serializing instruction: a stamp may move by a few instructions. On some virtual machines the counter advances in
steps of several nanoseconds: `workbench.measure.clock` measures step and cost and stores both beside each result.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic  # type: ignore[untyped-decorator]
def read_cycles(typingctx: Any) -> Any:
    """Return the time-stamp counter as int64 ticks. Constant-rate on every x86-64 of the last decade."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.readcyclecounter", (), ir.FunctionType(ir.IntType(64), []))
        return builder.call(function, [])

    return types.int64(), codegen
