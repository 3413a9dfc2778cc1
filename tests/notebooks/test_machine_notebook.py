"""The machine's notebook measures every limit, and places a kernel where valgrind is."""

import shutil

import pytest
from test_shipped_notebooks import run

from workbench.files import shipped


@pytest.mark.notebook
def test_the_limits_alone(tmp_path):
    asked = {"seconds": 0.2, "most_mb": 1, "placed": False}
    results, outcome = run(shipped("notebooks") / "machine.ipynb", tmp_path / "job", tmp_path / "s.sqlite3", **asked)
    found = {(row.variant, row.metric): row.value for row in results.results}
    assert ("memory", "load_latency") in found and ("clock", "cost") in found and ("4096", "chase_latency") in found
    assert all(value > 0 for value in found.values())
    assert outcome.headline.startswith("A load from memory takes ")
    assert "No kernel is placed under the roofs: no kernel was to be placed." in outcome.findings


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.valgrind
def test_a_kernel_under_the_roofs(tmp_path):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    asked = {"seconds": 0.2, "most_mb": 1, "variants": ["order_book/ladder"], "kernel_seconds": 0.3}
    results, outcome = run(shipped("notebooks") / "machine.ipynb", tmp_path / "job", tmp_path / "s.sqlite3", **asked)
    placed = {row.metric: row.value for row in results.results if row.statistic == "roofline"}
    assert placed["instruction_rate"] > 1e7 and 0.1 < placed["intensity"] < 1000
    assert any(each.startswith("order_book/ladder does ") for each in outcome.findings)
