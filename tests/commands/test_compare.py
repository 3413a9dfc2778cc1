import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench import record
from workbench.commands._beside import _lines
from workbench.commands.compare import command
from workbench.errors import Exit, InputError
from workbench.measure.readers import Reading
from workbench.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory


def invoke(*words):
    return CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)


def test_variants(toy):
    result = invoke("toy/baseline", "toy/doubled", *toy, "--replicates", "2", "-P", "rounds=90", "--on", "throughput")
    assert "throughput mean" in result.stdout
    (deciding,) = [line for line in result.stdout.splitlines() if line.startswith("throughput mean")]
    assert ("SLOWER" in deciding) is (result.return_value == Exit.REGRESSION)


def test_one_replicate_is_unresolved_and_says_why(toy):
    result = invoke("doubled", "baseline", "-k", "toy", *toy, "--json")
    assert result.return_value == Exit.UNRESOLVED
    (first, *_) = json.loads(result.stdout)["comparisons"]
    assert (first["a"], first["b"], first["verdict"]) == ("toy/doubled", "toy/baseline", "UNRESOLVED")
    assert "two replicates" in first["reason"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return open_store()


def save(store, name, seed, **options):
    run = factory.run(seed=seed, **options)
    store.add(run)
    store.save_baseline(name, run)


def test_saved_baselines(store):
    save(store, "monday", 1)
    save(store, "tuesday", 2)
    result = invoke("@monday", "@tuesday", "--on", "throughput")
    assert "order_book/ladder@monday" in result.stdout
    assert "measured at different times" in result.stdout
    printed = json.loads(invoke("@monday", "@tuesday", "--json").stdout)
    assert printed["schema"] == "workbench/comparison/1"
    assert {row["b"] for row in printed["comparisons"]} >= {"order_book/ladder"}


def test_baselines_of_two_machines_are_not_judged(store):
    save(store, "here", 1)
    save(store, "there", 2, hardware_key="000000000000")
    result = invoke("@here", "@there")
    assert result.return_value == Exit.INVALID
    assert result.stdout.startswith("ENVIRONMENT INVALID")
    assert json.loads(invoke("@here", "@there", "--json").stdout)["verdict"] == "ENVIRONMENT INVALID"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["@monday", "toy/doubled"], "give two variants, or two baselines"),
        (["@nobody", "@monday"], "there is no baseline @nobody: there are @monday"),
        (["baseline", "toy/doubled"], "names no kernel"),
        (["toy/a", "toy/a"], "compared with itself"),
        (["toy/a", "other/a"], "different kernels"),
        (["toy/a", "toy/b", "--read-rate", "9"], "give --readers too"),
        (["@monday", "@monday", "--readers", "1"], "cannot be read beside"),
    ],
)
def test_wrong_usage(store, words, sentence):
    save(store, "monday", 1)
    with pytest.raises(InputError, match=sentence):
        invoke(*words)


@pytest.mark.slow
def test_writers_with_a_reader(toy, tmp_path):
    arguments = ["order_book/baseline", "order_book/lock_free", "--readers", "1", "--input", toy[3], "--seconds", "0.1"]
    result = invoke(*arguments, "--replicates", "1", "--json", "--on", "throughput")
    assert result.return_value == Exit.UNRESOLVED, "one process settles nothing"
    run = record.from_json(result.stdout)
    assert {row.b for row in run.comparisons} == {"order_book/baseline+readers", "order_book/lock_free+readers"}
    counted = {(row.variant, row.metric): row.value for row in run.results}
    assert counted["lock_free+readers", "torn"] == 0 and counted["baseline+readers", "reads_per_s"] > 0
    lines = _lines(Reading(run, (0, 1), ("a note",)), ("order_book/baseline", "order_book/lock_free"), 1, 1e6)
    assert "1 reader at 1,000,000 reads/s on core 1" in lines[0] and "note: a note" in lines
    assert len(lines[-1].split("  ")) > 4 and lines[-1].startswith("order_book/lock_free")
