"""What a profiling notebook leaves: records that the store takes, all of them, and the words."""

import json
from pathlib import Path

import factory
import pytest
from tiny_notebook import a_job, write_notebook

from workbench.batch import runner
from workbench.batch.ingest import ingest
from workbench.batch.job import record_files
from workbench.errors import InputError
from workbench.gate.outcome import Outcome
from workbench.profile.counted import Counted, Line
from workbench.record import read
from workbench.report.profiling import conclude_profiles
from workbench.store import open_store
from workbench.store.bundle import Bundle, write_bundle

OUTCOME = Outcome(headline="line 3 costs <most>", findings=["kernel.py:3 takes 80 % of the time"])
PROFILES = """
import os
from pathlib import Path
from workbench.gate.outcome import Outcome
from workbench.profile.counted import Counted, Line
from workbench.report.profiling import conclude_profiles
made = [Counted(f"mine/{number}", "cpu") for number in range(12)]
for each in made:
    each.add(Line("f", "kernel.py", 3), "samples", 80.0)
conclude_profiles(made, Outcome(headline="told"))
(Path(os.environ["WORKBENCH_JOB_FOLDER"]) / "left-over.bin").write_bytes(b"of the first attempt")
"""


def a_profile():
    profile = Counted("mine/fast", "cpu", overhead={"slowdown_percent": 1.0})
    profile.add(Line("f", "kernel.py", 3), "samples", 80.0)
    return profile


def test_the_first_record_is_the_results_and_the_others_lie_beside_it(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path))
    run = factory.run(with_blocks=False)
    words = conclude_profiles([a_profile(), run], OUTCOME)
    assert "&lt;most&gt;" in words._repr_html_() and "80 %" in str(words)
    first, second = map(read, record_files(tmp_path))
    assert (first.kind, first.variant, first.overhead) == ("profile", "mine/fast", {"slowdown_percent": 1.0})
    assert second == run
    assert json.loads((tmp_path / "outcome.json").read_text())["headline"] == OUTCOME.headline


def test_by_hand_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_JOB_FOLDER", raising=False)
    monkeypatch.chdir(tmp_path)
    assert str(conclude_profiles([a_profile()], OUTCOME)).startswith(OUTCOME.headline)
    assert not list(tmp_path.iterdir())


def test_without_a_profile_the_words_alone_are_written(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path))
    assert str(conclude_profiles([], OUTCOME)).startswith(OUTCOME.headline)
    assert [path.name for path in tmp_path.iterdir()] == ["outcome.json"]
    assert json.loads((tmp_path / "outcome.json").read_text())["findings"] == OUTCOME.findings


def test_a_folder_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path / "gone"))
    for profiles in ([], [a_profile()]):
        with pytest.raises(InputError, match="which is no folder"):
            conclude_profiles(profiles, OUTCOME)


def test_artefacts_are_named_from_the_folder_that_moves_and_the_store_knows_where_they_are(tmp_path, monkeypatch):
    scratch, folder, elsewhere = tmp_path / ".attempt-1", tmp_path / "job", tmp_path / "raw.txt"
    (scratch / "profiles").mkdir(parents=True)
    (scratch / "profiles" / "mine.svg").write_text("<svg/>")
    elsewhere.write_text("raw")
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(scratch))
    profile = a_profile()
    profile.artefacts = [str(scratch / "profiles" / "mine.svg"), str(elsewhere)]
    conclude_profiles([profile], OUTCOME)
    scratch.rename(folder)
    assert read(folder / "results.json").artefacts == ["profiles/mine.svg", str(elsewhere)]
    monkeypatch.chdir(tmp_path)
    store = open_store(str(tmp_path / "s.sqlite3"))
    kept = store.get(ingest(Path("job"), store).record_id)
    assert kept.artefacts == [str(folder / "profiles" / "mine.svg"), str(elsewhere)]
    write_bundle(tmp_path / "b.zip", [kept])
    with Bundle(tmp_path / "b.zip") as bundle:
        names = bundle.artefacts()
        assert [bundle.read(name) for name in names] == [b"<svg/>", b"raw"]


@pytest.mark.notebook
def test_the_runner_keeps_every_record_in_order_and_a_new_attempt_begins_with_none(tmp_path):
    folder, store = tmp_path / "job", open_store(str(tmp_path / "s.sqlite3"))
    job = a_job(write_notebook(tmp_path / "many.ipynb", PROFILES))
    assert runner.run_job(job, folder, lambda folder, state: None).status == "finished"
    files = record_files(folder)
    assert [path.name for path in files] == ["results.json", *(f"{number}.json" for number in range(2, 13))]
    assert [read(path).variant for path in files] == [f"mine/{number}" for number in range(12)]
    assert ingest(folder, store).variant == "mine/0"
    assert ingest(folder, store).variant == "mine/0"
    assert [store.get(read(path).record_id) for path in files] == [read(path) for path in files]
    (folder / "records" / "2.json").write_text("{")
    assert (folder / "left-over.bin").is_file()
    broken = "import pathlib, os\nd = pathlib.Path(os.environ['WORKBENCH_JOB_FOLDER']) / 'records'\nd.mkdir()\n"
    job = a_job(write_notebook(tmp_path / "many.ipynb", broken + "(d / '2.json').write_text('{')"))
    state = runner.run_job(job, folder, lambda folder, state: None)
    assert state.failure.kind == "bad results" and "2.json is not JSON" in state.failure.sentence
    assert not (folder / "results.json").exists() and not (folder / "left-over.bin").exists()
