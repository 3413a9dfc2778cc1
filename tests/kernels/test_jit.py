"""The disk cache of compiled kernels: its key holds sources, callees, flags and settings, and it survives damage."""

import os
import subprocess
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from numba import typeof

from kernels import _jit

PROGRAM = """
import sys
from kernels._jit import compile_listener
compiled = []
with compile_listener(lambda name, seconds: compiled.append(name)):
    from subject.outer import outer
    print(outer(3), *compiled)
"""


@pytest.fixture
def subject(tmp_path):
    """A package of a user: `outer` calls `inner`, which lies in another file."""
    package = tmp_path / "subject"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(
        "from kernels._jit import kernel_jit\n\n@kernel_jit\ndef inner(x):\n    return x + 1\n"
    )
    (package / "outer.py").write_text(
        textwrap.dedent(
            """\
            from kernels._jit import kernel_jit
            from subject.inner import inner

            @kernel_jit
            def outer(x):
                return inner(x) * 2
            """
        )
    )
    return package


def run(subject: Path, program: str = PROGRAM, **settings: str) -> list[str]:
    """Run `program` in a fresh process and return what it printed: the result, then what was compiled."""
    environment = {
        **os.environ,
        "WORKBENCH_CACHE": str(subject.parent / "cache"),
        "PYTHONPATH": str(subject.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        **settings,
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_second_process_compiles_nothing(subject):
    assert run(subject) == ["8", "outer"]
    assert run(subject) == ["8"]


def test_a_changed_callee_in_another_file_is_compiled_anew(subject):
    run(subject)
    inner = subject / "inner.py"
    inner.write_text(inner.read_text().replace("x + 1", "x + 2"))
    assert run(subject) == ["10", "outer"]


@pytest.mark.parametrize("nested", [False, True], ids=["an-argument", "inside-an-argument"])
def test_a_body_chosen_by_the_class_of_an_argument_is_part_of_the_key(tmp_path, nested):
    """An overload gives a function another body for each state class: the class stands in the file that imports it."""
    package = tmp_path / "subject"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "shared.py").write_text(
        "from typing import Any, NamedTuple\nfrom kernels._jit import kernel_jit\ndef part(state): ...\n\n"
        f"@kernel_jit\ndef outer(state):\n    return 10 * part(state{'.inside' if nested else ''})\n"
        "class Outside(NamedTuple):\n    inside: Any\n"
    )
    (package / "body.py").write_text("def part(state):\n    return state.x[0] + 1\n")
    (package / "mine.py").write_text(
        "from typing import Any, NamedTuple\nfrom numba.extending import overload\n"
        "from subject import body, shared\nclass Mine(NamedTuple):\n    x: Any\n"
        "overload(shared.part)(lambda state: body.part)\n"
    )
    state = "mine.Mine(np.full(1, 2))"
    call = f"shared.outer(shared.Outside({state}))" if nested else f"shared.outer({state})"
    program = PROGRAM.replace("from subject.outer import outer", "import numpy as np; from subject import mine, shared")
    program = program.replace("outer(3)", call)
    assert run(package, program) == ["30", "outer"] and run(package, program) == ["30"]
    (package / "body.py").write_text("def part(state):\n    return state.x[0] + 4\n")
    assert run(package, program) == ["60", "outer"]


def test_a_compile_setting_is_part_of_the_key(subject):
    run(subject)
    assert run(subject, NUMBA_OPT="1") == ["8", "outer"]
    assert run(subject, NUMBA_OPT="1") == ["8"]


def test_other_options_are_another_entry(tmp_path):
    def function(x):
        return x

    plain = _jit.KernelCache(function, {"fastmath": False})
    fast = _jit.KernelCache(function, {"fastmath": True})

    class Codegen:
        def magic_tuple(self):
            return ("cpu",)

    assert plain._index_key("sig", Codegen()) != fast._index_key("sig", Codegen())
    assert plain._index_key("sig", Codegen()) == _jit.KernelCache(function, {"fastmath": False})._index_key(
        "sig", Codegen()
    )


@pytest.mark.parametrize("wrapped", [False, True], ids=["an-argument", "in-a-tuple"])
def test_two_classes_that_read_alike_are_two_entries(wrapped):
    first, second = (namedtuple("State", "x", module=module) for module in ("one", "two"))
    arguments = [each(np.zeros(2)) for each in (first, second)]
    kinds = [typeof((each, 1) if wrapped else each) for each in arguments]
    assert str(kinds[0]) == str(kinds[1]) and kinds[0] != kinds[1]

    class Codegen:
        def magic_tuple(self):
            return ("cpu",)

    cache = _jit.KernelCache(lambda x: x, {})
    assert cache._index_key((kinds[0],), Codegen()) != cache._index_key((kinds[1],), Codegen())


@pytest.mark.parametrize("damage", [b"", b"\x80garbage", None], ids=["emptied", "overwritten", "cut"])
def test_a_damaged_entry_is_compiled_anew(subject, damage):
    run(subject)
    for entry in (subject.parent / "cache" / "compiled").glob("*.nbc"):
        entry.write_bytes(entry.read_bytes()[:100] if damage is None else damage)
    assert run(subject) == ["8", "outer"]


def test_a_cache_that_cannot_be_written_costs_a_compilation_only(subject):
    (subject.parent / "cache").write_text("a file where the folder should be")
    assert run(subject) == ["8", "outer"]
    assert run(subject) == ["8", "outer"]


def test_nothing_unfinished_is_left_behind(subject):
    run(subject)
    names = [file.name for file in (subject.parent / "cache" / "compiled").iterdir()]
    assert names
    assert all(name.endswith(".nbc") for name in names)


def test_a_callee_in_the_kernels_library_is_part_of_a_users_key(subject):
    outer = subject / "outer.py"
    text = outer.read_text().replace(
        "from subject.inner", "from kernels.machine.bits import popcount\nfrom subject.inner"
    )
    outer.write_text(text)
    files = _jit._imported_files(outer)
    assert Path(_jit.__file__).parent / "machine" / "bits.py" in files
    assert subject / "inner.py" in files


def test_an_inner_function_works_inside_and_refuses_python(tmp_path):
    @_jit.kernel_jit(inner=True)
    def doubled(x):
        return 2 * x

    @_jit.kernel_jit
    def caller(x):
        return doubled(x) + 1

    assert caller(3) == 7
    with pytest.raises(TypeError, match="doubled is compiled for the inside"):
        doubled(3)
