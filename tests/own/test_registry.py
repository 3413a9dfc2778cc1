"""What is declared is known at once, cells that run again replace it, and names that cannot be are told."""

import pytest
from numba import njit

import kernels
import workbench as wb
from workbench.errors import InputError
from workbench.own.registry import declared_in, find


@njit
def one(x):
    return x + 1


@njit
def two(x):
    return 1 + x


def test_a_decorated_function_is_a_variant_and_stays_what_it_is():
    assert wb.variant("reg_a", "first")(one) is one
    wb.variant("reg_a", "second", parent="first", idea="the other way round")(two)
    kernel = kernels.get("reg_a")
    assert list(kernel.variants) == ["first", "second"]
    assert (kernel.variants["second"].parent, kernel.variants["second"].idea) == ("first", "the other way round")
    assert find("reg_a").modules == (__name__,) and [own.name for own in declared_in(__name__)].count("reg_a") == 1


def test_a_cell_that_runs_again_replaces_its_variant():
    wb.variant("reg_b", "first")(one)
    wb.variant("reg_b", "first")(two)
    assert list(kernels.get("reg_b").variants) == ["first"] and find("reg_b").variants["first"].function is two


def test_a_parent_that_nobody_declared_is_none():
    wb.variant("reg_c", "second", parent="first")(two)
    assert kernels.get("reg_c").variants["second"].parent is None


def test_a_workload_s_parameters_are_the_kernel_s():
    @wb.workload("reg_d")
    def make(size: int = 10, seed: int = 3):
        return (size * seed,)

    wb.variant("reg_d", "first")(one)
    kernel = kernels.get("reg_d")
    assert kernel.check_parameters({"size": 4})["seed"] == 3
    variant = kernel.variants["first"]
    assert variant.build(size=4, calls=2).state == (12,)
    assert variant.build(calls=2).state == (30,), "other parameters make other arguments"


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "<script>", "x" * 101, 7, "a:b", "1st"])
def test_names_that_would_break_commands_are_refused(name):
    with pytest.raises(InputError, match="cannot be the name of a kernel"):
        wb.variant(name, "first")
    with pytest.raises(InputError, match="cannot be the name of a variant"):
        wb.variant("reg_e", name)


def test_the_library_s_names_are_its_own():
    with pytest.raises(InputError, match="'order_book' is a built-in kernel"):
        wb.variant("order_book", "mine")(one)
    assert find("order_book") is None


def test_what_cannot_be_a_variant_or_a_workload_is_told():
    with pytest.raises(InputError, match="reg_f/first is a int, which cannot be called"):
        wb.variant("reg_f", "first")(3)
    with pytest.raises(InputError, match="size has no whole number as its default"):
        wb.workload("reg_f")(lambda size: (size,))
    with pytest.raises(InputError, match="rate has no whole number"):
        wb.workload("reg_f")(lambda rate=0.5: (rate,))
    with pytest.raises(InputError, match="calls is a parameter of every kernel"):
        wb.workload("reg_f")(lambda calls=1: (calls,))
    with pytest.raises(InputError, match="the workload of reg_f is a list"):
        wb.workload("reg_f")([1])
