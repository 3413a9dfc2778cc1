import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.commands import _revisions
from workbench.commands._revisions import as_revisions, exit_of
from workbench.commands.compare import command
from workbench.errors import Exit, InputError
from workbench.measure import codes
from workbench.measure.codes import VariantCode
from workbench.measure.turns_job import Code
from workbench.record import Comparison, Verdict
from workbench.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
from git_repository import git, make_repository, write_events


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("compare") / "repository")


@pytest.fixture
def options(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "timing.lock"))
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(repository / "src")
    events = write_events(tmp_path / "events.npy")
    return ["-m", "kept", "--input", str(events), "--seconds", "0.2", "--replicates", "2"]


def invoke(*words):
    return CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)


def test_only_what_changed_is_timed_and_saved(options, repository):
    result = invoke("c3", "c4", *options, "--json")
    found = json.loads(result.stdout)
    assert {each["variant"]: each["same"] for each in found["code"]} == {"kept/steady": True, "kept/moving": False}
    assert [each["commit"] for each in found["revisions"]] == [
        git(repository, "rev-parse", name) for name in ("c3", "c4")
    ]
    assert {(row["a"], row["b"]) for row in found["run"]["comparisons"]} == {("kept/moving@c3", "kept/moving@c4")}
    throughput = next(row for row in found["run"]["comparisons"] if row["metric"] == "throughput")
    assert throughput["ratio"] > 1, "eight times the work was timed as less"
    saved = open_store().get(found["run"]["record_id"])
    assert any("eight times the work" in note and note.startswith("c3 is") for note in saved.notes)
    assert result.return_value in (Exit.REGRESSION, Exit.UNRESOLVED)


def test_no_code_change_is_told_without_timing(options):
    result = invoke("c2", "c3", "-k", "kept/moving", *options)
    assert "no code change: kept/moving" in result.stdout and "B / A" not in result.stdout
    assert result.return_value == Exit.FINE


def test_what_is_broken_is_told(options):
    result = invoke("c2", "c1", *options)
    assert "kept/moving is in c2 alone" in result.stdout and "no code change: kept/steady" in result.stdout
    with pytest.raises(InputError, match=r"c5: .*invalid syntax"):
        invoke("c4", "c5", *options)


def test_nothing_compared_is_no_pass(options, monkeypatch):
    failing = VariantCode("kept/steady", (Code(failure="no memory"), Code(failure="no memory")))
    alone = VariantCode("kept/moving", (None, Code()))
    monkeypatch.setattr(codes, "codes_in_arms", lambda *given: ([failing, alone], []))
    with pytest.raises(InputError, match=r"nothing can be compared: .*kept/steady cannot be .* no memory; kept/moving"):
        invoke("c2", "c3", *options)
    with pytest.raises(InputError, match="nothing can be compared"):
        invoke("c2", "c3", "--json", *options)
    broken = VariantCode("kept/steady", (Code(hash="1"), Code(failure="no memory")))
    monkeypatch.setattr(codes, "codes_in_arms", lambda *given: ([broken], []))
    assert invoke("c2", "c3", *options).return_value == Exit.FAILED


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["c2", "nowhere"], "there is no revision 'nowhere'"),
        (["c2", "kept/moving"], "c2 is a git revision and kept/moving is none"),
        (["c0", "c2"], "has no module kept"),
        (["nowhere", "neither"], "names no kernel, and no git revision"),
        (["c2", "c3", "--readers", "1"], "compared without readers"),
    ],
)
def test_wrong_usage(options, words, sentence):
    with pytest.raises(InputError, match=sentence):
        invoke(*words, *options)


def test_a_name_that_could_be_both(options, repository):
    git(repository, "branch", "--force", "steady", "c2")
    git(repository, "branch", "--force", "kept/moving", "c2")
    asked, note = as_revisions("steady", "moving", ["kept"], ["kept"])
    assert asked is None and note.startswith("steady is taken as a variant")
    asked, note = as_revisions("kept/steady", "kept/moving", [], ["kept"])
    assert asked is None and note.startswith("kept/moving is taken as a variant")
    asked, note = as_revisions("c2", "steady", ["kept"], ["kept"])
    assert asked.b.subject == "a second variant" and note.startswith("steady is taken as a git revision")
    assert as_revisions("c2", ".", [], ["kept"])[0].b.commit is None


def test_all_is_for_revisions():
    with pytest.raises(InputError, match="--all is for revisions"):
        invoke("toy/a", "toy/b", "--all")
    with pytest.raises(InputError, match="beside variants, give one -k KERNEL"):
        invoke("a", "b", "-k", "toy", "-k", "toys")


def test_what_decides():
    row = Comparison(
        a="k/v@a", b="k/v@b", metric="throughput", statistic="mean", ratio=1.2, low=1.1, high=1.3, margin=0.03,
        verdict=Verdict.SLOWER, blocks=4, replicates=2,
    )  # fmt: skip
    assert exit_of([row], ["mean"], broken=False) == Exit.REGRESSION
    assert exit_of([row], ["p99"], broken=False) == Exit.UNRESOLVED
    assert exit_of([], ["mean"], broken=False) == Exit.FINE
    assert exit_of([row], ["mean"], broken=True) == Exit.FAILED
    excused = _revisions._excused(row)
    assert excused.verdict is Verdict.ENVIRONMENT_INVALID and "machine code is the same" in excused.reason
    unsure = row.model_copy(update={"verdict": Verdict.UNRESOLVED})
    assert _revisions._excused(unsure) is unsure
