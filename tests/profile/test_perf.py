"""perf's samples become lines, those of the watched stretch alone; where it may not record, it says so."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numba import vectorize

from workbench import abilities, codemap
from workbench.errors import InputError, WorkbenchError
from workbench.profile import perf
from workbench.profile.perf import Sample, profile_of, profile_perf, read_script
from workbench.profile.watched import Spent
from workbench.profile.watched_job import job_of
from workbench.profile.written_map import read_map, write_map

sys.path.insert(0, str(Path(__file__).parent))
import watched_code

RECORDED = """\
 13577 48538.437064516:      7fa1997aee35 (/usr/lib/libpython3.11.so.1.0)
 13577 48538.438124625:      7fc58db0a14f ([unknown])

 13578 48539.000000001:      7fc58db0a150 (/tmp/perf-13577.map)
"""


def test_samples_of_the_watched_stretch_are_read():
    stretch = Spent([], [], 48_538_438_000_000, 48_539_000_000_001)
    assert list(read_script(RECORDED.splitlines(), stretch)) == [
        Sample(13577, 48_538_438_124_625, 0x7FC58DB0A14F, "[unknown]"),
        Sample(13578, 48_539_000_000_001, 0x7FC58DB0A150, "/tmp/perf-13577.map"),
    ]
    with pytest.raises(WorkbenchError, match="perf script wrote 'cycles:u 13577'"):
        list(read_script(["cycles:u 13577"], stretch))


def told(tmp_path, monkeypatch, script):
    """Return what is read of a perf that is this shell script."""
    (tmp_path / "perf").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "perf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return perf._script(tmp_path / "perf.data", tmp_path / "script.log", Spent([], [], 0, 10**19))


ROW = "echo ' 7 1.000000001:  10 (x)'"


def test_perf_tells_as_many_samples_as_memory_is_meant_for(tmp_path, monkeypatch):
    monkeypatch.setattr(perf, "MOST_SAMPLES", 50)
    samples, notes = told(tmp_path, monkeypatch, f"while :; do {ROW}; done")
    assert samples == [Sample(7, 1_000_000_001, 0x10, "x")] * 50
    assert notes == ["perf has more samples than the first 50: the others are left out"]
    samples, notes = told(tmp_path, monkeypatch, ROW)
    assert len(samples) == 1 and not notes


def test_a_perf_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(perf, "SCRIPT_S", 1.0)
    samples, notes = told(tmp_path, monkeypatch, f"{ROW}; printf ' 7 1.0000'; exec sleep 100")
    assert len(samples) == 1 and "more than 1 s" in notes[0]
    with pytest.raises(WorkbenchError, match="no sample within 1 s"):
        told(tmp_path, monkeypatch, "exec sleep 100")


def test_a_perf_that_cannot_read_its_file_is_told(tmp_path, monkeypatch):
    with pytest.raises(WorkbenchError, match=r"could not read what perf recorded \(.*broken"):
        told(tmp_path, monkeypatch, "echo broken >&2; exit 3")


def test_a_ufunc_is_refused_for_what_it_is():
    @vectorize
    def twice(x):
        return 2 * x

    for function in (twice, np.add):
        with pytest.raises(InputError, match=r"is a ufunc, which cannot be taken to another process"):
            job_of(function, np.ones(3))


def test_samples_count_for_lines_of_the_kernel_and_for_libraries_outside(tmp_path):
    codemap.install()
    watched_code.divide_and_add(watched_code.VALUES, 10, 10)
    write_map(tmp_path, [watched_code.divide_and_add])
    code_map = read_map(tmp_path)
    line = watched_code.line_of("total = 1.0 /")
    known = [each for each in code_map.functions if each.code is not None and "cpython" not in each.name]
    addresses = [address for each in known for address in range(each.begin, each.end)]
    division = next(a for a in addresses if (place := code_map.place(a)).frames and place.line == line)
    samples = [Sample(1, 0, division, "[unknown]")] * 3 + [Sample(1, 0, 0x10, "/usr/lib/libm.so.6")]
    profile = profile_of(samples, code_map, "k/v")
    assert {(each.function, each.line) for each in profile.counters} == {("divide_and_add", line)}
    assert profile.total == 3 and profile.outside == {"libm.so.6": 1.0}
    assert profile.badges == {"divide_and_add": "same code"}


@pytest.mark.parametrize("present", [False, True], ids=["no perf", "a perf that may not record"])
def test_without_perf_it_says_so_before_anything_is_compiled(tmp_path, monkeypatch, present):
    if present:
        (tmp_path / "perf").write_text("#!/bin/sh\necho 'Access to performance monitoring is limited.' >&2\nexit 255\n")
        (tmp_path / "perf").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) if not present else f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(perf, "Child", None)
    with pytest.raises(WorkbenchError, match=r"perf is .*: use the line sampler \(workbench profile cpu\) instead"):
        profile_perf(watched_code.divide_and_add, watched_code.VALUES, 10, 10)


@pytest.mark.slow
def test_perf_shows_source_lines_inside_a_compiled_function(tmp_path):
    ability = abilities.perf()
    if not ability.works:
        pytest.skip(ability.reason)
    function, values = watched_code.divide_and_add, watched_code.VALUES
    profile = profile_perf(function, values, 1_000_000, 100_000, seconds=1.5, keep=tmp_path)
    top, share = profile.top(1)[0]
    assert (top.function, top.line) == ("divide_and_add", watched_code.line_of("total = 1.0 /"))
    assert share > 0.6, str(profile)
    assert {"wall_slowdown", "cpu_slowdown", "tool_cpu_s", "samples", "run_s"} <= set(profile.overhead)
    assert (tmp_path / "divide_and_add.perf.data").stat().st_size > 1000
    (written,) = [Path(each) for each in profile.artefacts if each.endswith(".map")]
    assert f"divide_and_add:{Path(watched_code.__file__).name}:{top.line}" in written.read_text()
