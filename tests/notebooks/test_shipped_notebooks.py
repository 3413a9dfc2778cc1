"""Every shipped notebook is thin, without outputs, and does its work when our own runner runs it."""

import json
import shutil
import subprocess
import sys

import pytest

from workbench import record
from workbench.batch.job import EXECUTED, REPORT, Job, read_state, write_job
from workbench.batch.parameters import declared_parameters, read_notebook
from workbench.files import shipped
from workbench.gate.outcome import read_outcome
from workbench.record import Verdict
from workbench.store import open_store

NOTEBOOKS = sorted(shipped("notebooks").glob("*.ipynb"))
TINY = {"kernel": "order_book", "variants": ["baseline", "ladder"], "seconds": 0.3, "replicates": 2}


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_thin_and_explains_itself(path):
    notebook = read_notebook(path)
    cells = notebook["cells"]
    assert len(cells) <= 15
    assert all(len(source(cell).splitlines()) <= 15 for cell in cells)
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
    assert "widgets" not in notebook["metadata"]
    top = source(cells[0])
    assert cells[0]["cell_type"] == "markdown" and top.startswith("# ")
    for heading in ("**Question.**", "**How long it takes.**", "**How to read it.**"):
        assert heading in top
    declared = declared_parameters(notebook, path.name)
    assert declared and all(parameter.help for parameter in declared)
    assert "conclude" in source(cells[-1]), "it ends with the finding in words"


def run(path, folder, store, **parameters):
    folder.mkdir()
    write_job(folder, Job(notebook=str(path), parameters=parameters, limit_s=700, store=str(store), key="k"))
    command = [sys.executable, "-m", "workbench", "run-job", str(folder / "params.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    state = read_state(folder)
    assert state.status == "finished", (done.stderr, state.failure)
    told = read_outcome(folder)
    assert done.returncode == (told.exit_code if told else 0), done.stderr
    assert (folder / EXECUTED).is_file() and (folder / REPORT).is_file()
    assert json.loads(done.stdout.splitlines()[-1])["cell"] == state.cells
    results = record.read(folder / "results.json")
    assert isinstance(results, record.Run)
    return results, read_outcome(folder)


@pytest.mark.notebook
def test_load(tmp_path):
    asked = {**TINY, "variants": ["ladder"], "rates": [1e5, 1e6], "arrivals": "fixed"}
    results, outcome = run(shipped("notebooks") / "load.ipynb", tmp_path / "job", tmp_path / "s.sqlite3", **asked)
    assert {row.rate_per_s for row in results.results if row.metric == "response_time"} == {1e5, 1e6}
    assert "p99 <= 5000 ns" in outcome.headline


@pytest.mark.notebook
def test_latency(tmp_path):
    results, outcome = run(shipped("notebooks") / "latency.ipynb", tmp_path / "job", tmp_path / "s.sqlite3", **TINY)
    found = {(row.variant, row.metric, row.statistic) for row in results.results}
    assert {("baseline", "throughput", "mean"), ("ladder", "service_time", "p99")} <= found
    assert outcome.headline.startswith(("ladder is the fastest", "baseline is the fastest"))
    assert outcome.verdict is None


@pytest.mark.notebook
def test_regression_saves_itself_first_and_judges_then(tmp_path):
    path, store = shipped("notebooks") / "regression.ipynb", tmp_path / "s.sqlite3"
    first, outcome = run(path, tmp_path / "first", store, **TINY, baseline="night")
    assert outcome.save_baseline == "night" and "becomes it" in outcome.headline and outcome.exit_code == 0
    assert not any("@" in row.a for row in first.comparisons)
    open_store(str(store)).save_baseline("night", first)

    second, outcome = run(path, tmp_path / "second", store, **TINY, baseline="night")
    judged = [row for row in second.comparisons if row.a.endswith("@night")]
    assert {row.b for row in judged} == {"order_book/baseline", "order_book/ladder"}
    assert outcome.baseline_id == first.record_id and outcome.save_baseline is None
    assert outcome.verdict is Verdict.UNRESOLVED, "two processes a side settle nothing"
    page = (tmp_path / "second" / REPORT).read_text()
    assert "UNRESOLVED" in page[: page.index("</header>")]


@pytest.mark.slow
@pytest.mark.notebook
def test_the_story_is_of_any_kernel_with_parents(tmp_path):
    parameters = {"kernel": "signals", "seconds": 0.3, "replicates": 2, "line_seconds": 0.2, "misses": False}
    path = shipped("notebooks") / "order_book_story.ipynb"
    results, outcome = run(path, tmp_path / "job", tmp_path / "s.sqlite3", **parameters)
    judged = {(row.a, row.b) for row in results.comparisons if row.metric == "throughput"}
    assert ("signals/baseline", "signals/simd") in judged
    assert "is the fastest step of signals" in outcome.headline and outcome.verdict is None
    assert any(sentence.startswith("simd: ") for sentence in outcome.findings)
    assert "Misses are not shown: no misses were asked for." in outcome.findings
    profile = record.read(tmp_path / "job" / "profiles" / "simd-cpu.json")
    assert profile.variant == "signals/simd" and profile.results
    page = (tmp_path / "job" / REPORT).read_text()
    assert "the lines that take most" in page and 'href="profiles/simd-cpu.html"' in page
    assert "sampling signals/simd" in (tmp_path / "job" / "log.txt").read_text()


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.valgrind
def test_the_story_counts_misses_where_valgrind_is(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    parameters = {**TINY, "variants": ["ladder"], "line_seconds": 0.2}
    path = shipped("notebooks") / "order_book_story.ipynb"
    results, outcome = run(path, tmp_path / "job", tmp_path / "s.sqlite3", **parameters)
    counted = {(row.variant, row.metric): row.value for row in results.results if row.statistic == "simulated"}
    assert 50 < counted["ladder", "instructions"] < counted["baseline", "instructions"] < 5000
    assert counted["ladder", "d1_misses"] > 0
    assert any("Simulated, an operation takes fewer instructions" in sentence for sentence in outcome.findings)
