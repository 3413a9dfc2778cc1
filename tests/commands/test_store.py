"""Records in and out by the command line."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench import record
from workbench.commands.store import command
from workbench.errors import Exit, InputError
from workbench.store import open_store
from workbench.store.bundle import Bundle

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WORKBENCH_STORE", raising=False)


def invoke(*words):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


def test_from_one_store_to_another(tmp_path):
    old, new = factory.run(seed=1, with_blocks=False), factory.run("signals", seed=2, with_blocks=False)
    open_store().add(old)
    open_store().save_baseline("monday", new)
    assert "2 records" in invoke("list").output
    told = invoke("export", new.record_id[:10], "--baselines", "-o", tmp_path / "bundle.wbz").output
    assert told.startswith("wrote 1 record and 1 baseline to ")
    elsewhere = str(tmp_path / "elsewhere.sqlite3")
    told = invoke("import", tmp_path / "bundle.wbz", "--store", elsewhere).output
    assert told.startswith("took in 1 of 1 record, 0 were there already") and "left out 1 baseline" in told
    assert open_store(elsewhere).runs() == [new]
    assert open_store(elsewhere).baseline("monday") is None
    assert "took in 0 of 1" in invoke("import", tmp_path / "bundle.wbz", "--baselines", "--store", elsewhere).output
    assert open_store(elsewhere).baseline("monday") == new


def test_what_is_exported(tmp_path):
    runs = [factory.run(seed=seed, with_blocks=False) for seed in (1, 2, 3)]
    for run in runs:
        open_store().add(run)
    open_store().save_baseline("monday", runs[0])
    out = tmp_path / "bundle.wbz"

    def exported(*words):
        invoke("export", *words, "-o", out)
        store = str(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite3")
        invoke("import", out, "--store", store)
        return {run.record_id for run in open_store(store).runs()}

    assert exported("--all") == {run.record_id for run in runs}
    assert exported("--newest", "order_book") == {runs[2].record_id}
    assert exported("--baselines") == {runs[0].record_id}
    for words, sentence in (
        (["--all", "--newest", "order_book"], "leave the others away"),
        (["--newest", "signals"], "no run of 'signals'"),
        (["zzzz"], "no record whose id begins"),
        ([], "no record to export"),
    ):
        with pytest.raises(InputError, match=sentence):
            invoke("export", *words, "-o", tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_artefacts_are_laid_into_the_data_folder(tmp_path):
    (tmp_path / "lines.html").write_text("lines")
    profile = record.ProfileRecord(
        machine=factory.machine(), variant="a/b", profile_kind="cpu", artefacts=[str(tmp_path / "lines.html")]
    )
    open_store().add(profile)
    invoke("export", profile.record_id, "-o", tmp_path / "bundle")
    told = invoke("import", tmp_path / "bundle", "--store", tmp_path / "other.sqlite3").output
    assert (tmp_path / "home" / "artefacts" / profile.record_id / "lines.html").read_text() == "lines"
    assert "artefacts of profiles lie in" in told


def test_an_artefact_that_is_there_stays_as_it_is_and_one_that_is_gone_comes_back(tmp_path):
    (tmp_path / "lines.html").write_text("lines")
    profile = record.ProfileRecord(
        machine=factory.machine(), variant="a/b", profile_kind="cpu", artefacts=[str(tmp_path / "lines.html")]
    )
    open_store().add(profile)
    invoke("export", profile.record_id, "-o", tmp_path / "bundle")
    here = tmp_path / "home" / "artefacts" / profile.record_id / "lines.html"
    here.parent.mkdir(parents=True)
    here.write_text("with my notes")
    assert "took in 0 of 1" in invoke("import", tmp_path / "bundle").output
    assert here.read_text() == "with my notes"
    here.unlink()
    invoke("import", tmp_path / "bundle")
    assert here.read_text() == "lines"


def test_a_path_that_a_foreign_record_names_is_never_read(tmp_path, monkeypatch):
    mine = tmp_path / "id_rsa"
    theirs = tmp_path / "lines.html"
    theirs.write_text("lines")
    profiles = [
        record.ProfileRecord(machine=factory.machine(), variant="a/b", profile_kind="cpu", artefacts=[str(mine), *more])
        for more in ([], [str(theirs)])
    ]
    for profile in profiles:
        open_store().add(profile)
    invoke("export", "--all", "-o", tmp_path / "bundle")
    mine.write_text("secret")  # on the machine of whoever imports it
    theirs.unlink()
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "other-home"))
    invoke("import", tmp_path / "bundle")
    assert "took in 0 of 2" in invoke("import", tmp_path / "bundle").output
    invoke("export", "--all", "-o", tmp_path / "again")
    with Bundle(tmp_path / "again") as bundle:
        assert bundle.artefacts() == [f"artefacts/{profiles[1].record_id}/lines.html"]
        assert bundle.read(bundle.artefacts()[0]) == b"lines"
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    assert "took in 0 of 2" in invoke("import", tmp_path / "again").output, "at home it is the same record"


def test_the_list_as_json_and_of_an_empty_store():
    assert "holds no such record" in invoke("list").output
    run = factory.run(with_blocks=False)
    open_store().save_baseline("monday", run)
    (row,) = json.loads(invoke("list", "--json").output)["results"]
    assert (row["record_id"], row["kernel"], row["baselines"]) == (run.record_id, "order_book", ["monday"])


def test_garbage_is_wrong_usage_and_changes_nothing(tmp_path):
    (tmp_path / "garbage").write_text("no bundle")
    with pytest.raises(InputError, match="no bundle") as caught:
        invoke("import", tmp_path / "garbage")
    assert caught.value.exit_code is Exit.USAGE
    assert not (tmp_path / "home").exists()
