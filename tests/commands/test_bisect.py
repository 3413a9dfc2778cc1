import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.commands import bisect
from workbench.errors import Exit, InputError, WorkbenchError
from workbench.measure import codes
from workbench.record import Comparison, Verdict

sys.path.insert(0, str(Path(__file__).parents[1]))
from git_repository import make_repository, write_events


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("bisect") / "repository")


@pytest.fixture
def options(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "timing.lock"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(repository / "src")])
    events = write_events(tmp_path / "events.npy")
    return ["-m", "kept", "--input", str(events), "--seconds", "0.2", "--replicates", "2"]


def invoke(*words):
    return CliRunner().invoke(bisect.command, words, catch_exceptions=False, standalone_mode=False)


def test_the_commit_is_found_by_its_machine_code(options, monkeypatch):
    judged = []

    def judge(self, revision):
        judged.append(revision.subject)
        return Comparison(
            a="kept/moving@c2", b="kept/moving@x", metric="throughput", statistic="mean", ratio=7.5, low=7.0, high=8.0,
            margin=0.03, verdict=Verdict.SLOWER, blocks=4, replicates=2,
        )  # fmt: skip

    monkeypatch.setattr(bisect.Bench, "judge", judge)
    result = invoke("c2", "c6", "kept/moving", *options, "--json")
    assert result.return_value == Exit.FINE
    found = json.loads(result.stdout)
    assert found["found"]["subject"] == "eight times the work"
    assert judged == ["mended"], "commits of the same code were timed"
    assert found["changed_functions"] == ["kept.moving.replay_from"]
    assert found["suspects"] == []
    assert "half a thought" in result.stderr or "a comment" in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["c2", "c6", "kept"], "names no variant"),
        (["c2", "nowhere", "kept/moving"], "no revision 'nowhere'"),
        (["c6", "c2", "kept/moving"], "is no ancestor"),
        (["c2", "c2", "kept/moving"], "no commit lies between"),
        (["c0", "c6", "kept/moving"], "has no module kept"),
        (["c1", "c3", "kept/moving"], "no variant 'moving'"),
        (["c2", "c5", "kept/moving"], "invalid syntax"),
    ],
)
def test_wrong_usage(options, words, sentence):
    with pytest.raises(WorkbenchError, match=sentence):
        invoke(*words, *options)


def test_nothing_became_slower(options):
    with pytest.raises(InputError, match="the same machine code and state: no commit made it slower"):
        invoke("c2", "c3", "kept/moving", *options)


def test_a_peers_code_is_in_no_commit(options, monkeypatch):
    monkeypatch.setattr(codes, "codes_in_arms", lambda *given: ([], []))  # as it answers for a peer
    with pytest.raises(InputError, match="kept/moving is a peer's code, which no commit here changes"):
        invoke("c2", "c3", "kept/moving", *options)


@pytest.mark.parametrize("threshold", ["nan", "inf"])
def test_a_threshold_is_a_number(options, threshold):
    with pytest.raises(InputError, match=f"threshold of {threshold} % cannot be judged"):
        invoke("c2", "c3", "kept/moving", *options, "--threshold", threshold)


@pytest.mark.slow
def test_eight_times_the_work_is_timed_and_found(options):
    result = invoke("c2", "c6", "kept/moving", *options, "--threshold", "50", "--replicates", "6")
    assert result.return_value == Exit.FINE, result.stderr
    assert "eight times the work" in result.stdout and "times the cost" in result.stdout
