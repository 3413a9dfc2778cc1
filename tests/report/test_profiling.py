"""What a profiling notebook leaves: records that the store takes, all of them, and the words."""

import json

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

OUTCOME = Outcome(headline="line 3 costs <most>", findings=["kernel.py:3 takes 80 % of the time"])
PROFILES = """
from workbench.gate.outcome import Outcome
from workbench.profile.counted import Counted, Line
from workbench.report.profiling import conclude_profiles
made = [Counted(f"mine/{number}", "cpu") for number in range(12)]
for each in made:
    each.add(Line("f", "kernel.py", 3), "samples", 80.0)
conclude_profiles(made, Outcome(headline="told"))
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


def test_no_profile_and_no_folder_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="there is no profile"):
        conclude_profiles([], OUTCOME)
    with pytest.raises(InputError, match="which is no folder"):
        conclude_profiles([a_profile()], OUTCOME)


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
    (folder / "left-over.bin").write_bytes(b"of the first attempt")
    broken = "import pathlib, os\nd = pathlib.Path(os.environ['WORKBENCH_JOB_FOLDER']) / 'records'\nd.mkdir()\n"
    job = a_job(write_notebook(tmp_path / "many.ipynb", broken + "(d / '2.json').write_text('{')"))
    state = runner.run_job(job, folder, lambda folder, state: None)
    assert state.failure.kind == "bad results" and "2.json is not JSON" in state.failure.sentence
    assert not (folder / "results.json").exists() and not (folder / "left-over.bin").exists()
