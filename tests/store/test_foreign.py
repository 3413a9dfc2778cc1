"""What a foreign store or bundle holds is told in one sentence, whatever it is."""

import datetime
import json
import threading

import factory
import pytest
import sqlalchemy as sa

from workbench import record
from workbench.errors import InputError, WorkbenchError
from workbench.store import migrations, open_store, steps
from workbench.store.moving import heads, take_in

DEEP = "[" * 100_000


@pytest.fixture
def store(address):
    return open_store(address)


def changed(**fields):
    """Return a run of which a few fields were changed, as text."""
    return json.dumps({**json.loads(factory.run(with_blocks=False).to_json()), **fields})


def with_samples(count):
    document = json.loads(factory.run(with_blocks=False).to_json())
    document["results"][0]["samples"] = count
    return json.dumps(document)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (with_samples(2**70), "field results.0.samples is wrong"),
        (with_samples(-(2**63) - 1), "field results.0.samples is wrong"),
        (changed(record_id="\ud800"), "is no Unicode"),
        (changed(notes=["\ud83d\ude00 \udc00"]), "is no Unicode"),
        (b'{"schema": "\xed\xa0\x80"}', "is no Unicode"),
        (changed(created="0001-01-01T00:00:00+14:00"), "field created is wrong: .*years 1 to 9999"),
        (changed(created="2026-01-05T01:00:00"), "field created is wrong"),
        (changed(duration_s=float("nan")), "field duration_s is wrong"),
        (DEEP, "is nested deeper"),
    ],
)
def test_a_record_that_no_store_takes_is_refused_when_it_is_read(document, says):
    with pytest.raises(record.RecordError, match=says):
        record.from_json(document, "theirs")


def test_the_largest_count_and_the_first_moment_are_kept(store):
    first = changed(created="0001-01-01T00:00:00+00:00")
    for document in (with_samples(2**63 - 1), first, changed(notes=["\U0001f600"])):
        kept = record.from_json(document)
        store.add(kept)
        assert store.get(kept.record_id) == kept


def nested(depth):
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize("line", ["\ud800", nested(600)])
def test_what_cannot_be_written_again_is_told(store, line):
    profile = record.ProfileRecord(
        machine=factory.machine(), variant="a/b", profile_kind="cpu", results=[{"line": line}]
    )
    with pytest.raises(InputError, match="cannot be kept") as caught:
        store.add(profile)
    assert "\n" not in str(caught.value) and heads(store) == []


def test_text_that_no_database_takes_is_told(store):
    with pytest.raises(InputError):
        store.get("\ud800")
    with pytest.raises(WorkbenchError):
        store.results("\ud800")


def spoiled(store, column, value):
    with store.transaction(writing=True) as connection:
        connection.execute(sa.text(f"UPDATE records SET {column} = :value"), {"value": value})


def test_a_moment_that_is_none_is_told(store):
    store.save_baseline("monday", factory.run(with_blocks=False))
    spoiled(store, "created", "yesterday")
    for read in (lambda: heads(store), lambda: steps.rows_of(store, "order_book")):
        with pytest.raises(WorkbenchError, match="has 'yesterday' where a moment is due"):
            read()
    with store.transaction(writing=True) as connection:
        connection.execute(sa.text("UPDATE baselines SET saved = 'monday'"))
    with pytest.raises(WorkbenchError, match="has 'monday' where a moment is due"):
        store.baselines()


def test_an_accepted_step_of_no_night_is_told(store):
    now = datetime.datetime.now(datetime.UTC)
    steps.accept(store, steps.AcceptedStep("book", None, None, None, "5f0c2d7e91ab", now.date(), "why", "who", now))
    with store.transaction(writing=True) as connection:
        connection.execute(sa.text("UPDATE accepted_steps SET night = 'the first'"))
    with pytest.raises(WorkbenchError, match="has 'the first' where a moment is due"):
        steps.accepted_steps(store, "book")


