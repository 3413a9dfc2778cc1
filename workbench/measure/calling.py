"""How a function is called again and again so that each call is a whole one.

A compiled function is called from a compiled loop, not from Python: unpacking the arguments of a call takes Python some
hundred ns, as long as many a kernel. LLVM would take such a loop apart: put the function's body into it, take out of it
what is the same in each round, and drop a call whose answer nobody reads. So the loop calls through a pointer that LLVM
knows nothing of. What is timed is then the function as it stands, with one call that is not inlined, as it costs any
compiled caller that does not inline it. A caller that does may be faster than what is measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from kernels import probe as instrument
from kernels._jit import kernel_jit


@intrinsic  # type: ignore[untyped-decorator]
def _call_apart(typingctx, function, argument):  # type: ignore[no-untyped-def]
    """Call the compiled `function` with one argument through a pointer that LLVM cannot follow."""
    signature = function.get_call_type(typingctx, (argument,), {})

    def codegen(context, builder, whole, values):  # type: ignore[no-untyped-def]
        compiled = function.dispatcher.overloads[signature.args]
        context.active_code_library.add_linking_library(compiled.library)
        known = context.declare_function(builder.module, compiled.fndesc)
        pointer = builder.bitcast(known, cgutils.voidptr_t)
        same = ir.FunctionType(cgutils.voidptr_t, [cgutils.voidptr_t])
        hidden = builder.bitcast(builder.asm(same, "", "=r,0", [pointer], True), known.type)
        status, value = context.call_conv.call_function(
            builder, hidden, signature.return_type, signature.args, [values[1]]
        )
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return value

    return signature.return_type(function, argument), codegen


def compiled_loop(function: Dispatcher) -> Dispatcher:
    """Return a compiled ``replay(arguments, calls, out, begin, probe)`` that calls `function` once for each of `calls`.

    `arguments` is the tuple of what `function` takes. With a probe, each call is timed. The loop is compiled in memory
    only, because it closes over `function`: 0.3 s in each process, beside what `function` itself takes.
    """

    @kernel_jit
    def call(arguments):  # type: ignore[no-untyped-def]
        return function(*arguments)

    @kernel_jit
    def replay(arguments, calls, out, begin, probe):  # type: ignore[no-untyped-def]
        for _ in range(begin, calls.shape[0]):
            began = instrument.start(probe)
            _call_apart(call, arguments)  # type: ignore[call-arg]
            instrument.stop(probe, began)
        return max(begin, calls.shape[0])

    return replay  # type: ignore[no-any-return]


def python_loop(function: Callable[..., Any]) -> Callable[..., int]:
    """Return a ``replay`` as `compiled_loop`'s, in Python, whose own time is part of each call."""

    def replay(arguments: tuple[Any, ...], calls: Any, out: Any, begin: int, probe: Any) -> int:
        for _ in repeat(None, len(calls) - begin):
            function(*arguments)
        return max(begin, len(calls))

    return replay
