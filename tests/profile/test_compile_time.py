"""Compile time by phase adds up, and the reason for a miss is the true one."""

import importlib.util
import sys

import numpy as np
import pytest
from numba import njit

from workbench.errors import InputError
from workbench.profile.compile_time import compile_time, phase_of

SOURCE = """from numba import njit

@njit(cache=True)
def twice(x):
    return x * 2
"""


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_overloads_and_phases():
    @njit
    def total(x):
        return x.sum()

    total(np.ones(3))
    total(np.ones(3, np.float32))
    told = compile_time(total)
    assert len(told.overloads) == 2 and told.seconds > 0
    for each in told.overloads:
        assert set(each.phases) >= {"type inference", "lowering and LLVM"}
        assert each.seconds == pytest.approx(sum(each.passes.values()))
        assert each.cache == "no cache: compiled without cache=True"
    assert "float32" in str(told) and "<script" not in told._repr_html_() and "light-dark(" in told._repr_html_()


def test_closure_is_the_reason():
    scale = 3

    @njit
    def scaled(x):
        return x * scale

    scaled(1)
    assert "closure" in compile_time(scaled).overloads[0].cache


def test_reasons_of_numbas_own_cache(tmp_path):
    path = tmp_path / "cached_module.py"
    path.write_text(SOURCE)
    first = load(path, "cached_module").twice
    first(1)
    assert compile_time(first).overloads[0].cache.startswith("missed: nothing was stored")
    again = load(path, "cached_module").twice
    again(1)
    told = compile_time(again).overloads[0]
    assert told.loaded and told.cache.startswith("hit") and told.seconds == 0
    again(1.0)
    assert "other signatures only" in compile_time(again).overloads[1].cache


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("nopython_type_inference", "type inference"),
        ("native_lowering", "lowering and LLVM"),
        ("dead_branch_prune", "Numba IR"),
    ],
)
def test_phase_of_a_pass(name, phase):
    assert phase_of(name) == phase


def test_what_has_no_compile_time_is_one_sentence():
    with pytest.raises(InputError, match="not of a int"):
        compile_time(3)
