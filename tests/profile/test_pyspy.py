"""py-spy's addresses become lines; what is around the target is left out; where it may not trace, it says so."""

import importlib
import sys
from pathlib import Path

import pytest

from workbench import codemap
from workbench.errors import InputError, WorkbenchError
from workbench.profile import pyspy
from workbench.profile.counted import Line
from workbench.profile.pyspy import RawFrame, profile_of, profile_pyspy, read_raw
from workbench.profile.written_map import WrittenMap, read_map, write_map

sys.path.insert(0, str(Path(__file__).parent))
import watched_code

RECORDED = """\
_run_module_as_main (<frozen runpy>:198);main (/w/workbench/profile/watched_child.py:53);prepare (/w/kernels/a.py:7) 4
_run_module_as_main (<frozen runpy>:198);_spend (/w/workbench/profile/watched_child.py:145);\
run_watched (/w/workbench/profile/watched_child.py:128);Variant.run (/w/kernels/catalog.py:137);0x7fc58db0a14f (?) 3
_run_module_as_main (<frozen runpy>:198);_spend (/w/workbench/profile/watched_child.py:145);\
run_watched (/w/workbench/profile/watched_child.py:128);answer (/w/peer.py:12);__memmove_avx512 (libc.so.6) 2
"""


@pytest.fixture(scope="module")
def code_map(tmp_path_factory):
    codemap.install()
    watched_code.divide_and_add(watched_code.VALUES, 10, 10)
    folder = tmp_path_factory.mktemp("map")
    write_map(folder, [watched_code.divide_and_add])
    return read_map(folder)


def address_in(code_map, needle):
    """Return an address in the compiled function that comes from the line with `needle`."""
    line = watched_code.line_of(needle)
    for function in code_map.functions:
        if function.code is not None and "divide_and_add" in function.name and "cpython" not in function.name:
            for address in range(function.begin, function.end):
                place = code_map.place(address)
                if place.frames and place.line == line:
                    return address
    raise AssertionError(f"no code of {needle!r}")


def raw(*stacks):
    top = "_run_module_as_main (<frozen runpy>:198);run_watched (/w/workbench/profile/watched_child.py:128)"
    return read_raw("".join(f"{top};{stack}\n" for stack in stacks))


def test_what_py_spy_recorded_is_read_frame_by_frame():
    stacks = read_raw(RECORDED)
    assert [count for _, count in stacks] == [4, 3, 2]
    assert stacks[1][0][-1] == RawFrame("0x7fc58db0a14f (?)", address=0x7FC58DB0A14F)
    assert stacks[1][0][-2] == RawFrame("Variant.run", "/w/kernels/catalog.py", 137)
    assert stacks[2][0][-1] == RawFrame("__memmove_avx512", library="libc.so.6")
    with pytest.raises(WorkbenchError, match="line 2 of py-spy's file is no stack"):
        read_raw("main (a.py:1) 3\nno number")


def test_a_written_map_resolves_as_the_process_itself_does(code_map):
    inside = codemap.code_map()
    ours = [each for each in code_map.functions if each.code is not None]
    assert ours and code_map.badges == {"divide_and_add": "same code"} and not code_map.failures
    for each in ours:
        assert inside.function_at(each.begin).symbol.name == each.name
    assert code_map.place(0x10) is None and code_map.function_at(ours[-1].end + (1 << 30)) is None


