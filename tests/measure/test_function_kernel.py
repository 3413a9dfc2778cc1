"""A function as a kernel: every call happens, on the same arguments, and another process makes the same of it."""

import functools
import platform
import subprocess
import sys
from pathlib import Path

import functions_to_measure as own
import numpy as np
import pytest

from kernels.catalog import register
from kernels.probe import make_probe
from workbench import codemap, record
from workbench.errors import InputError
from workbench.measure import closed_loop, functions
from workbench.measure.calling import compiled_loop, python_loop
from workbench.measure.function_kernel import YARDSTICK, Arguments, FunctionName, Plan, make_kernel, placed, read_plan
from workbench.measure.function_name import find_function, name_function, short_name
from workbench.measure.functions import arguments_of, describe_arguments, examine, request
from workbench.measure.replicate import hash_of

VALUES = np.arange(1.0, 33.0)
OUT = np.zeros(1, np.int64)
HERE = str(Path(__file__).parent)


def calls(number):
    return np.zeros(number, np.int8)


@pytest.fixture(scope="module", autouse=True)
def _objects():
    codemap.install()


def test_each_call_of_a_compiled_loop_happens():
    values = np.zeros(4)
    loop = compiled_loop(own.grow)
    assert loop((values,), calls(1000), OUT, 0, None) == 1000
    assert values.tolist() == [1000.0] * 4
    assert loop((values,), calls(1000), OUT, 1000, None) == 1000  # an empty one
    assert values[0] == 1000.0
    probe = make_probe(0, 1.0)
    loop((values,), calls(10), OUT, 0, probe)
    assert values[0] == 1010.0 and probe.histogram.sum() == 10


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="it reads the machine code of x86-64")
def test_a_pure_call_is_not_taken_out_of_the_loop():
    """What LLVM may drop or move is called as often as anything else: its machine code holds an indirect call."""
    import capstone

    loop = compiled_loop(own.first)
    loop((VALUES,), calls(1), OUT, 0, None)
    captured, symbol = codemap.capture.object_of(loop, loop.signatures[0])
    function = captured.code.functions_by_name[symbol]
    section = captured.code.sections[function.section]
    code = bytes(section.data[function.offset : function.offset + function.size_bytes])
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    instructions = list(disassembler.disasm(code, 0))
    called = [each.address for each in instructions if each.mnemonic == "call"]
    jumps = [each for each in instructions if each.mnemonic.startswith("j") and each.op_str.startswith("0x")]
    loops = [(int(each.op_str, 16), each.address) for each in jumps]  # a jump back spans a loop
    assert any(start <= place <= end for start, end in loops for place in called)


def test_what_a_call_raises_comes_out():
    with pytest.raises(IndexError, match="zero"):
        compiled_loop(own.fails_on_zero)((np.zeros(1),), calls(3), OUT, 0, None)


def test_what_a_call_returns_is_given_back():
    from numba.core.runtime import _nrt_python
    from numba.core.runtime.nrt import rtsys

    loop = compiled_loop(own.plus_one)
    loop((VALUES,), calls(1), OUT, 0, None)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        loop((VALUES,), calls(50), OUT, 0, None)
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    assert after.alloc - before.alloc >= 50
    assert after.alloc - before.alloc == after.free - before.free


def test_the_python_loop_calls_as_often():
    seen = []
    assert python_loop(seen.append)((7,), calls(5), OUT, 0, None) == 5
    assert seen == [7] * 5


def test_the_machine_code_of_the_function_is_in_the_hash():
    arguments = (VALUES,)

    def hashed(function):
        kernel = make_kernel(Plan(kernel="k", functions={}, calls=1), {"f": function}, arguments)
        kernel.variants["f"].replay_from(arguments, calls(1), OUT, 0, None)
        return hash_of(kernel.variants["f"])

    assert hashed(own.total) == hashed(own.total) != hashed(own.first)
    assert hashed(own.in_python) == ""


