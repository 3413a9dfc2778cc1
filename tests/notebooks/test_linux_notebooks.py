"""The notebooks about Linux and about threads find what was planted, name it, and finish where tools are missing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import abilities, record
from workbench.batch.job import REPORT, Job, read_state, write_job
from workbench.files import shipped
from workbench.gate.outcome import read_outcome

PLANTED = Path(__file__).parents[1] / "profile" / "linux"
TEACHING = Path(abilities.__file__).parents[1] / "profile" / "teaching"
TINY = {"seconds": 0.4, "trace_seconds": 1.0, "jitter_seconds": 0.1}
TINY_THREADS = {"seconds": 0.4, "watch_seconds": 0.4, "replicates": 2}

pytestmark = [pytest.mark.notebook, pytest.mark.slow]


def run(name, folder, *, front=(), path=None, **parameters):
    """Run a shipped notebook as a job; `front` stands before the command, `path` is its PATH."""
    folder.mkdir()
    asked = {**(TINY if name == "system" else TINY_THREADS), **parameters}
    notebook = str(shipped("notebooks") / f"{name}.ipynb")
    write_job(folder, Job(notebook=notebook, parameters=asked, limit_s=700, store=str(folder / "s.sqlite3"), key="k"))
    command = [*front, sys.executable, "-m", "workbench", "run-job", str(folder / "params.json")]
    environment = {**os.environ, "PATH": path} if path is not None else dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, env=environment)
    state = read_state(folder)
    assert done.returncode == 0, (done.stderr, state and state.failure)
    page = (folder / REPORT).read_text()
    assert "Traceback" not in page
    outcome = read_outcome(folder)
    assert outcome.headline in page or "&" in outcome.headline
    return record.read(folder / "results.json"), outcome


@pytest.fixture(scope="module")
def two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core: threads never meet")


@pytest.fixture(scope="module")
def traces():
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")


def test_a_planted_system_call_is_named_with_its_line(tmp_path, traces):
    profile, outcome = run("system", tmp_path / "job", module=str(PLANTED / "planted_call"))
    assert "makes a system call in its hot path: getppid once an operation" in outcome.headline
    (line,) = [row for row in profile.results if row["file"].endswith("baseline.py")]
    assert "the planted call" in line["source"] and line["counters"]["getppid"] > 0
    assert profile.overhead["strace_slowdown_ratio"] > 1
    assert any("strace made an operation" in sentence for sentence in outcome.findings)


def test_a_clean_kernel_without_any_tool(tmp_path):
    module = str(PLANTED / "planted_call")
    _, outcome = run("system", tmp_path / "job", path="/nonexistent", module=module, variant="clean")
    assert "shows no switch or page fault that counts; its system calls were not counted" in outcome.headline
    assert any("strace is not on this machine" in sentence for sentence in outcome.findings)
    assert any("bpftrace is not on this machine" in sentence for sentence in outcome.findings)
    assert any("took" in sentence or "no gap" in sentence for sentence in outcome.findings), "jitter is still there"


def test_a_planted_lock_convoy_is_named_without_strace(tmp_path, two_cores):
    for attempt in range(4):  # where other tests take the second core, the threads may never meet
        folder = tmp_path / str(attempt) / "job"
        folder.parent.mkdir()
        profile, outcome = run("concurrency", folder, module=str(PLANTED / "planted_convoy"), trace=False)
        assert "clean" not in outcome.headline
        if "lock convoy with" in outcome.headline:
            break
    assert "baseline has a lock convoy with 2 threads" in outcome.headline
    assert any("of its time waiting for a lock" in sentence for sentence in outcome.findings)
    kept = [json.loads(file.read_text())["schema"] for file in sorted((folder / "records").glob("*.json"))]
    assert profile.profile_kind == "contention" and kept == ["workbench/run/2"] * 2


def test_planted_false_sharing_is_named_without_tools_too(tmp_path, two_cores):
    module = str(TEACHING / "counters")
    _, outcome = run("concurrency", tmp_path / "job", path="/nonexistent", module=module)
    assert outcome.headline.startswith("teaching_counters: shared_line shares a cache line falsely")
    assert "own_lines shares" not in outcome.headline
    assert any("thread 0 bytes 0 to 7 and thread 1 bytes 8 to 15 of a line of counts" in s for s in outcome.findings)
    assert any("perf" in sentence and "by hardware" in sentence for sentence in outcome.findings)


def test_one_core_is_told(tmp_path):
    if shutil.which("taskset") is None:
        pytest.skip("taskset is not installed")
    core = str(min(os.sched_getaffinity(0)))
    module = str(PLANTED / "planted_convoy")
    profile, outcome = run("concurrency", tmp_path / "job", front=("taskset", "-c", core), module=module)
    assert outcome.headline == "Contention of planted_convoy cannot be measured on one core."
    assert not profile.results
