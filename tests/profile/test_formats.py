"""Each format is read by the tool it is for, or held against what that tool asks of a file."""

import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from numba import njit

from workbench.codemap.lines import Frame
from workbench.commands._against import deliver_against
from workbench.profile import formats
from workbench.profile.counted import Line
from workbench.profile.cpu import profile_cpu
from workbench.profile.formats import callgrind as dumps
from workbench.profile.formats import jitdump
from workbench.profile.formats._machine_code import machine_code
from workbench.profile.formats.chrome_trace import chrome_trace
from workbench.profile.formats.collapsed import collapsed
from workbench.profile.formats.perf_map import perf_map
from workbench.profile.formats.speedscope import speedscope
from workbench.profile.profile import Profile

SCHEMA = json.loads((Path(__file__).parent / "speedscope_schema.json").read_text())
INNER, OUTER = Frame("inner", "/src/b.py", 2), Frame("outer", "/src/a.py", 3)


@pytest.fixture
def stacked():
    found = Profile("toy/one", "cpu")
    found.stacks = {(OUTER, INNER): 30.0, (OUTER,): 10.0, (INNER,): 5.0}
    found.add(Line("inner", "/src/b.py", 2), "samples", 35)
    found.outside = {"libm": 4.0, "Linux": 1.0}
    found.overhead = {"rate_per_s": 1000.0}
    return found


@pytest.fixture
def counted():
    """What a simulation gives: counters by line, and no stacks."""
    found = Profile("toy/two", "cache", "instructions")
    found.add(Line("outer", "/src/a.py", 3), "instructions", 700)
    found.add(Line("runtime", "", 0), "instructions", 300)
    return found


@njit
def planted_sum(values):
    total = 0.0
    for i in range(values.shape[0]):
        total += 1.0 / values[i]
    return total


@njit
def other(values):
    total = 1.0
    for i in range(values.shape[0]):
        total *= values[i]
    return total


@pytest.fixture(scope="module")
def sampled():
    return profile_cpu(planted_sum, np.ones(50_000), seconds=0.2)


@pytest.mark.parametrize("name", ["stacked", "counted"])
def test_speedscope_keeps_to_the_schema_of_the_page(name, request):
    profile = request.getfixturevalue(name)
    read = json.loads(speedscope(profile))
    jsonschema.validate(read, SCHEMA)
    first = read["profiles"][0]
    assert len(first["samples"]) == len(first["weights"])
    assert max(place for stack in first["samples"] for place in stack) == len(read["shared"]["frames"]) - 1
    assert sum(first["weights"]) == first["endValue"] == {"stacked": 50, "counted": 1000}[name]
    read["profiles"][0]["unit"] = "samples"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read, SCHEMA)


@pytest.mark.parametrize(("main", "unit"), [("samples", "none"), ("bytes", "bytes"), ("wait_ns", "nanoseconds")])
def test_speedscope_names_the_units_that_the_page_knows(main, unit):
    profile = Profile("toy", "memory", main)
    profile.add(Line("f", "/src/a.py", 1), main, 7)
    assert json.loads(speedscope(profile))["profiles"][0]["unit"] == unit


def test_a_profile_without_stacks_has_one_frame_a_line(counted):
    assert collapsed(counted).splitlines() == ["outer (a.py:3) 700", "runtime 300"]


def test_a_slice_of_a_trace_holds_those_inside_it_and_is_as_long_as_what_was_counted(stacked):
    read = json.loads(chrome_trace(stacked))
    slices = [event for event in read["traceEvents"] if event["ph"] == "X"]
    assert {event["ph"] for event in read["traceEvents"]} == {"X", "M"}
    inside = [event for event in slices if event["tid"] == 1]
    by_name = {event["name"]: event for event in inside if event["ts"] == 0}
    outer, inner = by_name["outer (a.py:3)"], by_name["inner (b.py:2)"]
    assert (outer["ts"], outer["dur"]) == (0, 40_000), "40 samples at 1,000 a second are 40 ms"
    assert (inner["ts"], inner["dur"]) == (0, 30_000)
    assert outer["args"]["own"] == 10 and outer["args"]["line"] == 3
    other = next(event for event in inside if event["ts"] == 40_000)
    assert (other["name"], other["dur"]) == ("inner (b.py:2)", 5_000)
    outside = [(event["name"], event["ts"], event["dur"]) for event in slices if event["tid"] == 2]
    assert outside == [("[libm]", 0, 4_000), ("[Linux]", 4_000, 1_000)]
    assert "not by time" in read["traceEvents"][0]["args"]["name"]


def test_a_counter_that_is_no_time_is_drawn_at_one_microsecond_each(counted):
    slices = [event for event in json.loads(chrome_trace(counted))["traceEvents"] if event["ph"] == "X"]
    assert [event["dur"] for event in slices] == [700, 300]


