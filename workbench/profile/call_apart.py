"""``call_apart(function, *args)`` inside compiled code: a call that LLVM may not inline.

Inlined into its caller a function is not the function that ships: what the caller does not use is dropped.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic  # type: ignore[untyped-decorator]
def call_apart(typingctx, function, *arguments):  # type: ignore[no-untyped-def]
    """Call the compiled `function` with these arguments, as a function of its own. Its result is dropped."""
    packed: Any = arguments[0] if len(arguments) == 1 else None  # Numba hands starred arguments over as one tuple
    given: Any = tuple(packed) if isinstance(packed, types.BaseTuple) else arguments  # type: ignore[arg-type]
    called = function.get_call_type(typingctx, given, {})
    signature = types.none(function, types.StarArgTuple.from_types(given))

    def codegen(context: Any, builder: Any, _: Any, values: Any) -> Any:
        parts = [builder.extract_value(values[1], index) for index in range(len(given))]
        before = {id(each) for block in builder.function.blocks for each in block.instructions}
        callee = context.get_function(function, called)
        result = callee(builder, parts)
        for block in builder.function.blocks:
            for each in block.instructions:
                if id(each) not in before and isinstance(each, ir.CallInstr):
                    each.attributes.add("noinline")
        if context.enable_nrt:
            context.nrt.decref(builder, called.return_type, result)
        return context.get_dummy_value()

    return signature, codegen
