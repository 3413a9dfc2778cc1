"""Success criteria: met, not met, not resolved or without evidence, from stored records and nights."""

import json
import re
from pathlib import Path

import factory
import pytest
from batch_folders import KEY, SERIES, a_batch, a_job, a_night, measured

from workbench.batch.plan import find_plan, read_plan
from workbench.errors import InputError
from workbench.gate.budgets import read_budgets
from workbench.record import Verdict
from workbench.report.criteria import Criterion, Evidence, State, judge, judge_criteria, read_criteria
from workbench.report.criteria_page import criteria_html, criteria_markdown, write_criteria
from workbench.report.evidence import Finder, share
from workbench.report.nights import Part
from workbench.report.site import add_night, write_all
from workbench.report.view import read_batch_view
from workbench.store import open_store

TAIL = {"kernel": "order_book", "metric": "service_time", "statistic": "p99", "unit": "ns"}


@pytest.fixture
def finder(tmp_path):
    return Finder(open_store(str(tmp_path / "store.sqlite3")), KEY, tmp_path / "out", tmp_path)


def a_criterion(**changes):
    return Criterion(name="x", words="It is fast enough", **changes)


def states(finder, *criteria):
    return [each.state for each in judge_criteria(criteria, finder)]


@pytest.mark.parametrize(
    ("value", "low", "high", "limits", "state"),
    [
        (50.0, 40.0, 60.0, {"below": 100.0}, State.MET),
        (50.0, 40.0, 60.0, {"below": 55.0}, State.UNRESOLVED),
        (50.0, 40.0, 60.0, {"below": 30.0}, State.NOT_MET),
        (50.0, 40.0, 60.0, {"above": 30.0}, State.MET),
        (50.0, 40.0, 60.0, {"above": 55.0}, State.UNRESOLVED),
        (50.0, 40.0, 60.0, {"above": 100.0}, State.NOT_MET),
        (50.0, None, None, {"below": 50.0}, State.MET),
        (0.0, None, None, {"below": 0.0}, State.MET),
    ],
)
def test_a_limit_inside_the_interval_is_not_resolved(value, low, high, limits, state):
    found = Evidence(value, low, high, "ns", "a", "record")
    assert [each.state for each in judge([a_criterion(**TAIL, **limits)], lambda *_: found, [])] == [state]


def test_the_newest_record_of_this_kind_of_machine_is_the_evidence(finder):
    criterion = a_criterion(**TAIL, below=100.0)
    assert states(finder, criterion) == [State.NO_EVIDENCE]
    finder.store.add(factory.run(scale=0.1, with_blocks=False, hardware_key="another"))
    assert states(finder, criterion) == [State.NO_EVIDENCE]
    finder.store.add(factory.run(with_blocks=False, seed=2))
    newest = factory.run(scale=4.0, with_blocks=False, seed=3)
    finder.store.add(newest)
    (judged,) = judge_criteria([criterion], finder)
    assert judged.state is State.NOT_MET and judged.evidence.value == pytest.approx(4 * 31 * 2.2)
    assert judged.evidence.source == f"record {newest.record_id[:12]}" and "bench-1" in judged.evidence.machine
    told = "order_book/aligned, input synthetic, symbols = 8"
    assert judged.evidence.what == told, "the best variant, as in a budget"
    assert states(finder, a_criterion(**TAIL, below=1e4, variant="baseline")) == [State.MET]


def test_a_budget_brings_its_own_limit(finder):
    finder.store.add(factory.run(with_blocks=False))
    must = a_criterion(budget="market_data.order_book_update")
    stretch = a_criterion(budget="market_data.order_book_update", aim="stretch", variant="ladder")
    judged = judge_criteria([must, stretch], finder)
    assert [(each.limit, each.state) for each in judged] == [(5_000.0, State.MET), (100.0, State.MET)]
    with pytest.raises(InputError, match="no budget 'nothing'"):
        judge_criteria([a_criterion(budget="nothing")], finder)


def test_a_stored_comparison_is_evidence(finder):
    sides = {"a": "order_book/baseline", "b": "order_book/ladder"}
    half = a_criterion(compare=sides, below=0.5)
    assert states(finder, half) == [State.NO_EVIDENCE]
    row = factory.comparison(*sides.values(), 0.25, Verdict.FASTER, metric="throughput", statistic="mean")
    finder.store.add(factory.run(comparisons=[row], with_blocks=False))
    assert states(finder, half, a_criterion(compare=sides, below=0.25)) == [State.MET, State.UNRESOLVED]


