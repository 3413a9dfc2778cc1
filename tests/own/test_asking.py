"""One look before measuring: each mistake is told in one sentence with the way out."""

import numpy as np
import pytest
from numba import jit, njit, prange, vectorize

import workbench as wb
from workbench.errors import InputError
from workbench.own.asking import ask


@njit
def total(x):
    found = 0.0
    for i in range(x.shape[0]):
        found += x[i]
    return found


def asked(kernel, functions, *arguments, tmp_path=None, workload=None, **parameters):
    for name, function in functions.items():
        wb.variant(kernel, name)(function)
    if arguments:
        wb.workload(kernel, *arguments)
    return ask(kernel, None, parameters, tmp_path, workload)


def test_a_kernel_of_the_library_is_not_asked_about():
    assert ask("order_book", None, {}, None) is None


def test_what_is_fine_has_no_note_and_calls_that_last_a_millisecond():
    found = asked("ask_a", {"first": total}, np.ones(1000))
    assert found.notes == [] and found.modules == [__name__]
    assert found.parameters["restore"] == 0 and found.parameters["calls"] > 100
    assert found.description.sha256 == asked("ask_a", {"first": total}, np.ones(1000)).description.sha256


def test_nothing_to_call_it_with():
    with pytest.raises(InputError, match=r'say wb.workload\("ask_b", argument, ...\)'):
        asked("ask_b", {"first": total})


def test_a_workload_that_raises_or_returns_nothing():
    wb.variant("ask_c", "first")(total)
    wb.workload("ask_c")(lambda: 1 // 0)
    with pytest.raises(InputError, match=r"makes the arguments of ask_c, raised ZeroDivisionError"):
        ask("ask_c", None, {}, None)
    wb.workload("ask_c")(lambda: None)
    with pytest.raises(InputError, match="returned None"):
        ask("ask_c", None, {}, None)


def test_variants_that_do_different_things():
    @njit
    def wrong(x):
        return x.sum() + 1.0

    with pytest.raises(InputError, match="first and wrong return different results"):
        asked("ask_d", {"first": total, "wrong": wrong}, np.ones(10))


def test_a_function_that_raises():
    @njit
    def broken(x):
        if x.shape[0] > 3:
            raise ValueError("too long")
        return 0.0

    with pytest.raises(InputError, match=r"broken raised ValueError \(too long\)"):
        asked("ask_e", {"broken": broken}, np.ones(10))


def test_a_function_below_njit_is_told_as_python():
    found = asked("ask_f", {"plain": total.py_func}, np.ones(10))
    assert any("ask_f/plain is not compiled by Numba" in n and "above @njit" in n for n in found.notes)


def test_a_ufunc_is_told_as_called_from_python():
    @vectorize
    def twice(x):
        return 2.0 * x

    found = asked("ask_g", {"first": twice}, np.ones(10), tmp_path=None)
    assert any("ask_g/first is a ufunc, called from Python" in note for note in found.notes)


def test_allocations_in_the_hot_path_are_counted():
    @njit
    def hot(x):
        return (x + 1.0).sum()

    found = asked("ask_h", {"hot": hot}, np.ones(1000))
    assert any("ask_h/hot allocates 1 times in each call: take the output as a parameter" in n for n in found.notes)


def test_calls_that_are_too_short_to_be_told_from_calling():
    @njit
    def nothing(x):
        return x

    found = asked("ask_i", {"first": nothing}, 1)
    assert any("much of it calling: give it more work" in note for note in found.notes)


def test_object_mode_is_told():
    @jit(forceobj=True, looplift=False)
    def slow(x):
        return len(str(x))

    with pytest.raises(InputError, match=r"ask_j/slow is compiled in object mode.*use @njit"):
        asked("ask_j", {"slow": slow}, 3)


def test_a_parallel_function_has_threads_and_tells_its_layer():
    @njit(parallel=True)
    def spread(x):
        found = 0.0
        for i in prange(x.shape[0]):
            found += x[i]
        return found

    found = asked("ask_k", {"first": spread}, np.ones(1000), threads=1)
    assert found.parameters["threads"] == 1
    assert any("runs in 1 threads of Numba's" in note and "layer" in note for note in found.notes)
    with pytest.raises(InputError, match="threads must lie in 1"):
        ask("ask_k", None, {"threads": 10_000}, None)


def test_changed_arrays_are_put_back():
    @njit
    def add(x):
        x[0] += 1.0

    found = asked("ask_l", {"add": add}, np.zeros(10))
    assert found.parameters["restore"] == 1 and any("changes its arguments" in note for note in found.notes)


def test_other_arguments_for_once_and_unknown_names():
    asked("ask_m", {"first": total}, np.ones(10))
    with pytest.raises(InputError, match="give what they are called with as a tuple"):
        ask("ask_m", None, {}, None, np.ones(3))
    with pytest.raises(InputError, match="ask_m has no variant 'fast': it has first"):
        ask("ask_m", ["fast"], {}, None)
    with pytest.raises(InputError, match="has no parameter 'size'"):
        ask("ask_m", None, {"size": 3}, None)
