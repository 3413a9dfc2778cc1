"""The notebook of time by line: every tool that is there, and without any it finishes and says what is missing."""

import os
import subprocess
import sys

import pytest

from workbench import abilities, record
from workbench.batch.job import REPORT, Job, read_state, write_job
from workbench.files import shipped
from workbench.gate.outcome import read_outcome

TOOLS = {"py-spy": abilities.ptrace, "perf": abilities.perf, "scalene": abilities.scalene}


def run(folder, environment=None, **parameters):
    """Run the notebook as a batch does; return its records and its outcome."""
    folder.mkdir()
    path, store = shipped("notebooks") / "cpu.ipynb", folder.parent / "store.sqlite3"
    write_job(folder, Job(notebook=str(path), parameters=parameters, limit_s=700, store=str(store), key="k"))
    command = [sys.executable, "-m", "workbench", "run-job", str(folder / "params.json")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=800, env={**os.environ, **(environment or {})}
    )
    state = read_state(folder)
    assert done.returncode == 0, (done.stderr, state and state.failure)
    files = [folder / "results.json", *sorted((folder / "records").glob("*.json"))]
    return [record.read(file) for file in files], read_outcome(folder)


@pytest.mark.slow
@pytest.mark.notebook
def test_every_tool_that_is_there_shows_lines_and_its_cost(tmp_path):
    records, outcome = run(tmp_path / "job", kernel="order_book", variants=["ladder"], seconds=1.0)
    there = [tool for tool, ability in TOOLS.items() if ability().works]
    assert len(records) == 1 + len(there)
    assert all(each.profile_kind == "cpu" and each.variant == "order_book/ladder" for each in records)
    for each in records:
        assert any(row["file"].endswith(".py") and "order_book" in row["file"] for row in each.results), each.notes
        assert any("slowdown" in name for name in each.overhead), "each states what it cost"
    assert outcome.headline.startswith("order_book/ladder spends ")
    for tool in there:
        assert any(text.startswith(f"{tool} on ladder: a call took") for text in outcome.findings)
        assert list((tmp_path / "job" / "profiles").glob(f"order_book-ladder-cpu.{tool}.speedscope.json"))
    page = (tmp_path / "job" / REPORT).read_text()
    assert "time by call and line, by sampler" in page and "What each profiler costs" in page


@pytest.mark.slow
@pytest.mark.notebook
def test_without_py_spy_perf_and_scalene_it_finishes_and_says_what_is_missing(tmp_path):
    tools = tmp_path / "tools"
    (tools / "scalene").mkdir(parents=True)
    (tools / "scalene" / "__init__.py").write_text("raise ImportError('scalene is broken here')\n")
    for name in ("py-spy", "perf"):
        (tools / name).write_text("#!/bin/sh\necho 'Error: Permission denied' >&2\nexit 1\n")
        (tools / name).chmod(0o755)
    lacking = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(tools)}
    asked = {"kernel": "order_book", "variants": ["baseline", "ladder"], "seconds": 1.0}
    records, outcome = run(tmp_path / "job", lacking, **asked)
    assert [each.variant for each in records] == ["order_book/baseline", "order_book/ladder"]
    missing = [text for text in outcome.findings if text.startswith("Missing: ")]
    assert {text.split()[1] for text in missing} == {"py-spy", "perf", "scalene"}
    assert any("py-spy may not trace" in text and "the line sampler" in text for text in missing)
    assert any("scalene is broken here" in text for text in missing)
    assert any(text.startswith("From baseline to ladder the shares of the functions") for text in outcome.findings)
    assert "Missing: perf" in (tmp_path / "job" / REPORT).read_text()
