"""What a finished job leaves in the store."""

import factory

from workbench.batch.ingest import ingest
from workbench.gate.outcome import Outcome, write_outcome
from workbench.store import open_store


def finished(folder, run):
    folder.mkdir()
    (folder / "results.json").write_text(run.to_json())
    write_outcome(folder, Outcome(headline="told", save_baseline="nightly"))
    return folder


def test_the_first_night_becomes_the_baseline_and_stays_it(tmp_path):
    store = open_store(str(tmp_path / "s.sqlite3"))
    first, second = factory.run(with_blocks=False), factory.run(seed=2, with_blocks=False)
    for name, run in (("monday", first), ("tuesday", second)):
        assert ingest(finished(tmp_path / name, run), store) == run
    assert store.baseline("nightly", "order_book") == first
    assert {run.record_id for run in store.runs()} == {first.record_id, second.record_id}


def test_another_process_that_saved_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    """Between a question of its own and the saving, another batch may have saved: so it must not ask by itself."""
    store = open_store(str(tmp_path / "s.sqlite3"))
    theirs, mine = factory.run(with_blocks=False), factory.run(seed=2, with_blocks=False)
    store.save_baseline("nightly", theirs)
    monkeypatch.setattr(store, "baseline", lambda *_: None)  # what it would have heard a moment before
    ingest(finished(tmp_path / "night", mine), store)
    monkeypatch.undo()
    assert store.baseline("nightly", "order_book") == theirs
