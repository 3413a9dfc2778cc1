"""The words of a memory profile follow its counts: leak, hot path, rare, clean, growth; and the figures show them."""

import factory
import pytest

from workbench import figures
from workbench.codemap.lines import Frame
from workbench.figures.memory import MemoryLife, MemoryPhase, allocation_sites, rss_over_time
from workbench.gate.budgets import judge_budgets, read_budgets
from workbench.profile.counted import Line
from workbench.profile.memory import MemoryProfile
from workbench.profile.memory_facts import MemoryFacts, Phase, Tracked, Watched
from workbench.record import Result
from workbench.report import memory as report
from workbench.report.memory_words import memory_outcome

LINE = Line("hot", "/u/mine.py", 12)
MB = 1_000_000


def a_profile(title="mine/fast", calls=10, operations=100, rss=(), faults=0, **counters):
    phase = Phase(name="calls", began_s=1, ended_s=2, minor_faults=5, major_faults=faults)
    profile = MemoryProfile(title, "memory", main="allocated_bytes", sources={"/u/mine.py": [""] * 11 + ["a = <b>"]})
    watched = Watched(
        calls=100,
        duration_s=1,
        before_rss_bytes=100 * MB,
        peak_rss_bytes=150 * MB,
        after_rss_bytes=100 * MB,
        rss_by_calls=list(enumerate(rss)),
        rss_over_time=[(0.5, 90 * MB), (1.5, 150 * MB)],
        phases=[phase],
    )
    tracked = Tracked(
        calls=calls,
        operations_per_call=operations,
        allocations=1,
        allocated_bytes=1,
        temporary=0,
        leaked=0,
        leaked_bytes=0,
        peak_bytes=4_000,
        call_s=2,
        plain_call_s=1,
    )
    profile.facts = MemoryFacts(title=title, is_variant="/" in title, watched=watched, tracked=tracked)
    profile.overhead = {"counted_operations": float(tracked.operations)}
    for name, amount in counters.items():
        profile.add(LINE, name, float(amount))
    if counters:
        profile.stacks[Frame("hot", "/u/mine.py", 12),] = float(counters["allocated_bytes"])
    return profile


def test_an_allocation_of_every_operation_is_named():
    told = memory_outcome([a_profile(allocations=2000, allocated_bytes=64_000, temporary=2000)])
    assert told.headline == "mine/fast allocates 2 times per operation at mine.py:12 (hot)."
    assert (
        "mine/fast: mine.py:12 (hot) allocates 2 times per operation, 64.0 bytes, most of them given back at once"
        in (told.findings[0])
    )
    assert "a = <b>" in told.findings[0]


def test_an_allocation_of_every_call_of_a_variant_is_not_one_of_its_operations():
    told = memory_outcome([a_profile(operations=100_000, allocations=30, allocated_bytes=30)])
    assert told.headline.startswith("No allocation per operation, and no leak")
    assert "30 allocations lie outside" in told.findings[0]


@pytest.mark.parametrize(("kept_by", "leaks"), [(1, False), (9, False), (10, True)])
def test_a_leak_keeps_something_of_every_call(kept_by, leaks):
    told = memory_outcome(
        [
            a_profile(
                "f", operations=1, allocations=20, allocated_bytes=80, leaked=10, leaked_bytes=40, leaked_calls=kept_by
            )
        ]
    )
    assert (told.headline == "f leaks 4.00 bytes a call at mine.py:12 (hot).") is leaks
    assert any("never gives them back" in each for each in told.findings) is leaks
    assert any("a cache or a buffer that grows" in each for each in told.findings) is not leaks


def test_growth_needs_a_climb_in_every_quarter():
    climbing = a_profile(rss=[100 * MB + each * MB for each in range(16)])
    assert climbing.facts.watched.growth_bytes_per_call == MB
    assert memory_outcome([climbing]).headline.startswith("mine/fast grows by 1.00 MB a call")
    for steady in ([100 * MB] * 4 + [115 * MB] * 12, [100 * MB + each for each in range(16)], [100 * MB, 115 * MB]):
        assert a_profile(rss=steady).facts.watched.growth_bytes == 0
    assert "did not grow" in memory_outcome([a_profile(rss=[100 * MB] * 16)]).findings[1]


