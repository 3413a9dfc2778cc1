import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from workbench import policy, record
from workbench.commands._measuring import amount, figure
from workbench.commands._stages import stage_rows
from workbench.commands.run import command, print_run
from workbench.errors import InputError
from workbench.gate.budgets import Budget, Limits, judge_budgets
from workbench.record import Verdict
from workbench.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory


def invoke(*words):
    return CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_table_a_record_in_the_store_and_a_baseline(toy):
    result = invoke("toy", *toy, "--save-baseline", "monday")
    assert result.exit_code == 0
    for word in ("baseline", "doubled", "3,000 events", "first block", "saved as", "baseline monday"):
        assert word in result.stdout
    (run,) = open_store().runs("toy")
    assert open_store().baseline("monday") == run


@pytest.mark.parametrize("name", policy.OWN_BASELINES)
def test_a_name_of_the_workbenchs_own_baselines_is_refused_before_anything_is_measured(toy, name):
    with pytest.raises(InputError, match=f"--save-baseline {name}: .* give another"):
        invoke("toy", *toy, "--save-baseline", name)
    assert open_store().runs() == []


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_tables_fit_the_width(width, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())
    rows = [
        factory.comparison("order_book/baseline", f"order_book/{name}", 1.1, verdict, metric="throughput")
        for name, verdict in (("ladder", Verdict.FASTER), ("aligned", Verdict.UNRESOLVED))
    ]
    run = factory.run(comparisons=rows)
    run = run.model_copy(
        update={"results": [row.model_copy(update={"operations_per_sample": 64}) for row in run.results]}
    )
    chosen = [SimpleNamespace(kernel="order_book", variant=name, peer=name == "aligned") for name in factory.SPEEDS_NS]
    report = SimpleNamespace(outcomes=[SimpleNamespace(chosen=chosen)], phases_s={}, first_block_after_s=1.0, notes=[])
    print_run(run, report, width)
    lines = sys.stdout.getvalue().splitlines()
    assert lines[0].startswith("order_book: percentiles are of 64 operations timed together")
    figures = [line for line in lines if line.startswith(("variant ", "baseline ", "ladder ", "aligned "))]
    assert len(figures) == 4 + 3  # nothing is folded into a second line
    assert max(map(len, figures)) <= width
    assert ("(178 .. 182) ns" in figures[1]) is (width >= 140)
    assert any(line.startswith("aligned (peer)") and "UNRESOLVED" in line for line in figures)
    assert any("p99 of 64 operations together" in line for line in lines)
    assert lines[-1].startswith("next: workbench compare order_book/baseline order_book/aligned")


def test_another_process_writes_to_the_store_meanwhile(toy):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import factory; from workbench.store import open_store\n"
        "store = open_store(); print('writing', flush=True)\n"
        "for seed in range(40): store.add(factory.run('other', seed=seed, with_blocks=False))"
    )
    folder = str(Path(__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"writing\n"
        mine = [factory.run("toy", seed=seed, with_blocks=False) for seed in range(40)]
        store = open_store()
        for run in mine:
            store.add(run)
    assert other.returncode == 0
    assert {run.record_id for run in store.runs("toy")} == {run.record_id for run in mine}
    assert len(store.runs("other")) == 40


def test_json_is_the_record_and_nothing_else(toy):
    result = invoke("toy/doubled", *toy, "--json", "--no-save")
    printed = json.loads(result.stdout)
    assert printed["schema"] == "workbench/run/2"
    assert {row["variant"] for row in printed["results"]} == {"doubled"}
    assert isinstance(record.from_json(result.stdout), record.Run)
    assert open_store().runs("toy") == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-P", "rounds"], "NAME=VALUE"),
        (["-P", "rounds=x"], "must be a whole number"),
        (["--workload", "market"], "give one of them"),
        (["--input", "/nonexistent"], "is not a file"),
    ],
)
def test_wrong_usage_is_told_before_anything_starts(toy, words, sentence):
    with pytest.raises(InputError, match=sentence):
        invoke("toy", *toy, *words)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (38.04, "ns", "38 ns"),
        (0.31, "ns", "0.31 ns"),
        (1240.0, "ns", "1.24 µs"),
        (7.12e7, "operations/s", "71.2 M/s"),
        (1.87e8, "bytes", "187 MB"),
        (2.0, "s", "2 s"),
        (5e9, "operations/s", "5,000 M/s"),
    ],
)
def test_amounts(value, unit, text):
    assert amount(value, unit) == text


def test_a_bound_is_written_as_one():
    values = {"kernel": "k", "variant": "v", "metric": "service_time", "statistic": "p50", "unit": "ns", "samples": 9}
    assert figure(record.Result(**values, value=29, low=None, high=None, bound="upper")) == "< 29 ns"
    assert figure(record.Result(**values, value=50, low=40, high=60)) == "50 (40 .. 60) ns"
    assert figure(None) == ""


def test_the_stages_of_an_operation_are_shown_with_what_they_may_spend():
    def row(metric, statistic, value):
        return record.Result(
            kernel="k", variant="v", metric=metric, statistic=statistic, unit="ns", value=value, low=None, high=None,
            samples=9,
        )  # fmt: skip

    results = [row("stage.decode", "p50", 20), row("stage.decode", "p99", 45), row("service_time", "p99", 90)]
    limits = Limits(must=100, stretch=50)
    budget = Budget(name="b", kernel="k", metric="stage.decode", statistic="p99", unit="ns", below=limits)
    judged = judge_budgets([budget], results)
    assert stage_rows(results, "v", judged) == [
        ("decode", "20 ns", "45 ns", "100 ns", "50 ns"),
        ("end to end", "", "90 ns", "", ""),
    ]
    assert stage_rows(results[2:], "v", judged) == []


def test_shards_are_measured_one_after_the_other_and_together(toy):
    events = np.load(toy[3])
    events["symbol"] = np.arange(len(events)) % 4
    np.save(toy[3], events)
    result = invoke("toy/baseline", *toy, "--shards", "2")
    assert result.exit_code == 0 and "baseline+together" in result.stdout
    (run,) = open_store().runs("toy")
    assert run.parameters["toy"]["shards"] == 2
    rates = {row.variant for row in run.results if row.metric == "throughput"}
    assert rates == {"baseline", "baseline+together"}
    assert "+together" not in result.stdout.split("next: ")[1]  # what is proposed can be typed


def test_shards_that_cannot_be_are_refused(toy):
    with pytest.raises(InputError, match="has 1 symbol, and shard 1 gets none"):
        invoke("toy/baseline", *toy, "--shards", "2")
    with pytest.raises(InputError, match="ask for 1 or more"):
        invoke("toy/baseline", *toy, "--shards", "0")
    with pytest.raises(InputError, match="an open loop has one state"):
        invoke("toy/baseline", *toy, "--shards", "2", "--rate", "1000")
