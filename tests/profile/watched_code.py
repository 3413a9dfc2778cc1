"""Functions that other processes are asked to watch."""

from pathlib import Path

import numpy as np

from kernels._jit import kernel_jit


@kernel_jit
def divide_and_add(values, divisions, additions):
    total = 0.0
    for i in range(divisions):
        total = 1.0 / (values[i & 1023] + total)
    for i in range(additions):
        total += values[i & 1023]
    return total


def line_of(needle):
    """Return the number of the line of this file that holds `needle`."""
    with Path(__file__).open() as stream:
        return next(number for number, text in enumerate(stream, 1) if needle in text)


def call_compiled(values, divisions):
    return divide_and_add(values, divisions, 1)


def fail(number):
    raise ValueError(f"{number} is too much")


VALUES = np.linspace(1.0, 2.0, 1024)
