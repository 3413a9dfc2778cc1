import numba
import numpy as np
import pytest
from numba.core import base, lowering, types
from numba.core.options import TargetOptions

from kernels._jit import kernel_jit
from workbench import codemap
from workbench.codemap import capture
from workbench.codemap.addresses import lines_of
from workbench.codemap.build import second_build
from workbench.codemap.code_hash import Part
from workbench.codemap.same_code import compare, prove

VALUES = np.linspace(0.5, 2.0, 100)


def patched():
    return (
        base.BaseContext.DIBuilder,
        TargetOptions.__dict__["parse_as_flags"],
        lowering.BaseLower.notify_loc,
        types.Dispatcher.__dict__["dispatcher"],
    )


def rows_of(dispatcher):
    captured, _ = capture.object_of(dispatcher, dispatcher.signatures[0])
    return lines_of(captured.code).rows


@kernel_jit(inner=True, forceinline=True)
def inside(values):
    total = 0.0
    for value in values:
        total += value * value
    return total


@kernel_jit
def around(values):
    return inside(values) + 1.0


def test_functions_for_the_inside_of_others_have_their_lines_too():
    around(VALUES)
    build = codemap.build_with_lines(around, around.signatures[0])
    inner = inside.py_func.__code__
    own = {line for _, _, line in inner.co_lines() if line is not None and line > inner.co_firstlineno}
    assert own & {row.line for row in rows_of(build)}


@pytest.mark.parametrize("name", ["caller", "spread"])
def test_the_profiled_build_is_the_code_that_ships(toy, name):
    function = getattr(toy, name)
    expected = function(VALUES)
    proof = prove(function, function.signatures[0])
    assert proof.same, proof.difference
    assert proof.badge == "same code"
    assert proof.shipped_hash == proof.profiled_hash
    assert proof.code_bytes > 100
    build = codemap.build_with_lines(function, function.signatures[0])
    assert build is not function
    assert rows_of(build) and not rows_of(function)
    assert np.isclose(build(VALUES), expected)


def test_nothing_stays_patched_and_later_builds_ship_without_lines():
    before = patched()

    @numba.njit
    def inner(value):
        return value * 3.0

    @numba.njit
    def outer(values):
        return inner(values[0]) + np.sum(values)

    @numba.njit
    def later(values):
        return inner(values[0]) + np.sum(values)

    outer(VALUES)
    with pytest.raises(RuntimeError), codemap.line_tables(), codemap.line_tables():
        assert patched() != before
        raise RuntimeError
    assert prove(outer, outer.signatures[0]).same
    assert patched() == before
    later(VALUES)
    assert not rows_of(later)
    assert not rows_of(inner)
    assert codemap.code_hash(later, later.signatures[0]) == codemap.code_hash(outer, outer.signatures[0])
    assert second_build(outer) is second_build(outer)
    assert list(outer.signatures) == list(second_build(outer).signatures)


def test_options_of_the_function_hold_in_the_second_build():
    @numba.njit(boundscheck=True, fastmath=True, error_model="numpy")
    def checked(values, i):
        return values[i] / values[0]

    checked(VALUES, 1)
    assert prove(checked, checked.signatures[0]).same
    build = codemap.build_with_lines(checked, checked.signatures[0])
    with pytest.raises(IndexError):
        build(VALUES, 1000)


def test_a_difference_is_named():
    function = Part("_ZN3toy1fE", b"abcd", ((0, 1, "sin+0"),))
    constant = Part("constant in .rodata", b"12345678", ())
    assert compare([function, constant], [function, constant]).same
    assert (
        compare([function], [Part("_ZN3toy1fE", b"abXd", function.holes)]).difference
        == "toy.f differs from byte 2 of 4 on"
    )
    assert compare([function], [Part("", b"abcde", ())]).badge == "other code: toy.f has 5 bytes instead of 4"
    assert "refers to other" in compare([function], [Part("", b"abcd", ((0, 1, "cos+0"),))]).difference
    other = Part("constant in .rodata", b"12345679", ())
    assert "constant in .rodata differs" in compare([function, constant], [function, other]).difference
    assert "reaches 1" in compare([function, constant], [function]).difference


def test_install_twice_is_once_and_keeps_what_is_compiled():
    codemap.install()
    jit = capture.engine()
    hooks = jit._ee._object_cache_notify, jit._ee._object_cache_getbuffer
    codemap.install()
    assert (jit._ee._object_cache_notify, jit._ee._object_cache_getbuffer) == hooks
    before = capture.count()
    numba.njit(lambda value: value + 11)(1)
    assert capture.count() > before
