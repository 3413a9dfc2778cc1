import math
from pathlib import Path

import numba
import numpy as np
import pytest

from workbench import codemap
from workbench.codemap import capture, wrapped
from workbench.codemap.twin import Twins
from workbench.errors import WorkbenchError

FLOATS = np.linspace(1.0, 2.0, 64)


def eager():
    @numba.vectorize(["f8(f8)"])
    def each(value):
        return math.sqrt(value) / 3.0  # here

    return each, (FLOATS,)


def dynamic():
    @numba.vectorize
    def each(value):
        return np.sqrt(value) / 3.0  # here

    return each, (FLOATS,)


def rows():
    @numba.guvectorize(["void(f8[:], f8[:])"], "(n)->()")
    def row(values, out):
        total = 0.0
        for i in range(values.shape[0]):
            total = 1.0 / (total + values[i])  # here
        out[0] = total

    return row, (FLOATS.reshape(8, 8),)


def dynamic_rows():
    @numba.guvectorize("(n)->()")
    def row(values, out):
        total = 0.0
        for i in range(values.shape[0]):
            total = 1.0 / (total + values[i])  # here
        out[0] = total

    return row, (FLOATS.reshape(8, 8), np.zeros(8))


def callback():
    @numba.cfunc("f8(f8)")
    def called(value):
        return math.sqrt(value) / 3.0  # here

    return called, None


def number_of_here(make) -> int:
    lines, first = Path(__file__).read_text().splitlines(), make.__code__.co_firstlineno
    return next(number for number in range(first, len(lines)) if lines[number - 1].endswith("# here"))


def lines_of(twins: Twins, name: str) -> set[tuple[str | None, int | None]]:
    """What a profile would say of each byte of the machine code `name`."""
    found = codemap.code_map()
    (function,) = {each for each in found.functions if each.symbol.name == name}
    places = [twins.place(found, address) for address in range(function.begin, function.end)]
    return {(place.file, place.line) for place in places if place}


@pytest.fixture(scope="module", autouse=True)
def installed():
    codemap.install()


@pytest.mark.parametrize("make", [eager, dynamic, rows, dynamic_rows, callback])
def test_what_numba_wraps_has_lines_and_is_the_code_that_ships(make):
    thing, arguments = make()
    if arguments:
        thing(*arguments)
    twins = Twins()
    (name,) = wrapped.entries(thing)
    inner = name if make is not callback else name.removeprefix("cfunc.")
    assert (__file__, number_of_here(make)) in lines_of(twins, inner)
    assert {proof.badge for proof in twins.proofs().values()} == {"same code"}
    assert twins.failures == []
    assert [proof.same for proof in wrapped.prove_all(thing)] == [True]


@pytest.mark.parametrize("make", [eager, dynamic_rows])
def test_the_second_build_computes_the_same(make):
    thing, arguments = make()
    expected = thing(*arguments)
    build = wrapped.build_again_with_lines(thing)
    assert build is not thing
    assert wrapped.build_again_with_lines(thing) is build
    assert wrapped.entries(build) != wrapped.entries(thing)
    assert np.array_equal(build(*arguments), expected) if expected is not None else build(*arguments) is None


def test_a_new_signature_is_built_too():
    thing, _ = dynamic()
    thing(FLOATS)
    first = wrapped.build_again_with_lines(thing)
    thing(FLOATS.astype(np.complex128))
    assert len(wrapped.entries(thing)) == 2
    assert wrapped.build_again_with_lines(thing) is not first
    assert [proof.same for proof in wrapped.prove_all(thing)] == [True, True]


def test_what_was_compiled_before_anybody_kept_it_is_told(monkeypatch):
    thing, _ = eager()
    assert not [told for told in wrapped.lost() if told.startswith("each ")]
    monkeypatch.setattr(capture, "find", lambda name: None)
    (proof,) = wrapped.prove_all(thing)
    assert proof.badge == "other code: not compared, as it was compiled before the workbench was loaded"
    with pytest.raises(WorkbenchError, match="each is not kept"):
        wrapped.both_parts(thing, 0)
    assert not [told for told in wrapped.lost() if told.startswith("each ")]  # no cell defined it
    thing._dispatcher.py_func.__module__ = "__main__"
    assert "each has no lines, as it was compiled before the workbench was loaded: run its cell again" in wrapped.lost()


def test_each_copy_of_a_parallel_body_has_its_lines():
    @numba.njit(parallel=True)
    def spread(values):
        total = 0.0
        for i in numba.prange(values.shape[0]):
            total += math.sqrt(values[i]) / (values[i] + 1.0)  # here
        return total

    known = {captured.code for captured in capture.objects()}
    spread(FLOATS)
    line = number_of_here(test_each_copy_of_a_parallel_body_has_its_lines)
    found = codemap.code_map()
    bodies = [
        each
        for each in found.functions
        if each.code not in known and each.symbol.name.startswith("_ZN13_3cdynamic_3e") and "parfor" in each.function
    ]
    assert len({each.symbol.size_bytes for each in bodies}) > 1  # LLVM optimized the copies differently
    twins = Twins()
    for each in bodies:
        places = [twins.place(found, address) for address in range(each.begin, each.end)]
        assert (__file__, line) in {(place.file, place.line) for place in places if place}
    assert twins.proofs()["test_each_copy_of_a_parallel_body_has_its_lines.<locals>.spread"].same


def test_code_that_a_disk_cache_gave_before_anybody_kept_it_is_found(toy, monkeypatch):
    from kernels._jit import kernel_jit

    toy.caller(FLOATS)
    again = kernel_jit(toy.caller.py_func)
    again(FLOATS)
    name = again.overloads[again.signatures[0]].fndesc.llvm_func_name
    monkeypatch.setattr(capture, "_objects", {})
    monkeypatch.setattr(capture, "_scanned", False)
    assert again.overloads[again.signatures[0]].library._compiled_object is None
    assert capture.find(name) is not None