def test_evidence_is_of_the_default_input_and_parameters_unless_the_criterion_names_others(finder):
    sides = {"a": "order_book/baseline", "b": "order_book/ladder"}
    row = factory.comparison(*sides.values(), 0.25, Verdict.FASTER, metric="throughput", statistic="mean")
    usual = factory.run(comparisons=[row], with_blocks=False, seed=1)
    fast = factory.run(comparisons=[row.model_copy(update={"ratio": 0.1})], with_blocks=False, scale=0.1, seed=2)
    small = fast.workload.model_copy(update={"name": "my file"})
    finder.store.add(fast.model_copy(update={"workload": small, "record_id": "a" * 32}))
    chosen = {"order_book": {"symbols": 8, "orders": 64}}
    finder.store.add(fast.model_copy(update={"parameters": chosen, "record_id": "b" * 32}))
    limit, compared = {**TAIL, "below": 100.0}, {"compare": sides, "below": 0.5}
    assert states(finder, a_criterion(**limit), a_criterion(**compared)) == [State.NO_EVIDENCE] * 2
    finder.store.add(usual)
    for source in (limit, compared):
        named = ({}, {"workload": "my file"}, {"parameters": {"orders": 64}})
        criteria = [a_criterion(**source, **each) for each in named]
        found = [each.evidence for each in judge_criteria(criteria, finder)]
        assert [each.source for each in found] == [
            f"record {record_id[:12]}" for record_id in (usual.record_id, "a" * 32, "b" * 32)
        ]
        assert [each.what.partition(", ")[2] for each in found] == [
            "input synthetic, symbols = 8",
            "input my file, symbols = 8",
            "input synthetic, orders = 64, symbols = 8",
        ]
    (nothing,) = judge_criteria([a_criterion(**limit, parameters={"orders": 65})], finder)
    assert "input by default, orders = 65, is stored" in nothing.why


def test_nights_are_evidence_of_jobs_verdicts_and_hours(finder):
    facts = [
        a_criterion(fact={"name": "jobs finished", "plan": "nightly"}, above=0.65),
        a_criterion(fact={"name": "nights decided", "plan": "nightly"}, above=0.9),
        a_criterion(fact={"name": "night hours", "plan": "nightly"}, below=0.001),
        a_criterion(fact={"name": "jobs finished", "plan": "weekly"}, above=0.5),
    ]
    assert set(states(finder, *facts)) == {State.NO_EVIDENCE}
    folder = finder.site / "nightly-2026-01-05"
    failed = {"status": "failed", "failure": {"kind": "timeout", "sentence": "too long"}}
    jobs = [a_job(folder, f"j-{place}", outcome=measured(), report=False) for place in range(9)]
    jobs.append(a_job(folder, "j-9", state=failed, report=False))
    add_night(finder.site, read_batch_view(a_batch(folder, jobs)))
    judged = judge_criteria(facts, finder)
    assert [each.state for each in judged] == [State.UNRESOLVED, State.UNRESOLVED, State.NOT_MET, State.NO_EVIDENCE]
    assert judged[0].evidence.value == 0.9 and judged[0].evidence.low < 0.65 < judged[0].evidence.high
    assert judged[2].evidence.value == pytest.approx(12 / 3600), "all ran at the same time"


def test_nights_count_on_this_kind_of_machine_and_are_decided_by_a_verdict(finder):
    badges = ["UNCHANGED"] * 30 + ["MEASURED", "BASELINE", "DONE", "UNCHANGED"]
    here = {"hardware_keys": [KEY], "ended": "2024-01-01T02:00:00+00:00", "values": {}}
    nights = [a_night(place, **{**here, "badge": badge}) for place, badge in enumerate(badges)]
    nights[-1] = nights[-1].model_copy(update={"finished": 7})
    nights.append(a_night(40, **{**here, "hardware_keys": ["another"], "duration_s": 9e9}))
    nights.append(a_night(41, **{**here, "ended": "", "duration_s": 9e9}))
    (finder.site / "nights").mkdir(parents=True)
    write_all(finder.site, {"2024-01": Part(series=SERIES, nights=nights)})
    facts = [
        a_criterion(fact={"name": "nights decided", "nights": 100}, above=0.5),
        a_criterion(fact={"name": "night hours", "nights": 100}, below=2.0),
    ]
    decided, hours = judge_criteria(facts, finder)
    assert decided.evidence.value == pytest.approx(31 / 35), "a night that only measured has decided nothing"
    assert hours.state is State.MET and hours.evidence.value == pytest.approx(1 / 60), "other nights keep a sum"


