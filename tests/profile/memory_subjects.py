"""A kernel and functions with planted costs of memory, written where a test wants them."""

KERNEL = '''"""A kernel of a user's: adds up sizes; `wasteful` allocates for each of them."""

from typing import NamedTuple

import numpy as np

from kernels import Kernel


class Reference:
    def __init__(self, **parameters):
        pass

    def replay(self, sizes):
        return np.cumsum(sizes)


KERNEL = Kernel(
    name="tally",
    title="Sum of sizes",
    card="For tests.",
    operations={"event": "one size added"},
    counters={},
    invariants=(),
    parameters=(),
    package=__name__,
    reference=Reference,
    prepare=lambda events, parameters: np.ascontiguousarray(events["size"]).astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(1, np.int64),
    length=len,
    count_operations=len,
)
'''

VARIANT = """import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant


@kernel_jit
def pair(size):
    {body}


@kernel_jit
def replay_from(state, sizes, out, begin, probe):
    total = 0
    for i in range(begin, len(sizes)):
        total += pair(sizes[i])
    out[0] = total
    return len(sizes)


def reset(state):
    state[0] = 0


VARIANT = Variant("{name}", None, "for tests", lambda parameters: np.zeros(1, np.int64), reset, replay_from)
"""

WASTEFUL = "both = np.array([size, 1])  # planted\n    return both[0] * both[1]"
CLEAN = "return size * 1"

FUNCTIONS = """import os
import sys

import numpy as np
from numba import njit

KEPT = []


@njit
def squares(count):
    out = np.empty(count)  # planted
    for i in range(count):
        out[i] = i * i
    return out


def three():
    return (3,)


def leaks():
    KEPT.append(np.ones(1000))  # planted leak
    return None


def once(cache={}):
    if not cache:
        cache["table"] = np.zeros(10)
    return cache["table"]


def raises():
    return [][1]


def leaves():
    sys.exit(3)


def vanishes():
    os._exit(7)


def nothing():
    pass
"""


def write_kernel(folder):
    """Write the package of the kernel below `folder`; return its path."""
    package = folder / "tally_kernel"
    package.mkdir()
    (package / "__init__.py").write_text(KERNEL)
    for name, body in (("wasteful", WASTEFUL), ("clean", CLEAN)):
        (package / f"{name}.py").write_text(VARIANT.format(name=name, body=body))
    return package


def write_functions(folder, name="planted.py"):
    """Write the file of functions; return its path."""
    path = folder / name
    path.write_text(FUNCTIONS)
    return path


def line_of(path, text):
    """Return the number of the first line of `path` that holds `text`."""
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)