def test_a_process_that_was_stopped_for_its_growth_grew():
    profile = a_profile("f", rss=[100 * MB, 240 * MB, 380 * MB])
    profile.facts = profile.facts.model_copy(
        update={"watched": profile.facts.watched.model_copy(update={"stopped_early": True})}
    )
    assert profile.facts.watched.growth_bytes == 280 * MB
    told = memory_outcome([profile])
    assert told.headline.startswith("f grows by 140 MB a call")
    assert any("grew by 280 MB" in each for each in told.findings)


def test_of_few_looks_nothing_is_said():
    told = memory_outcome([a_profile(rss=[100 * MB] * 7)])
    assert "100 calls are too few to tell whether resident memory grows" in told.findings[1]


def test_budget_faults_and_what_is_absent_are_told():
    peak = {"metric": "peak_rss", "statistic": "max", "unit": "bytes", "value": 145.0 * MB}
    row = Result(kernel="order_book", variant="aligned", low=None, high=None, samples=1, **peak)
    judged = judge_budgets(read_budgets(), [row])
    told = memory_outcome([a_profile(faults=50)], judged, ["mine/slow was left out: it <breaks>"])
    assert any("order_book.memory" in each and "must met" in each for each in told.findings)
    assert any("50 pages were read from disk" in each for each in told.findings)
    assert told.findings[-1] == "mine/slow was left out: it <breaks>."


def test_the_worst_of_several_comes_first():
    hot = a_profile("mine/hot", allocations=1000, allocated_bytes=8000)
    leak = a_profile("mine/leak", allocations=10, allocated_bytes=80, leaked=10, leaked_calls=10, leaked_bytes=80)
    assert memory_outcome([a_profile(), hot, leak]).headline.startswith("mine/leak leaks")
    assert memory_outcome([a_profile(), hot]).headline.startswith("mine/hot allocates 1 time per operation")


def test_the_figures_have_names_tables_and_the_same_numbers():
    profile = a_profile(allocations=2000, allocated_bytes=64_000, leaked=10, leaked_bytes=16_000)
    record = profile.to_record(factory.run(with_blocks=False).machine)
    sites = allocation_sites([record])
    (row,) = figures.figure_table(sites).rows
    assert row == ("mine.py:12", "mine/fast", "a = <b>", "64.0 bytes", "2", "10", "16.0 k bytes")
    assert [bar.x[0] for bar in sites.data] == [48, 16]
    phases = [MemoryPhase("load", 0, 1, 7, 0), MemoryPhase("calls", 1, 2, 5, 1)]
    figure = rss_over_time([MemoryLife("mine/fast", [(0.5, 90 * MB), (1.5, 150 * MB)], phases)])
    assert [(line.line.dash, list(line.y)) for line in figure.data] == [("dot", [90 * MB]), ("solid", [150 * MB])]
    assert figures.figure_table(figure).rows[1][1:] == ("calls", "1.00 s", "2.00 s", "150 MB", "5", "1")
    assert figures.figure_name(figure)[0] == "Resident memory over time"
    assert figures.figure_table(allocation_sites([])).rows == () and rss_over_time([]).layout.annotations


def test_the_flame_graph_is_of_the_profile_that_allocates_most():
    study = report.MemoryStudy([a_profile("mine/none"), a_profile(allocations=5, allocated_bytes=50)], [])
    figure = report.flame_figure(study)
    assert figures.figure_name(figure)[0].startswith("mine/fast: allocated bytes")
    empty = report.flame_figure(report.MemoryStudy([a_profile()], []))
    assert "nothing was allocated" in empty.layout.annotations[0].text
    assert "a = &lt;b&gt;" in study._repr_html_()
