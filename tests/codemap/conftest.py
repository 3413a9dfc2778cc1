import importlib
import sys

import pytest

CALLEE = """
from kernels._jit import kernel_jit


@kernel_jit
def twice(value):
    return value * 2.0 + 0.25


@kernel_jit(inline="always")
def pasted(value):
    return value / 3.0
"""

CALLER = """
import numpy as np
from kernels._jit import kernel_jit
from codemap_callee import pasted, twice


@kernel_jit
def caller(values):
    if values.shape[0] == 0:
        raise ValueError("empty")
    total = 0.0
    for i in range(values.shape[0]):
        total += twice(values[i])
    for i in range(values.shape[0]):
        total += pasted(values[i])
    for i in range(values.shape[0]):
        total += np.sin(values[i])
    return total


@kernel_jit(parallel=True)
def spread(values):
    total = 0.0
    for i in prange(values.shape[0]):
        total += np.sqrt(values[i])
    return total
"""


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A module whose functions call into another file."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "codemap_callee.py").write_text(CALLEE)
    (folder / "codemap_caller.py").write_text(
        CALLER.replace("import numpy as np", "import numpy as np\nfrom numba import prange")
    )
    sys.path.insert(0, str(folder))
    yield importlib.import_module("codemap_caller")
    sys.path.remove(str(folder))


def line_of(text: str, needle: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if needle in line)
