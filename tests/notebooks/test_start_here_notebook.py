"""The tour runs from end to end, and its planted change is judged by a real gate."""

import pytest
from test_shipped_notebooks import run

from workbench.files import shipped


@pytest.mark.slow
@pytest.mark.notebook
def test_the_tour(tmp_path):
    asked = {"seconds": 0.4, "replicates": 2, "line_seconds": 0.3}
    results, outcome = run(shipped("notebooks") / "start_here.ipynb", tmp_path / "job", tmp_path / "s.sqlite3", **asked)
    assert {(row.a, row.b) for row in results.comparisons} == {("order_book/baseline", "order_book/ladder")}
    assert outcome.headline.startswith("ladder is ")
    told = " ".join(outcome.findings)
    assert "The gate says " in told and "exit code would be" in told
    assert "The costliest line of order_book/ladder is" in told or "Lines are not shown" in told
    assert "The diagnosis of imbalance" in told
    page = (tmp_path / "job" / "report.html").read_text()
    assert "imbalance" in page and "after against before" in page