def test_the_map_names_each_run_of_code_by_its_line(sampled):
    rows = [row.split(" ", 2) for row in perf_map(sampled).splitlines()]
    runs = sorted((int(begin, 16), int(size, 16), name) for begin, size, name in rows)
    assert all(begin + size <= after for (begin, size, _), (after, _, _) in itertools.pairwise(runs))
    mine = [name for _, _, name in runs if name.startswith("planted_sum:")]
    first = planted_sum.py_func.__code__.co_firstlineno
    assert f"planted_sum:test_formats.py:{first + 3}" in mine
    assert all(name.startswith("planted_sum:test_formats.py:") for name in mine)
    assert any(name == "planted_sum (called from Python)" for _, _, name in runs)


def read_jitdump(data):
    """Return the header and the records of a jitdump, as the specification tells them."""
    header = struct.unpack_from("=IIIIIIQQ", data)
    offset, records = header[2], []
    while offset < len(data):
        kind, size, _ = struct.unpack_from("=IIQ", data, offset)
        records.append((kind, data[offset + 16 : offset + size]))
        offset += size
    assert offset == len(data)
    return header, records


def test_a_jitdump_holds_the_code_in_memory_and_its_lines_come_first(sampled):
    header, records = read_jitdump(jitdump.jitdump(sampled))
    assert header[0] == 0x4A695444 and header[1] == 1 and header[5] == os.getpid()
    numbers, lines, found = set(), {}, {}
    for kind, body in records:
        if kind == 2:
            address, count = struct.unpack_from("=QQ", body)
            offset = 16
            for _ in range(count):
                begin, line, _ = struct.unpack_from("=QII", body, offset)
                end = body.index(b"\0", offset + 16)
                lines.setdefault(address, []).append((begin, body[offset + 16 : end].decode(), line))
                offset = end + 1
            assert offset == len(body)
        else:
            pid, _, address, same, size, number = struct.unpack_from("=IIQQQQ", body)
            name, code = body[40:-size].rstrip(b"\0").decode(), body[-size:]
            assert (pid, same) == (os.getpid(), address) and number not in numbers
            numbers.add(number)
            found[address] = (name, code)
            assert address in lines or name != "planted_sum", "the lines of a function stand before its code"
    placed = {each.begin: each for each in machine_code(sampled)}
    assert found == {begin: (each.name, each.code) for begin, each in placed.items()}
    begin = next(begin for begin, (name, _) in found.items() if name == "planted_sum")
    first = planted_sum.py_func.__code__.co_firstlineno
    assert {line for _, _, line in lines[begin]} >= {first + 3}
    assert {file for _, file, _ in lines[begin]} == {__file__}
    assert [place for place, _, _ in lines[begin]] == sorted(place for place, _, _ in lines[begin])


