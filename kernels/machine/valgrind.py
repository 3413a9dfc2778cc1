"""Client requests: compiled code tells Valgrind which part of it to look at. A few idle instructions elsewhere.

Callgrind started with ``--instr-atstart=no --collect-atstart=no`` then simulates the kernel alone, without Python and
LLVM around it: `start_instrumentation`, the kernel once (it warms the simulated cache), `toggle_collect`, the kernel,
`toggle_collect`, `dump_at`, `stop_instrumentation`. Put all of it into one compiled function, around the kernel's call,
so that no interpreter is counted.

A request is a sequence of rotations that leaves every register as it was, and that Valgrind, which translates each
instruction anyway, recognises (valgrind.h, ``VALGRIND_DO_CLIENT_REQUEST``). x86-64 and aarch64 (untested there); no-ops
that return the default on other machines.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.machine._llvm import I8, I64, is_aarch64, is_x86

_CALLGRIND = 0x43540000  # 'C', 'T' in the upper bytes: VG_USERREQ_TOOL_BASE
_RUNNING_ON_VALGRIND = 0x1001
_WORDS = 6  # the request's number and five arguments
_X86 = (
    "rolq $$3, %rdi; rolq $$13, %rdi; rolq $$61, %rdi; rolq $$51, %rdi; xchgq %rbx, %rbx",
    "={rdx},{rax},0,~{cc},~{memory},~{dirflag},~{fpsr},~{flags}",
)
_AARCH64 = (
    "ror x12, x12, #3; ror x12, x12, #13; ror x12, x12, #51; ror x12, x12, #61; orr x10, x10, x10",
    "={x3},{x4},0,~{cc},~{memory}",
)

llvm.initialize_native_asmparser()  # inline assembly makes LLVM abort without it


def _emit(builder: Any, request: int, first: Any, default: int) -> Any:
    """Emit one request with one argument; return its int64 answer, `default` outside Valgrind."""
    if not (is_x86(builder) or is_aarch64(builder)):
        return I64(default)
    text, constraints = _X86 if is_x86(builder) else _AARCH64
    block = cgutils.alloca_once(builder, ir.ArrayType(I64, _WORDS))
    for position, word in enumerate([I64(request), first, *[I64(0)] * (_WORDS - 2)]):
        builder.store(word, cgutils.gep_inbounds(builder, block, 0, position))
    pointer = builder.bitcast(block, I8.as_pointer())
    kind = ir.FunctionType(I64, [pointer.type, I64])
    return builder.asm(kind, text, constraints, [pointer, I64(default)], side_effect=True)


def _request(name: str, number: int, doc: str) -> Any:
    """Build an intrinsic ``() -> None`` that makes Callgrind's request `number`."""

    def ask(typingctx):
        def codegen(context, builder, signature, args):
            _emit(builder, _CALLGRIND + number, I64(0), 0)
            return context.get_dummy_value()

        return types.none(), codegen

    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = doc
    return intrinsic(ask)


dump = _request("dump", 0, "Write the counts so far to a file of their own, and set them to zero.")
zero = _request("zero", 1, "Set all counts to zero.")
toggle_collect = _request("toggle_collect", 2, "Begin or end counting; the simulated caches go on either way.")
start_instrumentation = _request("start_instrumentation", 4, "Begin to simulate; the simulated caches are empty then.")
stop_instrumentation = _request("stop_instrumentation", 5, "End the simulation: the program runs fast again.")

_DUMP_AT = 3


@intrinsic  # type: ignore[untyped-decorator]
def dump_at(typingctx, name):
    """Write the counts so far to a file of their own, marked with `name`: uint8[:], ASCII, with a zero at its end."""
    if not (isinstance(name, types.Array) and name.dtype == types.uint8 and name.layout == "C"):
        return None

    def codegen(context, builder, signature, args):
        address = builder.ptrtoint(context.make_array(name)(context, builder, args[0]).data, I64)
        _emit(builder, _CALLGRIND + _DUMP_AT, address, 0)
        return context.get_dummy_value()

    return types.none(name), codegen


@intrinsic  # type: ignore[untyped-decorator]
def running_on_valgrind(typingctx):
    """Return how many Valgrinds this code runs under, as int64: 0 for none, 1 under one."""

    def codegen(context, builder, signature, args):
        return _emit(builder, _RUNNING_ON_VALGRIND, I64(0), 0)

    return types.int64(), codegen