@pytest.mark.parametrize("document", ["no JSON", "[]", "{}", DEEP, '{"results": 1}', '{"machine": {}, "results": []}'])
def test_a_first_version_whose_documents_are_odd_is_told_and_left_as_it_is(address, document):
    engine = sa.create_engine(address if "://" in address else f"sqlite:///{address}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        migrations.migrate(connection, "test", newest=1)
        connection.execute(
            sa.text("INSERT INTO records VALUES ('a', 'run', '2026-01-05', 'k', 'h', NULL, :document)"),
            {"document": document},
        )
    with pytest.raises(InputError, match="holds a record that cannot be read on the way to version"):
        open_store(address)
    with engine.connect() as connection:
        assert migrations.version_of(connection) == 1
    engine.dispose()


def test_a_deeply_nested_document_is_told(store):
    run = factory.run(with_blocks=False)
    store.add(run)
    spoiled(store, "document", DEEP)
    with pytest.raises(WorkbenchError, match=f"record {run.record_id} of .* is nested deeper"):
        store.get(run.record_id)


def test_a_full_id_finds_its_record_beside_a_longer_one(store):
    run = factory.run(with_blocks=False)
    longer = run.model_copy(update={"record_id": f"{run.record_id}x"})
    for each in (run, longer):
        store.add(each)
    assert store.get(run.record_id) == run and store.get(longer.record_id) == longer
    with pytest.raises(InputError, match="more than one"):
        store.get(run.record_id[:-1])


def test_the_beginning_of_an_id_is_exact(store):
    kept = [
        factory.run(with_blocks=False).model_copy(update={"record_id": name}) for name in ("abC1", "ABc2", "a_b", "é")
    ]
    for each in kept:
        store.add(each)
    assert store.get("abC") == kept[0] and store.get("ABc") == kept[1] and store.get("é") == kept[3]
    for unknown in ("abc", "a%", "_", "A_"):
        with pytest.raises(InputError, match="no record"):
            store.get(unknown)


@pytest.mark.parametrize(
    "changes", [{"hardware_key": "ffffffffffff"}, {"kernels": ("signals",)}, {"record_id": "gone"}]
)
def test_a_baseline_that_is_none_of_its_record_s_is_refused(store, tmp_path, changes):
    source = open_store(str(tmp_path / "theirs.sqlite3"))
    run = factory.run(with_blocks=False)
    source.save_baseline("monday", run)
    (own,) = source.baselines()
    forged = type(own)(**{**vars(own), **changes})
    with pytest.raises(InputError, match="names another machine or other kernels than its record"):
        take_in(store, [run], [forged])
    assert store.runs() == [] and store.baselines() == []
    assert take_in(store, [run], [own]) == ([run.record_id], []) and store.baselines() == [own]


def test_a_baseline_is_saved_where_there_is_none(store):
    first, second = factory.run(with_blocks=False), factory.run(seed=2, with_blocks=False)
    other = factory.run("signals", with_blocks=False)
    elsewhere = factory.run(with_blocks=False, hardware_key="ffffffffffff")
    assert store.save_baseline("nightly", first, if_absent=True)
    assert not store.save_baseline("nightly", second, if_absent=True)
    assert store.baseline("nightly", "order_book", first.machine.hardware_key) == first
    assert store.get(second.record_id) == second, "it is kept all the same"
    assert store.save_baseline("nightly", other, if_absent=True)
    assert store.save_baseline("nightly", elsewhere, if_absent=True)
    assert store.save_baseline("nightly", second) and store.baseline("nightly", "order_book") is not None


def test_of_many_that_save_at_once_one_does(address):
    runs = [factory.run(seed=seed, with_blocks=False) for seed in range(6)]
    stores = [open_store(address) for _ in runs]
    begin, saved = threading.Barrier(len(runs)), []

    def save(store, run):
        begin.wait()
        saved.append((store.save_baseline("nightly", run, if_absent=True), run))

    threads = [threading.Thread(target=save, args=each) for each in zip(stores, runs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [run for done, run in saved if done]
    assert stores[0].baseline("nightly", "order_book") == winner
