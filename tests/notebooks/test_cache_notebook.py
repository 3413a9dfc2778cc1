"""The notebook of cache misses names the lines that miss, and reads the machine code where nothing can be simulated."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import record
from workbench.batch.job import REPORT, Job, read_state, write_job
from workbench.files import shipped
from workbench.gate.outcome import read_outcome

PLANTED = Path(__file__).parents[1] / "profile" / "planted_misses"

pytestmark = [pytest.mark.notebook, pytest.mark.slow]


def run(folder, path=None):
    folder.mkdir()
    asked = {"module": str(PLANTED), "variants": ["baseline", "dense"], "workload": "synthetic"}
    notebook = str(shipped("notebooks") / "cache.ipynb")
    write_job(folder, Job(notebook=notebook, parameters=asked, limit_s=700, store=str(folder / "s.sqlite3"), key="k"))
    command = [sys.executable, "-m", "workbench", "run-job", str(folder / "params.json")]
    environment = {**os.environ, "PATH": path} if path is not None else dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, env=environment)
    state = read_state(folder)
    assert done.returncode == 0, (done.stderr, state and state.failure)
    page = (folder / REPORT).read_text()
    assert "Traceback" not in page and "Which lines miss?" in page
    return record.read(folder / "results.json"), read_outcome(folder)


@pytest.mark.valgrind
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_a_planted_miss_is_named_with_its_line_and_what_a_denser_layout_saves(tmp_path):
    profile, outcome = run(tmp_path / "job")
    assert outcome.headline.startswith("planted_misses/dense misses the first-level cache"), outcome.headline
    told = next(each for each in outcome.findings if each.startswith("baseline has its L1 misses on"))
    assert "100 % _sum.py:10" in told and "the planted miss" in told
    assert any("throws out 56.0 bytes unread for each line" in each for each in outcome.findings), outcome.findings
    (change,) = [each for each in outcome.findings if each.startswith("From baseline to dense")]
    assert "fewer L1 misses (4.10 k → " in change and "more" not in change
    assert profile.variant == "planted_misses/baseline" and profile.profile_kind == "cache"
    (line,) = [row for row in profile.results if "the planted miss" in row["source"]]
    assert 10 * 4096 <= line["counters"]["d1_misses"] <= 10 * 4200
    second = record.read(tmp_path / "job" / "records" / "2.json")
    assert second.variant == "planted_misses/dense"
    kept = {file.name for file in (tmp_path / "job" / "profiles").iterdir()}
    assert {"planted_misses-dense-cache.html", "planted_misses-dense.callgrind.out"} <= kept


def test_without_valgrind_it_reads_the_code_and_says_so(tmp_path):
    folder = tmp_path / "bin"  # what a notebook needs, and no valgrind
    folder.mkdir()
    for name in ("sh", "uname", "git"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    profile, outcome = run(tmp_path / "job", str(folder))
    assert "is read, no cache is simulated" in outcome.headline and "_sum.py" in outcome.headline
    assert any("valgrind is not installed" in each for each in outcome.findings)
    names = {name for row in profile.results for name in row["counters"]}
    assert {"instructions_in_code", "loads"} <= names and "d1_misses" not in names
    assert any("no cache was simulated" in note for note in profile.notes)
    assert json.loads((tmp_path / "job" / "outcome.json").read_text())["verdict"] is None