def test_arguments_are_put_back_and_shared():
    arguments = Arguments(placed((np.ones(5), (np.zeros(3), 4))), changes=True)
    arguments.values[0][:] = 7
    arguments.values[1][0][:] = 8
    arguments.restore()
    assert arguments.values[0].tolist() == [1] * 5 and arguments.values[1][0].tolist() == [0] * 3
    assert arguments.values[0].ctypes.data % 64 == 0
    kernel = make_kernel(Plan(kernel="k", functions={}, calls=1), {"a": len, "b": len}, arguments.values)
    states = [kernel.variants[name].build().state for name in "ab"]
    assert states[0][0] is states[1][0]


def test_placed_keeps_what_is_not_plain():
    frozen = np.arange(4.0)
    frozen.flags.writeable = False
    transposed = np.ones((3, 4)).T
    records = np.zeros(3, [("a", "f8")]).view(np.recarray)
    masked = np.ma.masked_array([1.0, 2.0], [False, True])
    made = placed((frozen, transposed, [1], "x", records, masked))
    assert made[4] is records and made[5] is masked
    assert not made[0].flags.writeable and made[0].tolist() == frozen.tolist()
    assert made[1] is transposed


def test_a_kernel_of_functions_is_measured_as_any_other():
    plan = Plan(kernel="k", functions={}, calls=100, yardstick=10, percentiles=True)
    kernel = make_kernel(plan, {"total": own.total}, (VALUES,))
    clock = record.Clock(source="tsc", ns_per_tick=0.5, cost_ns=10.0, step_ns=10.0, invariant=True)
    checked, prepared = closed_loop.check_input(kernel, np.zeros(1), {})
    subjects = closed_loop.build_subjects(list(kernel.variants.values()), prepared, checked, clock)
    for subject in subjects:
        closed_loop.warm_up(subject)
    block = closed_loop.run_block(subjects, closed_loop.Plan(1, 2), 0, 0, 0)
    assert {side.variant for side in block.sides} == {"k/total", f"k/{YARDSTICK}"}
    assert {side.operations for side in block.sides} == {200}
    assert block.sides[0].histogram is not None
    assert closed_loop.count_allocations(subjects[0]) == 0
    register(kernel)  # as another process does
    assert kernel.variant("total").full_name == "k/total"


def test_another_process_makes_the_same_kernel(tmp_path):
    examined = examine("my::test", {"total": own.total}, (VALUES,))
    made = request(examined, tmp_path, arguments=(VALUES,), paths=[HERE], replicates=1, seconds=1.0, yardstick=True)
    assert made.selectors == ["my::test/total", "my::test/yardstick"]
    script = (
        "import sys, importlib; sys.path += sys.argv[2:]; from workbench import codemap; codemap.install()\n"
        "import numpy as np; from workbench.measure.replicate import hash_of\n"
        "kernel = importlib.import_module(sys.argv[1]).KERNEL; variant = kernel.variants['total']\n"
        "instance = variant.build(); variant.run(instance, np.zeros(3, np.int8), np.zeros(1, np.int64))\n"
        "print(kernel.name, [p.default for p in kernel.parameters], instance.state[0].sum(), hash_of(variant))"
    )
    words = [sys.executable, "-c", script, made.modules[0], *made.paths]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == "my::test" and told[-2] == str(VALUES.sum())
    assert told[-1] == examined.code_hash["total"]
    assert int(told[1].strip("[,")) == examined.calls


def test_names():
    assert str(name_function(own.total)) == "functions_to_measure:total"
    assert find_function(name_function(own.Holder.method)) is own.Holder.method
    for function in (own.total, own.in_python, np.sort, len):
        assert find_function(name_function(function)) is function
    module = type(sys)("somewhere")
    module.part = functools.partial(own.in_python, factor=3)
    assert name_function(module.part, module).name == "part"
    assert short_name(own.Holder.method) == "Holder.method"

    def local(values):
        return values

    for function in (local, lambda x: x, functools.partial(len)):
        with pytest.raises(InputError, match="cannot be imported by another process"):
            name_function(function)


