"""What can be taken to a child process, how the child's failures are told, and what is stated of the cost."""

import sys
from pathlib import Path

import numba
import pytest

from workbench import workloads
from workbench.codemap.lines import Frame
from workbench.errors import InputError, WorkbenchError
from workbench.profile.profile import Profile
from workbench.profile.watched import Child, Spent, Watcher, keep_files, last_words, state_overhead
from workbench.profile.watched_job import job_of

sys.path.insert(0, str(Path(__file__).parent))
import watched_code


def test_a_variant_a_compiled_and_a_python_function_can_be_watched():
    compiled = job_of(watched_code.divide_and_add, watched_code.VALUES, 10, 10)
    assert compiled.title == "divide_and_add" and "arguments.npz" in compiled.files
    python = job_of(watched_code.call_compiled, watched_code.VALUES, 10)
    assert python.fields["function"] == ["watched_code", "call_compiled"]
    variant = job_of("order_book", "ladder", workload=workloads.default().events[:100])
    assert (variant.title, variant.fields["variant"]) == ("order_book/ladder", "ladder")
    assert len(variant.files["events.npy"]) == 100 and variant.fields["modules"] == []


def test_what_cannot_cross_is_refused_with_one_sentence():
    with pytest.raises(InputError, match="cannot be imported by another process"):
        job_of(lambda: None)
    with pytest.raises(InputError, match="takes its own arguments"):
        job_of(watched_code.call_compiled, workload="synthetic")
    with pytest.raises(InputError, match="an argument of type object"):
        job_of(watched_code.call_compiled, object())


def test_a_target_that_raises_is_told_by_its_own_error():
    with pytest.raises(WorkbenchError, match="fail: ValueError: 7 is too much"), Child(job_of(watched_code.fail, 7)):
        pass


def test_a_child_that_dies_is_told_and_its_folder_goes():
    child = Child(
        job_of(watched_code.fail, 7), lambda _: [sys.executable, "-c", "print('no memory'); raise SystemExit(1)"]
    )
    with pytest.raises(WorkbenchError, match=r"fail: the child process ended early \(no memory\)"), child:
        pass
    assert not child.folder.exists()


def test_a_program_that_refuses_to_watch_is_told_by_its_words(tmp_path):
    script = "import sys; sys.stderr.write('Error:\\nAccess is limited.\\nmore'); sys.exit(1)"
    watcher = Watcher([sys.executable, "-c", script], tmp_path / "log", lambda _: False)
    with pytest.raises(WorkbenchError, match=r"cannot watch a process here \(Access is limited\)"), watcher:
        pass


def test_a_program_that_watches_is_ended_by_an_interrupt_and_its_cpu_time_is_known(tmp_path):
    script = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, lambda *_: (print('saved', flush=True), exit(0)))\n"
        "print('watching', flush=True)\n"
        "sum(range(2_000_000))\n"
        "time.sleep(60)"
    )
    watcher = Watcher([sys.executable, "-c", script], tmp_path / "log", lambda each: "watching" in each.told())
    with watcher:
        pass
    assert "saved" in watcher.told() and watcher.cpu_s > 0.0
    assert last_words(tmp_path / "log") == "saved"


def test_the_cost_is_the_watched_time_over_the_time_before_and_after():
    profile = Profile("k/v", "cpu")
    alone = [Spent([100.0, 102.0], [50.0, 50.0], 0, 1), Spent([98.0, 100.0], [50.0, 50.0], 4, 5)]
    state_overhead(
        profile, "py-spy", alone, Spent([150.0, 150.0, 900.0], [55.0, 55.0, 55.0], 1_000, 2_000_001_000), 0.5
    )
    assert profile.overhead["wall_slowdown"] == pytest.approx(1.5)
    assert profile.overhead["cpu_slowdown"] == pytest.approx(1.1)
    assert profile.overhead["run_s"] == pytest.approx(100e-9) and profile.overhead["duration_s"] == pytest.approx(2.0)
    assert "+50.0 % of wall time and +10.0 % of CPU time" in profile.notes[0]
    assert "py-spy itself used 0.5 s of CPU" in profile.notes[0]


def test_files_of_a_tool_are_kept_where_there_is_a_folder_for_them(tmp_path):
    profile = Profile("k/v", "cpu")
    (tmp_path / "raw").write_text("x")
    files = {tmp_path / "raw": "kept.txt", tmp_path / "absent": "none.txt"}
    keep_files(profile, files, None)
    assert not profile.artefacts
    keep_files(profile, files, tmp_path / "out")
    assert profile.artefacts == [str(tmp_path / "out" / "kept.txt")]


@numba.njit(parallel=True)
def of_this_file_alone(values):
    total = 0.0
    for value in values:
        total += value
    return total


def test_lines_of_a_function_that_was_written_anew_are_those_of_its_own_file():
    job = job_of(of_this_file_alone, watched_code.VALUES)
    child = Child(job)
    written = next(n for n, text in enumerate(job.module.text.splitlines(), 1) if "total += value" in text)
    here = next(
        n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "        total += value" in text
    )
    found = child.original(Frame("of_this_file_alone", str(child.module), written))
    assert (found.file, found.line) == (of_this_file_alone.py_func.__code__.co_filename, here)
    elsewhere = Frame("f", "/w/f.py", 3)
    assert child.original(elsewhere) is elsewhere
    assert any("parallel=True was left out, the child builds it without" in note for note in child.code_map().failures)
    child.__exit__()
