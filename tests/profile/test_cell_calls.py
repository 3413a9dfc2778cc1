"""A cell's calls of compiled functions are found, with the arguments as they were before the call."""

import ast

import numpy as np
from numba import njit

from workbench.profile.cell_calls import RECORDER, Calls, recorded


@njit
def fill(out, value):
    out[:] = value
    return out.sum()


CELL = """
x = np.zeros(4)
total = 0.0
for value in (1.0, 2.0):
    total += fill(x, value=value)
named = dict(a=len([i for i in range(3)]))
def inner():
    return fill(x, 9.0)
"""


def test_the_last_call_of_a_compiled_function_is_kept():
    calls = Calls()
    space = {"np": np, "fill": fill, RECORDER: calls}
    exec(compile(recorded(ast.parse(CELL)), "<cell>", "exec"), space)
    assert list(calls.last) == [fill]
    array, value = calls.last[fill]
    assert value == 2.0 and (array == 1.0).all()  # before the second call
    assert space["total"] == 12.0 and space["named"] == {"a": 3}


def test_functions_and_frames_stay_as_they_are():
    text = ast.unparse(recorded(ast.parse("def f():\n    return g(1)\nlocals()\nnp.sum(x)")))
    assert "return g(1)" in text and "\nlocals()" in text and f"{RECORDER}(np.sum, x)" in text
