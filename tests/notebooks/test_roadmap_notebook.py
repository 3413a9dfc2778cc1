"""The roadmap's notebook measures the steps that it is asked for, and concludes from them."""

import pytest
from test_shipped_notebooks import run

from workbench.files import shipped


@pytest.mark.slow
@pytest.mark.notebook
def test_a_roadmap_of_two_steps_and_one_that_cannot_be_had(tmp_path):
    asked = {"steps": ["pinned", "huge_pages", "near_memory"], "seconds": 0.4, "replicates": 2, "alone": "pinned"}
    results, outcome = run(shipped("notebooks") / "roadmap.ipynb", tmp_path / "job", tmp_path / "s.sqlite3", **asked)
    labels = {row.variant for row in results.results if row.metric == "throughput"}
    assert {"baseline@start", "baseline@start (again)", "baseline@pinned"} <= labels
    pairs = {(row.a, row.b) for row in results.comparisons}
    assert ("tick_to_order/baseline@start", "tick_to_order/baseline@pinned") in pairs
    assert outcome.headline.startswith("These 2 of 20 steps") and outcome.verdict is None
    assert any("memory of the core's own node: not applicable here" in each for each in outcome.findings)
    assert not any("computes something else" in note for note in results.notes)
    page = (tmp_path / "job" / "report.html").read_text()
    assert "What each step is worth" in page and "way back" in page
