"""scalene's lines of Python are read, and the time of the calling line is split as the line sampler saw it."""

import json
import sys
import threading
from pathlib import Path

import pytest

from workbench.codemap.lines import Frame
from workbench.errors import InputError, WorkbenchError
from workbench.profile import scalene
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.profile.scalene import HARNESS_TIME, HOME, LineTime, profile_of, profile_scalene, read_json, split

sys.path.insert(0, str(Path(__file__).parent))
import watched_code

CATALOG, WATCHED = str(HOME / "kernels" / "catalog.py"), str(HOME / "workbench" / "profile" / "watched_child.py")


def line_with(file, text):
    """Return the last line of `file` that holds `text`."""
    return max(number for number, line in enumerate(Path(file).read_text().splitlines(), 1) if text in line)


CALL = line_with(CATALOG, "def run(self") + 10  # inside of the function that calls the compiled code


def row(number, python=0.0, native=0.0, system=0.0):
    parts = {"n_cpu_percent_python": python, "n_cpu_percent_c": native, "n_sys_percent": system}
    return {"lineno": number, "line": "text\n", **parts}


def recorded(tmp_path):
    """Return a file of the form that scalene 2.4 writes, cut to what is read."""
    functions = [
        {"lineno": CALL - 28, "end_function_line": CALL - 12, "line": "Variant.replay"},
        {"lineno": CALL - 10, "end_function_line": CALL + 16, "line": "Variant.run"},
    ]
    file = tmp_path / "scalene.json"
    told = {
        "elapsed_time_sec": 2.0,
        "files": {
            CATALOG: {"functions": functions, "lines": [row(130), row(CALL, 1.0, 60.0, 9.0)]},
            "/w/peer.py": {"functions": [], "lines": [row(3, 10.0)]},
            threading.__file__: {"functions": [], "lines": [row(982, 0.0, 5.0, 15.0)]},
        },
    }
    file.write_text(json.dumps(told))
    return file


def sampled():
    profile = Profile("k/v", "cpu")
    for line, amount in ((Line("f", "/w/f.py", 1), 30.0), (Line("g", "/w/f.py", 9), 10.0)):
        profile.add(line, "samples", amount)
        profile.stacks[Frame(*line),] = amount
    return profile


def test_lines_with_time_are_read_in_ms_with_the_function_around_them(tmp_path):
    times = list(read_json(recorded(tmp_path)))
    assert times[0] == pytest.approx(LineTime("Variant.run", CATALOG, CALL, 20.0, 1200.0, 180.0))
    assert [each.line for each in times] == [CALL, 3, 982]
    profile = profile_of(times, "k/v")
    assert profile.outside == {"other threads": pytest.approx(400.0)} and profile.main == "time_ms"
    assert profile.total == pytest.approx(1600.0)
    (tmp_path / "other.json").write_text('{"files": {}}')
    with pytest.raises(WorkbenchError, match=r"other\.json is no profile of scalene"):
        list(read_json(tmp_path / "other.json"))


def test_the_calling_line_is_split_by_the_lines_that_the_sampler_saw(tmp_path):
    profile = profile_of(list(read_json(recorded(tmp_path))), "k/v")
    split(profile, sampled())
    shares = {(line.function, line.line): counters["time_ms"] for line, counters in profile.counters.items()}
    assert shares == {("f", 1): pytest.approx(1050.0), ("g", 9): pytest.approx(350.0), ("", 3): pytest.approx(200.0)}
    assert sum(profile.stacks.values()) == pytest.approx(1600.0)
    assert f"scalene charges 1,400 ms to catalog.py:{CALL}" in profile.notes[-1]
    assert "as the line sampler saw them in a run of its own" in profile.notes[-1]


def test_what_the_harness_does_around_the_calls_is_no_time_of_the_kernel():
    times = [
        LineTime("", WATCHED, line_with(WATCHED, "    run(function)"), 0.0, 500.0, 0.0),
        LineTime("_spend", WATCHED, line_with(WATCHED, "wall_began, cpu_began = "), 30.0, 0.0, 0.0),
        LineTime("", WATCHED, line_with(WATCHED, "target.prepare()"), 10.0, 0.0, 0.0),
        LineTime("", CATALOG, CALL, 0.0, 300.0, 0.0),
        LineTime("", CATALOG, line_with(CATALOG, "def check_parameters") + 5, 0.0, 7.0, 0.0),
        LineTime("run", "/home/me/workbench/profile/mine.py", 3, 20.0, 0.0, 0.0),
    ]
    profile = profile_of(times, "k/v")
    assert profile.outside == {HARNESS_TIME: pytest.approx(47.0)}
    split(profile, sampled())
    shares = {(line.function, line.line): counters["time_ms"] for line, counters in profile.counters.items()}
    assert shares == {("f", 1): pytest.approx(600.0), ("g", 9): pytest.approx(200.0), ("run", 3): pytest.approx(20.0)}
    assert sum(profile.stacks.values()) == pytest.approx(820.0)


def test_a_users_file_is_not_taken_for_the_module_of_threads():
    profile = profile_of([LineTime("f", "/home/me/my_threading.py", 3, 20.0, 0.0, 0.0)], "k/v")
    assert profile.total == pytest.approx(20.0) and not profile.outside


def test_without_the_sampler_the_calling_line_stays_whole_and_that_is_said(tmp_path):
    profile = profile_of(list(read_json(recorded(tmp_path))), "k/v")
    split(profile, None)
    assert profile.counters[Line("Variant.run", CATALOG, 137)]["time_ms"] == pytest.approx(1400.0)
    assert "the lines that call: they stay whole" in profile.notes[-1]


def test_without_scalene_it_says_so_before_anything_is_compiled(monkeypatch):
    monkeypatch.setitem(sys.modules, "scalene", None)
    monkeypatch.setattr(scalene, "Child", None)
    with pytest.raises(WorkbenchError, match=r"scalene.*: use py-spy and the line sampler instead"):
        profile_scalene(watched_code.divide_and_add, watched_code.VALUES, 10, 10)


def test_too_short_a_time_is_refused():
    with pytest.raises(InputError, match=r"scalene takes 1 \.\. 3600 s, not 0.2"):
        profile_scalene(watched_code.divide_and_add, watched_code.VALUES, 10, 10, seconds=0.2)


@pytest.mark.slow
def test_scalene_shows_lines_of_python_and_of_the_compiled_function_below(tmp_path):
    function, values = watched_code.divide_and_add, watched_code.VALUES
    profile = profile_scalene(function, values, 1_000_000, 100_000, seconds=1.5, keep=tmp_path)
    compiled = {line.line: profile.share(line) for line in profile.counters if line.function == "divide_and_add"}
    assert compiled[watched_code.line_of("total = 1.0 /")] > 0.5, str(profile)
    assert any("scalene charges" in note for note in profile.notes)
    assert not any(str(HOME / "workbench" / "profile") in line.file for line in profile.counters), str(profile)
    assert {"cpu_slowdown", "run_s", "rate_per_s"} <= set(profile.overhead)
    assert json.loads((tmp_path / "divide_and_add.scalene.json").read_text())["files"]


@pytest.mark.slow
def test_a_python_function_that_calls_compiled_code_shows_its_own_line():
    profile = profile_scalene(watched_code.call_compiled, watched_code.VALUES, 2_000_000, seconds=1.5)
    (line,) = [each for each in profile.counters if each.file == watched_code.__file__]
    assert line.line == watched_code.line_of("return divide_and_add(") and profile.share(line) > 0.5