def test_a_module_is_loaded_from_its_file_where_its_name_leads_nowhere(tmp_path):
    file = tmp_path / "hidden_here.py"
    file.write_text("def f():\n    return 5\n")
    wanted = FunctionName(module="hidden_here", name="f", file=str(file))
    try:
        assert find_function(wanted)() == 5
        with pytest.raises(InputError, match="has no g"):
            find_function(wanted.model_copy(update={"name": "g"}))
    finally:
        sys.modules.pop("hidden_here", None)
    with pytest.raises(InputError, match="cannot be imported by another process"):
        find_function(FunctionName(module="nowhere_at_all", name="f"))


@pytest.mark.parametrize(
    ("named", "arguments", "sentence"),
    [
        ({"f": 3}, (), "which cannot be called"),
        ({"f": own.fails_on_zero}, (np.zeros(2),), r"raised IndexError \(zero\)"),
        ({"f": own.compiles_each_time}, (VALUES,), "again at each call"),
        ({"f": own.total, "g": own.first}, (VALUES,), "f and g return different results"),
        ({"f": own.grow, "g": own.first}, (VALUES,), "f and g return different results"),
        ({"f": own.grow, "g": print}, (VALUES,), "leave different arguments behind"),
        ({"yardstick": own.total}, (VALUES,), "yardstick is the name of what runs beside"),
    ],
)
def test_what_cannot_be_measured(named, arguments, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        examine("k", named, arguments)
    assert "\n" not in str(caught.value)


def test_changed_arguments_are_told_and_calls_are_chosen():
    examined = examine("k", {"grow": own.grow}, (VALUES,))
    assert examined.changes and "grow changes its arguments" in examined.notes[0]
    assert VALUES[0] == 1.0  # the caller's are left alone
    assert examined.calls & (examined.calls - 1) == 0
    assert functions._calls_for(100.0, 100.0) == 8192
    assert functions._calls_for(10.0, 1e7) == 8192  # the fast one is timed long enough, the slow one not for ages
    assert functions._calls_for(5e9, 5e9) == 1


def test_the_hash_of_arguments():
    def sha(*arguments):
        return describe_arguments("k", arguments).sha256

    assert sha(VALUES, 1) == sha(VALUES.copy(), 1)
    assert (
        len({sha(VALUES, 1), sha(VALUES, 2), sha(VALUES.reshape(2, -1), 1), sha(VALUES.astype("f4"), 1), sha(1)}) == 5
    )


def test_results_that_cannot_be_compared_are_told():
    class Table:
        def __eq__(self, other):
            return np.array([True, False])

    examined = examine("k", {"f": lambda: Table(), "g": lambda: (Table(), 1)[0]}, ())
    assert examined.notes == ["the results of f and g cannot be compared where they hold a Table"]
    with pytest.raises(InputError, match="return different results"):
        examine("k", {"f": lambda: {"a": VALUES}, "g": lambda: {"a": VALUES + 1}}, ())


def test_arguments_come_from_one_place():
    assert arguments_of((1, 2), None) == (1, 2)
    assert arguments_of((), lambda: (3, 4)) == (3, 4)
    (array,) = arguments_of((), own.some_values)
    assert array.shape == (64,)
    with pytest.raises(InputError, match="raised ZeroDivisionError"):
        arguments_of((), lambda: 1 / 0)


def test_arguments_that_cannot_cross_are_told(tmp_path):
    examined = examine("k", {"len": len}, ({"a": 1},))
    with pytest.raises(InputError, match="give setup="):
        request(examined, tmp_path, arguments=(lambda: 1,), replicates=1, seconds=1.0)
    made = request(examined, tmp_path, arguments=None, setup=own.some_values, replicates=1, seconds=1.0)
    sys.path.append(str(tmp_path))
    try:
        kernel = read_plan(str(tmp_path))
    finally:
        sys.path.remove(str(tmp_path))
    (array,) = kernel.variants["len"].build().state
    assert array.shape == (64,) and array.ctypes.data % 64 == 0 and made.description.content == "arguments"
