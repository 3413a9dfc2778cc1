"""Functions of a session and of a file, measured in fresh processes, compared, and profiled by source line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from workbench.errors import InputError
from workbench.measure.progress import Silent

FILE = Path(__file__).with_name("vwap_of_a_user.py")
SESSION = """
import numpy as np
from numba import njit
import workbench as wb

SCALE = 2.0

@njit
def scaled(x):
    return SCALE * x

@wb.variant("cells", "loop")
@njit
def loop(x):
    total = 0.0
    for i in range(x.shape[0]):
        total += scaled(x[i])
    return total

@wb.variant("cells", "sum")
@njit
def whole(x):
    return SCALE * x.sum()

wb.workload("cells", np.arange(3000.0))
"""
QUICK = {"replicates": 2, "seconds": 0.1, "progress": Silent()}


@pytest.fixture
def session():
    """Run a cell: its functions live in no module that could be imported."""
    exec(compile(SESSION, "<cell 1>", "exec"), {"__name__": "__main__"})


def test_functions_of_a_session_are_measured_elsewhere(session):
    run = wb.measure("cells", **QUICK)
    rates = {each.variant: each for each in run.results if each.metric == "throughput"}
    assert set(rates) == {"loop", "sum"} and len(run.replicates) == 2
    assert run.workload.content == "arguments" and set(run.replicates[0].code_hash) == {"cells/loop", "cells/sum"}
    assert run.replicates[0].code_hash == run.replicates[1].code_hash
    assert {each.a for each in run.comparisons} == {"cells/loop"}


def test_other_arguments_for_one_comparison(session):
    compared = wb.compare("cells", "loop", "sum", (np.ones(10),), **QUICK)
    assert compared.run.workload != wb.compare("cells", "loop", "sum", **QUICK).run.workload


def test_what_cannot_be_taken_along_is_told(session):
    import threading

    lock = threading.Lock()
    wb.workload("cells")(lambda: (np.ones(3) if lock else None,))
    with pytest.raises(InputError, match=r"cells cannot be taken to another process .*lock.*@wb.workload"):
        wb.measure("cells", **QUICK)


def test_a_session_s_function_is_profiled_by_line(session):
    profile = wb.profile("cells/loop", seconds=0.5)
    assert profile.title == "cells/loop" and profile.counters
    with pytest.raises(InputError, match="bring their own arguments"):
        wb.profile("cells/loop", workload="synthetic")


def workbench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "workbench", *arguments], capture_output=True, text=True, cwd=FILE.parent, env=os.environ
    )


def test_a_file_on_the_command_line():
    done = workbench("run", f"{FILE.name}:user_vwap", "-P", "size=500", "--seconds", "0.2", "--replicates", "1",
                     "--no-save", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert {each["variant"] for each in run["results"]} == {"baseline", "fast", "plain"}
    assert run["parameters"]["user_vwap"]["size"] == 500 and run["workload"]["name"] == "ticks(size=500, seed=1)"
    assert any("user_vwap/plain is not compiled by Numba" in note for note in run["notes"])


def test_what_is_proposed_next_names_the_file_again():
    done = workbench("run", f"{FILE.name}:user_vwap/fast", "--seconds", "0.1", "--replicates", "1", "--no-save")
    assert done.returncode == 0, done.stderr
    assert f"next: workbench profile cpu {FILE.name}:user_vwap/fast" in done.stdout


def test_two_variants_of_a_file_are_compared():
    done = workbench("compare", "baseline", "fast", "-k", f"{FILE.name}:user_vwap", "--seconds", "0.2",
                     "--replicates", "1", "--json")  # fmt: skip
    assert done.returncode in (0, 3, 4), done.stderr
    (row,) = [each for each in json.loads(done.stdout)["comparisons"] if each["statistic"] == "mean"]
    assert (row["a"], row["b"]) == ("user_vwap/baseline", "user_vwap/fast")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "vwap_of_a_user.py:user_vwap/slow"), "user_vwap has no variant 'slow': it has baseline, fast, plain"),
        (("run", "vwap_of_a_user.py:user_vwap", "--workload", "aapl"), "bring their own arguments"),
        (("run", "vwap_of_a_user.py:user_vwap", "order_book"), "name one kernel of functions at a time"),
        (("run", "vwap_of_a_user.py:user_vwap", "-P", "depth=3"), "has no parameter 'depth'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(arguments, told):
    done = workbench(*arguments)
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr
