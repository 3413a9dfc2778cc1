"""The variants' notebook tells what each costs besides time, and where another one wins."""

import pytest
from test_shipped_notebooks import run

from workbench.files import shipped


@pytest.mark.slow
@pytest.mark.notebook
def test_what_variants_cost_and_where_they_win(tmp_path):
    asked = {"kernel": "order_pool", "variants": ["baseline", "stack"], "sizes": [1000], "threads": [2]}
    asked |= {"seconds": 0.3, "point_seconds": 0.2, "replicates": 2}
    results, outcome = run(shipped("notebooks") / "variants.ipynb", tmp_path / "job", tmp_path / "s.sqlite3", **asked)
    found = {(row.variant, row.metric, row.statistic): row.value for row in results.results}
    for name in ("baseline", "stack"):
        assert found[name, "compile_time", "cold"] > 0.1, "it is compiled from nothing"
        assert 100 < found[name, "code_size", "sum"] < 1e6
        assert found[name, "state_rss", "max"] >= 0
    assert ("stack@1,000 events", "throughput", "mean") in found
    assert outcome.headline.startswith(("stack ", "baseline ")), outcome.headline
    assert any(each in outcome.headline for each in ("is the fastest variant", "cannot be told apart")), (
        outcome.headline
    )
    assert (
        any("2 threads" in each for each in outcome.findings) or ("baseline@2 threads", "throughput", "mean") in found
    )
    assert not any(variant == "stack@2 threads" for variant, _, _ in found), "it is for one thread"
