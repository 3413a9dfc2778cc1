"""Compile what this package emits for 64-bit ARM, which LLVM can do on any machine; print the listings as JSON."""

import json
import re
import sys

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import float64, int64, types

from kernels._jit import OPTIONS
from kernels.machine import _vector_memory, atomics, hints, prefetch, valgrind
from kernels.machine import vector as v

TRIPLE = "aarch64-unknown-linux-gnu"
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
MACHINE = llvm.Target.from_triple(TRIPLE).create_target_machine(features="+lse")
WORDS, DOUBLES = types.Array(int64, 1, "C"), types.Array(float64, 1, "C")


def publish(a):
    atomics.store(a, 0, 1, "release")


def look(a):
    return atomics.load(a, 0, "acquire")


def count(a):
    return atomics.add(a, 0, 3, "relaxed")


def swap(a):
    return atomics.compare_exchange(a, 0, 1, 2, "acq_rel")[1]


def fetch(a, i):
    prefetch.prefetch_read(a, i)


def add_up(a):
    v.store(a, 0, v.multiply_add(v.load(a, 8, 2), v.load(a, 16, 2), v.splat(1.0, np.float64, 2)))


def ported(function, *signature):
    """Return the ARM listing of `function`, from the LLVM text that Numba made for this machine."""
    dispatcher = numba.njit(**OPTIONS)(function)
    dispatcher.compile(signature)
    (text,) = dispatcher.inspect_llvm().values()
    text = re.sub(r"^target (triple|datalayout).*$", "", text, flags=re.M)
    own = re.compile(rf"define [^\n]*@_ZN8__main__\d*{function.__name__}")  # not the wrappers, nor Numba's runtime
    text = re.sub(r"^define .*?^}$", lambda found: found[0] if own.match(found[0]) else "", text, flags=re.M | re.S)
    return MACHINE.emit_assembly(llvm.parse_assembly(f'target triple = "{TRIPLE}"\n{text}'))


class NoContext:
    """What an intrinsic without arguments asks of Numba's context."""

    def get_dummy_value(self):
        return None


def emitted(intrinsic):
    """Return the ARM listing of an intrinsic without arguments, which chooses its code by the module's triple.

    LLVM's text where there is inline assembly: llvmlite has the assembler of this machine only.
    """
    module = ir.Module()
    module.triple = TRIPLE
    result = ir.IntType(64) if intrinsic is valgrind.running_on_valgrind else ir.VoidType()
    builder = ir.IRBuilder(ir.Function(module, ir.FunctionType(result, []), "subject").append_basic_block())
    _, codegen = intrinsic._defn(None)
    value = codegen(NoContext(), builder, None, [])
    builder.ret(value) if value is not None else builder.ret_void()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return str(parsed) if " asm " in str(parsed) else MACHINE.emit_assembly(parsed)


if __name__ == "__main__":
    listings = {function.__name__: ported(function, WORDS) for function in (publish, look, count, swap)}
    listings["fetch"] = ported(fetch, WORDS, int64)
    listings["add_up"] = ported(add_up, DOUBLES)
    for subject in (hints.pause, _vector_memory.stream_fence, valgrind.running_on_valgrind, valgrind.toggle_collect):
        listings[subject._name] = emitted(subject)
    json.dump(listings, sys.stdout)
