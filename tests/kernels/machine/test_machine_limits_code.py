"""The machine code of the loops that meet a limit does what their names say: LLVM has hoisted nothing."""

import re

import pytest
from machine_code import assembly, needs_x86
from numba import types

from kernels.machine import limits as loops

WORDS = types.Array(types.int64, 1, "C")


def loops_of(listing):
    """Return the innermost loops: what lies between a label and the jump back to it, with no label between."""
    pieces = re.split(r"^(\.LBB\S+):", listing, flags=re.M)
    for label, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if back := re.search(rf"^ j\w+ {re.escape(label)}$", text, re.M):
            yield text[: back.end()]


@needs_x86
@pytest.mark.parametrize(
    ("loop", "addition"),
    [(loops.plain_adds, "incq|addq"), (loops.atomic_adds, "lock"), (loops.exchanges, "lock")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_addition_to_a_counter_loads_and_stores_it(loop, addition):
    found = list(loops_of(assembly(loop.py_func, WORDS, types.int64)))
    assert found
    for body in found:
        both = len(re.findall(rf"^ (?:{addition})\b.*\(%r\w+\)$", body, re.M))  # one instruction, to memory
        both += len(re.findall(r"^ lock$", body, re.M))
        loads = len(re.findall(r"^ mov\w* \(%r\w+\), %", body, re.M))
        stores = len(re.findall(r"^ mov\w* %\w+, \(%r\w+\)$", body, re.M))
        assert both + loads == both + stores >= 1, body