def test_stored_trials_are_evidence_of_false_alarms(finder, tmp_path):
    criterion = a_criterion(fact={"name": "gate false alarms", "folder": "proof"}, below=0.5)
    assert states(finder, criterion) == [State.NO_EVIDENCE]
    file = tmp_path / "proof" / KEY / "trials.jsonl"
    file.parent.mkdir(parents=True)
    trials = [
        {"created": f"2026-01-{day:02d}T01:00:00+00:00", "gates": {"same": {"cells": {"p50": {"verdict": verdict}}}}}
        for day, verdict in enumerate(["UNCHANGED"] * 19 + ["SLOWER"], 1)
    ]
    file.write_text("\n".join(map(json.dumps, trials)) + '\n{"torn": ')
    (judged,) = judge_criteria([criterion], finder)
    assert judged.state is State.MET and judged.evidence.value == 0.05
    assert judged.evidence.what == "1 of 20 gates on identical code" and judged.evidence.created.day == 20


def test_a_share_has_the_interval_of_clopper_and_pearson():
    assert share(0, 0) == (0.0, None, None)
    value, low, high = share(0, 10)
    assert (value, low) == (0.0, 0.0) and high == pytest.approx(1 - 0.05**0.1), "one-sided, as its limit is"
    assert share(10, 10)[1:] == (pytest.approx(0.05**0.1), 1.0)


def perfect_record(criterion):
    """Return the evidence of `criterion` when nothing ever went wrong, as much of it as the criterion looks at."""
    fact = criterion.fact
    if fact.name == "gate false alarms":
        found = share(0, int(re.search(r"--trials (\d+)", criterion.command)[1]))
    else:
        jobs = sum(len(job.combinations()) for job in read_plan(find_plan(Path(fact.plan))).job)
        count = fact.nights * (jobs if fact.name == "jobs finished" else 1)
        found = share(count, count)
    return Evidence(*found, "", "all", "nights")


def test_a_perfect_record_meets_every_shipped_criterion_of_a_share():
    shares = [each for each in read_criteria() if each.fact is not None and each.fact.name != "night hours"]
    judged = judge(shares, lambda criterion, _: perfect_record(criterion), [])
    assert len(judged) == 3 and {each.criterion.name: each.state for each in judged} == {
        each.name: State.MET for each in shares
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 3", "'x' is outside a table"),
        ("[x", "is not TOML"),
        ('[x]\nwords = "w"\nbelow = 1', "give one source"),
        ('[x]\nwords = "w"\nbudget = "b"\nbelow = 1', "a budget has its own limit"),
        ('[x]\nwords = "w"\nkernel = "k"\nbelow = 1', "belong together"),
        ('[x]\nwords = "w"\nfact = { name = "jobs finished" }', "either below or above"),
        ('[x]\nwords = "w"\nfact = { name = "night hours" }\nbelow = 1\nworkload = "aapl"', "leave workload and"),
        ('[x]\nwords = "w"\nfact = { name = "moon" }\nbelow = 1', r"\[\"x\"\], fact.name"),
    ],
)
def test_a_mistake_is_told_with_its_table(tmp_path, text, told):
    file = tmp_path / "criteria.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=told):
        read_criteria(file)


def test_the_shipped_criteria_are_read_and_name_budgets_that_exist():
    criteria = read_criteria()
    judged = judge(criteria, lambda *_: "nothing was measured", read_budgets())
    assert len(judged) == len(criteria) and {each.state for each in judged} == {State.NO_EVIDENCE}
    assert {each.group for each in criteria} == {"technical", "operational"}
    assert all(each.command for each in criteria)


def test_the_page_and_the_markdown_put_what_is_not_met_first(tmp_path):
    values = {"a": Evidence(50.0, 40.0, 60.0, "ns", "order_book/x", "record 123"), "b": "nothing was measured"}
    criteria = [
        Criterion(name="b", words="B", command="workbench run b", **TAIL, below=100.0),
        Criterion(name="a", words="A|*", **TAIL, below=100.0),
        Criterion(name="a", words="C", **TAIL, below=10.0),
    ]
    judged = judge(criteria, lambda criterion, _: values[criterion.name], [])
    page, markdown = criteria_html(judged), criteria_markdown(judged)
    for text in (page, markdown):
        assert text.index("NOT MET") < text.index("NO EVIDENCE YET") and "at most 100 ns" in text
        assert "50.0 ns (40.0 ns to 60.0 ns)" in text and "record 123" in text and "workbench run b" in text
        assert "3 criteria: 1 not met, 1 no evidence yet, 1 met." in text
    assert "A\\|\\*" in markdown
    write_criteria(judged, tmp_path / "c.html", tmp_path / "c.md")
    assert (tmp_path / "c.md").read_text() == markdown
