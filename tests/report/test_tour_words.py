"""The tour's words: computed from the comparison, the samples, the diagnosis and the gate."""

import types

import factory
import pytest

from workbench.record import Gate, GateCell, Result, Verdict
from workbench.report.tour_words import Gated, Lines, catalog, quotes, tour_outcome


def gate(verdict):
    cell = GateCell(
        a="order_book/ladder@before", b="order_book/ladder@after", metric="throughput", statistic="mean", ratio=4.0,
        low=3.9, high=4.1, margin=0.03, verdict=verdict, blocks=96, replicates=6,
    )  # fmt: skip
    return Gate(
        machine=factory.machine(), mode="revisions", base="before", candidate="after", verdict=verdict, cells=[cell]
    )


def measured(ratio, verdict):
    row = factory.comparison("order_book/baseline", "order_book/ladder", ratio, verdict, metric="throughput")
    return factory.run(comparisons=[row], with_blocks=False)


def diagnosis(*findings):
    return types.SimpleNamespace(name="imbalance", findings=findings)


UNSAMPLED = Lines(None, "order_book/ladder", "this system cannot sample")


def test_the_tour_tells_what_was_found():
    outcome = tour_outcome(
        measured(0.25, Verdict.FASTER), "order_book", UNSAMPLED, diagnosis(types.SimpleNamespace(speedup=2.5)),
        gate(Verdict.SLOWER),
    )  # fmt: skip
    assert outcome.headline.startswith("ladder is 4 times as fast as baseline, and it is sure")
    told = " ".join(outcome.findings)
    assert "Lines are not shown: this system cannot sample." in told
    assert "mending the first makes it 2.5 times as fast" in told
    assert "The gate says SLOWER" in told and "exit code would be 3" in told


@pytest.mark.parametrize("verdict", [Verdict.UNRESOLVED, Verdict.SLOWER, Verdict.UNCHANGED])
def test_what_is_not_faster_is_not_called_so(verdict):
    outcome = tour_outcome(measured(1.1, verdict), "order_book", UNSAMPLED, diagnosis(), gate(Verdict.UNCHANGED))
    assert outcome.headline.startswith(f"ladder is {verdict.value.lower()} against baseline: cost 1.100")
    assert any("found nothing that it could prove" in each for each in outcome.findings)


def test_the_costliest_line_is_told_with_its_time():
    line = types.SimpleNamespace(file="/x/ladder.py", line=7, function="apply")
    profile = types.SimpleNamespace(
        shares_by_source=lambda: {("/x/ladder.py", 7): 0.25}, counters=[line], source=lambda each: "  a = b[i]"
    )
    sampled = Lines(profile, "order_book/ladder")
    run = measured(0.25, Verdict.FASTER)
    mean = Result(
        kernel="order_book", variant="ladder", metric="service_time", statistic="batch_mean", unit="ns", value=40.0,
        low=None, high=None, samples=1,
    )  # fmt: skip
    run = run.model_copy(update={"results": [*run.results, mean]})
    told = tour_outcome(run, "order_book", sampled, diagnosis(), gate(Verdict.UNCHANGED)).findings
    assert (
        "The costliest line of order_book/ladder is ladder.py:7: 25 % of the samples, 10.0 ns of 40.0 ns an operation "
        "(a = b[i])."
    ) in told
    assert "ladder.py:7" in sampled._repr_html_() and "cannot sample" in UNSAMPLED._repr_html_()


def test_the_catalog_is_the_librarys():
    assert {row[0] for row in catalog().rows} >= {"order_book", "tick_to_order"}
    assert "ladder" in {row[0] for row in catalog("order_book").rows}
    bids, asks, out = quotes(16)
    assert len(bids) == len(asks) == len(out) == 16 and (bids + asks > 0).all()
    assert str(Gated(gate(Verdict.SLOWER))).startswith("SLOWER")
