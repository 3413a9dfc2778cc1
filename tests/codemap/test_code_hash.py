import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from workbench.codemap import code_hash
from workbench.errors import WorkbenchError

ROOT = Path(__file__).resolve().parents[2]

MODULE = """
import math
from kernels._jit import kernel_jit

@kernel_jit(inline="never")
def callee(x):
    total = 0.0
    for i in range(x.shape[0]):
        if x[i] > THRESHOLD:
            total += math.sin(x[i]) * 1.5
    return total

@kernel_jit
def caller(x):
    if x.shape[0] == 0:
        raise ValueError("empty")
    table = (3, 1, 4, 1, 5, 9, 2, 6)
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] / 3.0 + table[i & 7]
    return total + callee(x)
"""

SCRIPT = """
import sys
import numpy as np
import numba
before = [numba.njit(lambda a, k=k: a + k)(1) for k in range(int(sys.argv[1]))]  # moves Numba's counter of names
import toy
toy.caller(np.ones(100))
from workbench.codemap import code_hash
print(toy.caller.stats.cache_hits.total(), code_hash(toy.caller, toy.caller.signatures[0]))
"""


def run(folder: Path, cache: Path, threshold: str, earlier: int) -> tuple[str, str]:
    (folder / "toy.py").write_text(MODULE.replace("THRESHOLD", threshold))
    environment = {**os.environ, "WORKBENCH_CACHE": str(cache), "PYTHONPATH": f"{folder}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(earlier)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    hits, digest = done.stdout.split()
    return hits, digest


def test_equal_across_processes_and_caches_and_different_for_other_code(tmp_path):
    hits, compiled = run(tmp_path, tmp_path / "a", "2.5", 0)
    assert hits == "0"
    hits, loaded = run(tmp_path, tmp_path / "a", "2.5", 1)
    assert hits == "1"
    assert loaded == compiled
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    hits, again = run(elsewhere, tmp_path / "b", "2.5", 2)
    assert hits == "0"
    assert again == compiled  # another counter, another folder
    _, other = run(tmp_path, tmp_path / "a", "2.25", 0)  # only a constant of the callee differs
    assert other != compiled


def test_refuses_what_is_not_compiled():
    import numba

    with pytest.raises(WorkbenchError, match="not compiled"):
        code_hash(numba.njit(lambda a: a), (numba.int64,))
