"""Steps of a chain: what is drawn is what the record says, and what is missing is said."""

import dataclasses

import factory
import pytest

from workbench import figures
from workbench.figures.theme import VERDICT_COLOURS
from workbench.record import Result, Verdict

HOSTILE = '</script><script>alert(1)</script><a href="https://evil.example">x</a>'


@dataclasses.dataclass
class Step:
    variant: str
    parent: str | None = None
    depth: int = 0
    peer: bool = False


def chain(kernel="order_book"):
    return [Step("baseline"), Step("ladder", "baseline", 1), Step("aligned", "ladder", 2), Step("peer", peer=True)]


def mean(kernel, variant, value):
    return result(kernel, variant, "service_time", "batch_mean", value, value * 0.98, value * 1.02)


def result(kernel, variant, metric, statistic, value, low=None, high=None):
    return Result(
        kernel=kernel, variant=variant, metric=metric, statistic=statistic, unit="ns", value=value, low=low, high=high,
        samples=1000,
    )  # fmt: skip


def told(kernel="order_book"):
    compared = [
        factory.comparison(f"{kernel}/baseline", f"{kernel}/ladder", 0.25, Verdict.FASTER, metric="throughput"),
        factory.comparison(f"{kernel}/baseline", f"{kernel}/aligned", 0.3, Verdict.FASTER, metric="throughput"),
        factory.comparison(f"{kernel}/ladder", f"{kernel}/aligned", 1.2, Verdict.SLOWER, metric="throughput"),
    ]
    run = factory.run(kernel, comparisons=compared, with_blocks=False)
    means = [mean(kernel, *each) for each in (("baseline", 60.0), ("ladder", 16.0), ("aligned", 20.0), ("peer", 58.0))]
    counts = [
        result(kernel, variant, metric, "simulated", value)
        for variant, metric, value in (
            ("baseline", "instructions", 480.0), ("ladder", "instructions", 196.0),
            ("baseline", "d1_misses", 3.0), ("ladder", "d1_misses", 0.0), ("ladder", "ll_misses", 0.0001),
        )
    ]  # fmt: skip
    return run.model_copy(update={"results": [*run.results, *means, *counts]})


def test_each_step_stands_below_its_parent_with_what_it_saved_or_added():
    figure = figures.step_costs(told(), "order_book", chain())
    (bars,) = figure.data
    assert list(bars.x) == [60.0, 16.0, 20.0, 58.0]
    assert bars.error_x.array[1] == pytest.approx(0.32)
    names = [name.replace("\N{NO-BREAK SPACE}", "_") for name in figure.layout.yaxis.ticktext]
    assert names == ["baseline", "└ ladder", "___└ aligned", "peer (peer)"]
    saved, added = figure.layout.shapes
    assert (saved.x0, saved.x1, saved.fillcolor) == (16.0, 60.0, VERDICT_COLOURS[Verdict.FASTER])
    assert (added.x0, added.x1, added.fillcolor) == (16.0, 20.0, VERDICT_COLOURS[Verdict.SLOWER])
    texts = [each.text.strip() for each in figure.layout.annotations]
    assert texts[:3] == ["60.0 ns", "16.0 ns, −75 %", "20.0 ns, +20.0 %"]
    rows = figures.figure_table(figure).rows
    assert rows[2][:3] == ("aligned", "ladder", "20.0 ns") and rows[2][-1] == "SLOWER"
    assert rows[3][1] == "a peer's code"


def test_counters_that_no_step_has_get_no_panel():
    figure = figures.simulated_counts(told(), "order_book", chain())
    assert [list(trace.x) for trace in figure.data] == [[480.0, 196.0], [3.0, 0.0]]
    assert figures.figure_table(figure).columns == ("step", "instructions", "L1 data misses")


def test_what_is_missing_is_said_in_the_figure():
    empty = figures.simulated_counts(factory.run(), "order_book", chain(), "valgrind is not installed")
    assert empty.layout.annotations[0].text == "valgrind is not installed"
    assert figures.step_costs(told(), "absent", chain()).layout.annotations[0].text.startswith("no step")


def test_hostile_names_stay_text():
    steps = [Step(HOSTILE), Step("ladder", HOSTILE, 1)]
    run = told(HOSTILE)
    run = run.model_copy(update={"results": [row.model_copy(update={"variant": HOSTILE}) for row in run.results]})
    for figure in (figures.step_costs(run, HOSTILE, steps), figures.simulated_counts(run, HOSTILE, steps, HOSTILE)):
        assert figures.figure_name(figure)[0] and figures.figure_name(figure)[1].endswith(".")
        document = figure.to_plotly_json()
        del document["layout"]["meta"]
        assert "<script" not in str(document) and "<a href" not in str(document)
