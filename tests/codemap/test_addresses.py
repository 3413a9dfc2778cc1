import itertools
from pathlib import Path

import numba
import numpy as np

from workbench import codemap
from workbench.codemap import capture
from workbench.codemap.addresses import readable_name
from workbench.codemap.disassembly import by_line, call_frames, disassemble, sampled_frames

VALUES = np.linspace(0.5, 2.0, 100)


def places(build):
    found = codemap.code_map()
    _, name = capture.object_of(build, build.signatures[0])
    function = next(each for each in found.functions if each.symbol.name == name)
    return [found.lookup(address) for address in range(function.begin, function.end)]


def number_of(file: str, needle: str) -> int:
    return next(number for number, text in enumerate(Path(file).read_text().splitlines(), 1) if needle in text)


def test_every_byte_of_a_function_has_its_line_also_of_callees_in_other_files(toy):
    toy.caller(VALUES)
    build = codemap.build_with_lines(toy.caller, toy.caller.signatures[0])
    caller, callee = toy.__file__, str(Path(toy.__file__).with_name("codemap_callee.py"))
    found = places(build)
    assert all(place is not None and place.frames for place in found)
    seen = {(place.file, place.line) for place in found}
    assert (callee, number_of(callee, "value * 2.0")) in seen
    assert (callee, number_of(callee, "value / 3.0")) in seen  # inlined by Numba, which keeps only the line's number
    assert (caller, number_of(caller, "np.sin")) in seen
    assert (caller, number_of(callee, "value / 3.0")) not in seen
    inlined = [place for place in found if place.file == callee and place.inlined_from]
    assert {frame.line for place in inlined for frame in place.inlined_from} == {number_of(caller, "twice(values[i])")}
    assert {place.inlined_from[-1].function for place in inlined} == {"caller"}


def test_an_address_outside_compiled_code_is_none(toy):
    toy.caller(VALUES)
    assert codemap.code_map().lookup(id(toy)) is None
    assert codemap.code_map().lookup(0) is None


def test_bodies_of_prange_and_gufuncs_and_cfuncs_are_in_the_map(toy):
    toy.spread(VALUES)
    with codemap.line_tables():

        @numba.guvectorize(["void(f8[:], f8[:])"], "(n)->(n)")
        def doubled(source, result):
            for i in range(source.shape[0]):
                result[i] = source[i] * 2

        @numba.cfunc("f8(f8)")
        def called(value):
            return value + 1

    doubled(VALUES)
    known = {each.function for each in codemap.code_map().functions}
    assert any("parfor_gufunc" in name for name in known)
    assert any(name.endswith("doubled") for name in known)
    place = codemap.code_map().lookup(called._wrapper_address) or codemap.code_map().lookup(called.address)
    assert place is not None
    lines = {place.line for place in map(codemap.code_map().lookup, _starts("doubled")) if place}
    first = doubled.__wrapped__.__code__.co_firstlineno if hasattr(doubled, "__wrapped__") else None
    assert first is None or any(first <= (line or 0) <= first + 4 for line in lines)


def _starts(name: str) -> list[int]:
    return [each.begin for each in codemap.code_map().functions if each.function.endswith(name)]


def test_a_pure_call_counts_for_the_line_that_uses_its_result(toy):
    toy.caller(VALUES)
    build = codemap.build_with_lines(toy.caller, toy.caller.signatures[0])
    captured, name = capture.object_of(build, build.signatures[0])
    function = captured.code.functions_by_name[name]
    instructions = disassemble(captured.code, function)
    sine = number_of(toy.__file__, "np.sin")
    calls = [
        call
        for call, after in itertools.pairwise(instructions)
        if call.mnemonic == "call" and "mm0" in after.operands.partition(",")[2]
    ]
    assert len(calls) > 1  # the loop is unrolled: one of the calls has lost its line
    assert {each.frames[0].line for each in calls} == {sine}
    last = calls[-1]
    assert call_frames(captured.code, function, last.offset + last.size_bytes)[0].line == sine
    assert (toy.__file__, sine) in by_line(instructions)


def test_names_are_those_of_python():
    assert readable_name("_ZN3toy1fB2v1B56c8tJTIeFIE5ArrayIdLi1E") == "toy.f"
    assert readable_name("_ZN3toy17outer_3clocals_3eB2v1B3c8tE") == "toy.outer<locals>"
    assert readable_name("_ZN3toy14divide_and_addB2v1B3c8tE") == "toy.divide_and_add"
    assert readable_name("_ZN3toy6sma_20B2v1B3c8tE") == "toy.sma_20"
    assert readable_name("sin") == "sin"
    assert readable_name("__ufunc__._ZN8__main__3mixB2v1B52c8tE") == "__main__.mix"


def test_a_sample_counts_for_the_instruction_that_was_waited_for(toy):
    toy.caller(VALUES)
    build = codemap.build_with_lines(toy.caller, toy.caller.signatures[0])
    captured, name = capture.object_of(build, build.signatures[0])
    function = captured.code.functions_by_name[name]
    divided = number_of(str(Path(toy.__file__).with_name("codemap_callee.py")), "value / 3.0")
    instructions = disassemble(captured.code, function)
    after = [b for a, b in itertools.pairwise(instructions) if "div" in a.mnemonic]
    assert after
    assert {sampled_frames(captured.code, function, each.offset)[0].line for each in after} == {divided}
    jumped = [b for a, b in itertools.pairwise(instructions) if a.mnemonic == "jmp"]
    assert all(sampled_frames(captured.code, function, each.offset) == each.frames for each in jumped)
