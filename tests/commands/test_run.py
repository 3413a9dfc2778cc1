import json

import pytest
from click.testing import CliRunner

from workbench import record
from workbench.commands._measuring import amount, figure
from workbench.commands.run import command
from workbench.errors import InputError
from workbench.store import open_store


def invoke(*words):
    return CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_table_a_record_in_the_store_and_a_baseline(toy):
    result = invoke("toy", *toy, "--save-baseline", "monday")
    assert result.exit_code == 0
    for word in ("baseline", "doubled", "3,000 events", "first block", "saved as", "baseline monday"):
        assert word in result.stdout
    (run,) = open_store().runs("toy")
    assert open_store().baseline("monday") == run


def test_json_is_the_record_and_nothing_else(toy):
    result = invoke("toy/doubled", *toy, "--json", "--no-save")
    printed = json.loads(result.stdout)
    assert printed["schema"] == "workbench/run/1"
    assert {row["variant"] for row in printed["results"]} == {"doubled"}
    assert isinstance(record.from_json(result.stdout), record.Run)
    assert open_store().runs("toy") == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-P", "rounds"], "NAME=VALUE"),
        (["-P", "rounds=x"], "NAME=VALUE"),
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
    assert figure(record.Result(**values, value=50, low=40, high=60)) == "50 ns (40 ns .. 60 ns)"
    assert figure(None) == ""