def test_a_folder_is_given_the_formats_that_fit(sampled, counted, tmp_path):
    written = formats.write_all(sampled, tmp_path / "cpu")
    assert [path.name.replace(str(os.getpid()), "PID") for path in written] == [
        "planted_sum-cpu.html",
        "planted_sum-cpu.speedscope.json",
        "planted_sum-cpu.collapsed.txt",
        "planted_sum-cpu.trace.json",
        "perf-PID.map",
        "jit-PID.dump",
    ]
    assert sampled.artefacts == [str(path) for path in written]
    formats.write_all(counted, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.map")), "a simulated process is gone, and its addresses with it"


def named_lines(dump):
    """Return the functions that a dump has lines of; every code must be there whole."""
    _, records = read_jitdump(dump)
    named, with_lines = {}, set()
    for kind, body in records:
        if kind == 2:
            with_lines.add(struct.unpack_from("=Q", body)[0])
        else:
            *_, address, size, _ = struct.unpack_from("=IIQQQQ", body)
            named[address] = body[40:-size].rstrip(b"\0").decode()
    return {name for address, name in named.items() if address in with_lines}


def check_written(folder, *functions):
    """Hold every file of `folder` against its format's first bytes, and those of perf against `functions`."""
    files = sorted(folder.iterdir())
    for file in files:
        data = file.read_bytes()
        assert len(data) > (40 if file.suffix == ".dump" else 0), f"{file.name} is empty, or a head alone"
        begin = {".html": b"<!doctype html>", ".json": b"{", ".dump": struct.pack("=II", 0x4A695444, 1)}
        assert data.startswith(begin.get(file.suffix, b"")), file.name
    (dump,) = (file for file in files if file.name == f"jit-{os.getpid()}.dump")
    assert named_lines(dump.read_bytes()) >= set(functions)
    (rows,) = (file.read_text() for file in files if file.name == f"perf-{os.getpid()}.map")
    for function in functions:
        assert f" {function}:{Path(__file__).name}:" in rows


@pytest.mark.parametrize("begun", ["not at all", "in vain", "well"])
def test_a_finished_dump_is_whole_however_it_was_begun(sampled, tmp_path, monkeypatch, begun):
    monkeypatch.setattr(jitdump, "_announced_ns", {})
    if begun != "not at all":
        with monkeypatch.context() as patched:
            if begun == "in vain":
                patched.setattr(jitdump.mmap, "mmap", forbidden)
            formats.begin(tmp_path)
        assert (tmp_path / f"jit-{os.getpid()}.dump").stat().st_size == 40
    assert len(formats.write_all(sampled, tmp_path)) == 6
    check_written(tmp_path, "planted_sum")


def forbidden(*arguments, **options):
    raise PermissionError("executable maps are forbidden here")


def test_two_profiles_of_one_process_have_one_dump_with_the_lines_of_both(tmp_path, monkeypatch):
    monkeypatch.setattr(jitdump, "_announced_ns", {})
    begun = []

    def take(name, **options):
        assert (tmp_path / f"jit-{os.getpid()}.dump").is_file(), "perf is told before anything is compiled"
        function = {"toy/a": planted_sum, "toy/b": other}[name]
        function(np.ones(10))
        begun.append(name)
        found = Profile(name, "cpu", overhead={"run_s": 1.0})
        found.add(Line(function.__name__, __file__, 3), "samples", 1)
        return found

    monkeypatch.setattr("workbench.profile.run.profile", take)
    deliver_against("cpu", "toy/b", "toy/a", tmp_path, True)
    assert begun == ["toy/a", "toy/b"] and len(list(tmp_path.iterdir())) == 2 * 4 + 2 + 1
    check_written(tmp_path, "planted_sum", "other")


@pytest.mark.valgrind
@pytest.mark.skipif(shutil.which("callgrind_annotate") is None, reason="callgrind_annotate is not installed")
def test_callgrind_annotate_reads_the_counts_by_line_of_python(tmp_path):
    source = tmp_path / "strategy.py"
    source.write_text("def f(x):\n    return x * 2  # hot\n")
    costs = [dumps.LineCost("f", str(source), 2, (900, 12)), dumps.LineCost("f", str(source), 1, (100, 0))]
    file = tmp_path / "f.callgrind.out"
    dumps.write(file, "toy/f", ("Ir", "D1mr"), costs, ["simulated"])
    command = ["callgrind_annotate", "--auto=yes", "--threshold=100", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert any("1,000" in line and "PROGRAM TOTALS" in line for line in done.stdout.splitlines()), done.stdout
    assert any("900" in line and "# hot" in line for line in done.stdout.splitlines()), done.stdout


PROGRAM = """
import sys
from pathlib import Path
from workbench.profile import formats
folder = Path(sys.argv[1])
formats.begin(folder)
import numpy as np
from numba import njit
from workbench.profile.cpu import profile_cpu

@njit
def planted_sum(values):
    total = 0.0
    for i in range(values.shape[0]):
        total += 1.0 / values[i]  # hot
    return total

formats.write_all(profile_cpu(planted_sum, np.ones(100_000), seconds=1.0), folder)
"""


def perf(*arguments):
    done = subprocess.run(["perf", *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_perf_names_lines_by_the_jitdump_and_by_the_map(tmp_path):
    program, recorded = tmp_path / "program.py", tmp_path / "perf.data"
    program.write_text(PROGRAM)
    if shutil.which("perf") is None:
        pytest.skip("perf is not installed")
    tried = subprocess.run(["perf", "record", "-o", recorded, "-e", "cpu-clock", "true"], capture_output=True)
    if tried.returncode:
        pytest.skip("perf may not record here")
    perf("record", "-e", "cpu-clock", "-k", "mono", "-F", "999", "-o", recorded, sys.executable, program, tmp_path)
    perf("inject", "--jit", "-i", recorded, "-o", tmp_path / "injected.data")
    told = perf("script", "-i", tmp_path / "injected.data", "-S", "planted_sum", "-F", "ip,sym,srcline").splitlines()
    places = [after.strip() for line, after in itertools.pairwise(told) if line.endswith(" planted_sum")]
    wanted = {
        f"program.py:{line}" for line, text in enumerate(PROGRAM.splitlines(), 1) if "for i" in text or "# hot" in text
    }
    assert len(places) > 100
    # The processor notes the instruction after the one that it waited for: the loop's head counts with its body.
    assert sum(place in wanted for place in places) > 0.95 * len(places), set(places)

    (by_line,) = tmp_path.glob("perf-*.map")
    linked = Path("/tmp") / by_line.name  # where perf looks for it
    shutil.copy(by_line, linked)
    try:
        symbols = perf("script", "-i", recorded, "-F", "ip,sym").splitlines()
    finally:
        linked.unlink()
    named = [line.split(maxsplit=1)[1] for line in symbols if " planted_sum:" in line]
    assert len(named) >= 0.9 * len(places)
    assert sum(name.removeprefix("planted_sum:") in wanted for name in named) > 0.95 * len(named)
