"""The memory notebook finds a planted allocation and a planted leak, and finishes where its tools are absent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import record
from workbench.batch.job import REPORT, Job, read_state, write_job
from workbench.files import shipped
from workbench.gate.outcome import read_outcome

sys.path.append(str(Path(__file__).parent.parent / "profile"))
import memory_subjects

NOTEBOOK = shipped("notebooks") / "memory.ipynb"


def run(folder, environment=None, **parameters):
    folder.mkdir()
    write_job(folder, Job(notebook=str(NOTEBOOK), parameters={"seconds": 0.1, **parameters}, limit_s=700, key="k"))
    command = [sys.executable, "-m", "workbench", "run-job", str(folder / "params.json")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=800, env={**os.environ, **(environment or {})}
    )
    state = read_state(folder)
    assert done.returncode == 0, (done.stderr, state and state.failure)
    return record.read(folder / "results.json"), read_outcome(folder)


@pytest.mark.notebook
def test_a_planted_allocation_in_the_hot_path_of_a_users_kernel_is_named(tmp_path):
    package = memory_subjects.write_kernel(tmp_path)
    asked = {"kernel": "tally", "modules": [str(package)], "workload": "synthetic"}
    profile, outcome = run(tmp_path / "job", variants=["wasteful"], **asked)
    line = memory_subjects.line_of(package / "wasteful.py", "# planted")
    assert outcome.headline == f"tally/wasteful allocates 1 time per operation at wasteful.py:{line} (pair)."
    (row,) = profile.results
    assert (profile.profile_kind, row["line"], row["function"]) == ("memory", line, "pair")
    assert all((tmp_path / "job" / each).is_file() for each in profile.artefacts)
    page = (tmp_path / "job" / REPORT).read_text()
    assert "Resident memory over time" in page and "memray-peak.html" in page


@pytest.mark.slow
@pytest.mark.notebook
def test_a_planted_leak_is_named_also_without_any_other_tool(tmp_path):
    file = memory_subjects.write_functions(tmp_path, "a<b>.py")
    asked = {"function": f"{file}:leaks", "native": "massif"}
    profile, outcome = run(tmp_path / "job", {"PATH": str(Path(sys.executable).parent)}, **asked)
    line = memory_subjects.line_of(file, "# planted leak")
    assert f" a call at a<b>.py:{line} (leaks)." in outcome.headline and "leaks 8." in outcome.headline
    assert any("massif was left out: valgrind is not on this machine" in each for each in outcome.findings)
    assert profile.overhead["counted_calls"] >= 2
    assert "<b>" not in (tmp_path / "job" / REPORT).read_text().split("</header>")[0].split("<body")[1]
    assert json.loads((tmp_path / "job" / "state.json").read_text())["status"] == "finished"
