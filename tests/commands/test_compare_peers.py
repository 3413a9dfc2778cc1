"""Variants beside other people's code, in one run: what is there is measured, what is not is named."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.commands.compare import command
from workbench.errors import InputError

PEERS = ["-m", "toy_peers", "--seconds", "0.1", "--replicates", "1"]


@pytest.fixture
def data(toy, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[1] / "measure")])
    return [*PEERS, *toy[2:4]]


def invoke(*words):
    return CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)


def test_a_variant_beside_every_peer_that_is_there(data):
    result = invoke("toy_peers", "--peers", *data)
    assert result.return_value == 0
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("toy_peers/baseline")]
    assert "peer_numpy" in row
    assert "peer_absent was left out: nobody has it" in result.stdout


def test_the_record_holds_the_pairs_and_the_stages(data):
    printed = json.loads(invoke("toy_peers/baseline", "--peers", "--json", "-P", "threads=2", *data).stdout)
    assert {(row["a"], row["b"]) for row in printed["comparisons"]} == {("toy_peers/peer_numpy", "toy_peers/baseline")}
    stages = {row["metric"] for row in printed["results"] if row["variant"] == "baseline"}
    assert {"stage.read", "stage.add"} <= stages
    assert printed["parameters"]["toy_peers"]["threads"] == 2
    assert any("peer_absent" in note for note in printed["notes"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["toy_peers", "--peers", "-P", "way=twice"], "no peer that can run here"),
        (["toy_peers/peer_numpy", "toy_peers/baseline", "-P", "way=twice"], "cannot run so: it adds once"),
        (["toy_peers/baseline", "--peers", "-P", "way=thrice"], "must be one of plain, twice"),
        (["toy_peers/baseline", "toy_peers/peer_numpy", "--peers"], "takes one kernel or variant"),
        (["toy_peers/baseline"], "name a second variant, or give --peers"),
    ],
)
def test_what_cannot_be_compared_is_told(data, words, sentence):
    with pytest.raises(InputError, match=sentence):
        invoke(*words, *data)
