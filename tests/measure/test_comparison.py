import pytest

from workbench import record
from workbench.measure.comparison import Comparison
from workbench.record import Verdict


def row(statistic="mean", metric="throughput", verdict=Verdict.FASTER, **changes):
    values = {"ratio": 0.5, "low": 0.48, "high": 0.52, "margin": 0.03, "blocks": 24, "replicates": 6}
    return record.Comparison(
        a="k/a", b="k/<b>", metric=metric, statistic=statistic, verdict=verdict, **{**values, **changes}
    )


def test_it_shows_itself_as_text_and_as_html():
    unresolved = row("p99", "service_time", Verdict.UNRESOLVED, blocks_needed=96, reason="crosses the margin")
    shown = Comparison("k/a", "k/<b>", (row(), unresolved), ("a note & more",))._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}
    assert "throughput mean   0.500  0.480 .. 0.520  3%      FASTER" in shown["text/plain"]
    assert "crosses the margin; about 96 blocks would settle it, 24 were measured" in shown["text/plain"]
    assert "k/&lt;b&gt;" in shown["text/html"] and "a note &amp; more" in shown["text/html"]
    assert not any(word in shown["text/html"] for word in ("<script", "<style", "var(", "http"))


def test_the_verdict_is_that_of_throughput():
    comparison = Comparison("k/a", "k/b", (row("p50", "service_time", Verdict.SLOWER), row()))
    assert comparison.verdict is Verdict.FASTER
    with pytest.raises(KeyError, match="there is no service_time p99"):
        comparison.row("service_time", "p99")