def test_addresses_count_for_lines_of_the_kernel_and_what_is_around_the_target_counts_nowhere(code_map):
    division, addition = address_in(code_map, "total = 1.0 /"), address_in(code_map, "total += values")
    stacks = raw(
        f"Variant.run (/w/kernels/catalog.py:137);{division:#x} (?) 7",
        f"Variant.run (/w/kernels/catalog.py:137);{addition:#x} (?) 2",
        "Variant.replay (/w/kernels/catalog.py:120) 1",
    )
    stacks += read_raw("main (/w/workbench/profile/watched_child.py:53);compile (/w/numba/x.py:1) 1000\n")
    profile = profile_of(stacks, code_map, "k/v")
    here = {(line.function, line.line): counters["samples"] for line, counters in profile.counters.items()}
    assert here == {
        ("divide_and_add", watched_code.line_of("total = 1.0 /")): 7.0,
        ("divide_and_add", watched_code.line_of("total += values")): 2.0,
    }
    assert profile.outside == {"Python code around the calls": 1.0}
    assert "total = 1.0 /" in profile.source(profile.top(1)[0][0])
    assert sum(profile.stacks.values()) == profile.total == 9
    assert {frame.function for stack in profile.stacks for frame in stack} == {"divide_and_add"}


def test_a_library_counts_for_the_line_that_called_it(code_map):
    division = address_in(code_map, "total = 1.0 /")
    stacks = raw(f"{division + 1:#x} (?);log (libm.so.6) 5", "answer (/w/peer.py:12);memmove (libc.so.6) 2")
    profile = profile_of(stacks, code_map, "k/v")
    assert profile.counters[Line("answer", "/w/peer.py", 12)] == {"samples": 2, "in_calls": 2, "inclusive": 2}
    (compiled,) = [line for line in profile.counters if line.function == "divide_and_add"]
    assert profile.counters[compiled]["in_calls"] == 5 and not profile.outside


def test_a_thread_of_the_target_counts_from_its_first_compiled_frame_on(code_map):
    division = address_in(code_map, "total = 1.0 /")
    threaded = (
        f"Thread._bootstrap (/usr/lib/python3.11/threading.py:995);go (/w/kernels/crew.py:9);{division:#x} (?) 4\n"
    )
    idle = "Thread._bootstrap (/usr/lib/python3.11/threading.py:995);wait (/usr/lib/python3.11/threading.py:320) 9\n"
    profile = profile_of(read_raw(threaded + idle), code_map, "k/v")
    assert profile.total == 4 and not profile.outside


def test_a_process_that_wrote_no_map_is_told(tmp_path):
    found = read_map(tmp_path)
    assert isinstance(found, WrittenMap) and "before it wrote its code map" in found.failures[0]


def test_where_py_spy_may_not_trace_it_says_so_before_anything_is_compiled(tmp_path, monkeypatch):
    refusing = tmp_path / "py-spy"
    refusing.write_text(
        "#!/bin/sh\necho 'Error: Permission Denied: Try running again with elevated permissions' >&2\nexit 1\n"
    )
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(pyspy, "Child", None)
    with pytest.raises(WorkbenchError, match=r"py-spy may not trace: .*[Pp]ermission.*use the line sampler instead"):
        profile_pyspy(watched_code.divide_and_add, watched_code.VALUES, 10, 10)


def test_rates_and_times_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match=r"1 \.\. 1000 samples/s"):
        profile_pyspy(watched_code.divide_and_add, watched_code.VALUES, 10, 10, rate_per_s=5000)


@pytest.mark.slow
def test_py_spy_shows_source_lines_inside_a_compiled_function(tmp_path):
    importlib.reload(watched_code)
    function, values = watched_code.divide_and_add, watched_code.VALUES
    profile = profile_pyspy(function, values, 1_000_000, 100_000, seconds=2.0, rate_per_s=200, keep=tmp_path)
    top, share = profile.top(1)[0]
    assert (top.function, top.line) == ("divide_and_add", watched_code.line_of("total = 1.0 /"))
    assert share > 0.6, str(profile)
    assert profile.badges == {"divide_and_add": "same code"}
    assert {"wall_slowdown", "cpu_slowdown", "tool_cpu_s", "samples", "run_s"} <= set(profile.overhead)
    assert any(note.startswith("while py-spy watched, a call took") for note in profile.notes)
    (kept,) = profile.artefacts
    assert "(?)" in Path(kept).read_text(), "py-spy's own file is kept as it is"
