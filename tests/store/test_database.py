"""The store keeps whole records, answers by kernel and machine, and says in one sentence what it cannot do."""

import datetime
import random
import resource
import signal
import sqlite3
import string

import factory
import pytest
import sqlalchemy as sa

from workbench.errors import InputError, WorkbenchError
from workbench.store import open_store
from workbench.store.steps import AcceptedStep, accept, accepted_steps


@pytest.fixture
def store(address):
    return open_store(address)


@pytest.fixture
def file(tmp_path):
    """A store that is a file: what follows about files and folders is SQLite's alone."""
    return open_store(str(tmp_path / "results.sqlite3"))


def at(day):
    return datetime.datetime(2026, 1, day, tzinfo=datetime.UTC)


def test_a_record_comes_back_whole_and_once(store):
    record = factory.run()
    assert store.add(record) == record.record_id
    store.add(record)
    assert store.runs() == [record]
    assert store.get(record.record_id[:8]) == record


def test_runs_of_two_revisions_can_be_left_out(store):
    single = factory.run(created=at(1), with_blocks=False)
    both = factory.run(speeds={"ladder@main": 40.0, "ladder@HEAD": 41.0}, created=at(2), with_blocks=False)
    for record in (single, both):
        store.add(record)
    assert store.runs("order_book") == [both, single]
    assert store.runs("order_book", 1, revisions=False) == [single]


def test_runs_are_found_by_kernel_and_machine_newest_first(store):
    old = factory.run(created=at(1), with_blocks=False)
    new = factory.run(created=at(2), with_blocks=False)
    other_kernel = factory.run("signals", created=at(3), with_blocks=False)
    other_machine = factory.run(created=at(4), hardware_key="ffff", with_blocks=False)
    for record in (new, old, other_machine, other_kernel):
        store.add(record)
    assert [run.record_id for run in store.runs("order_book")] == [r.record_id for r in (other_machine, new, old)]
    assert len(store.runs(limit=2)) == 2
    assert store.newest("order_book", "5f0c2d7e91ab") == new
    assert store.newest("order_book", "unknown") is None
    assert store.newest("positions", "5f0c2d7e91ab") is None


def test_figures_are_rows(store):
    store.add(factory.run(created=at(2), scale=2.0, with_blocks=False))
    store.add(factory.run(created=at(1), with_blocks=False))
    rows = store.results("order_book", variant="ladder", metric="service_time", statistic="p50")
    assert [row["value"] for row in rows] == [40.0, 80.0]
    assert rows[0]["hardware_key"] == "5f0c2d7e91ab"
    assert store.results("order_book", hardware_key="other") == []


def test_a_baseline_is_kept_by_name_machine_and_kernels(store):
    book, again, signals = factory.run(), factory.run(seed=2), factory.run("signals")
    elsewhere = factory.run(hardware_key="ffff")
    for record in (book, signals, elsewhere, again):
        store.save_baseline("quick", record)
    here = "5f0c2d7e91ab"
    assert store.baseline("quick", "order_book", here) == again
    assert store.baseline("quick", "signals", here) == signals
    assert store.baseline("quick", hardware_key="ffff") == elsewhere
    assert store.baseline("quick", "signals", "ffff") is None
    assert store.baseline("unknown") is None
    assert sorted(baseline.kernels for baseline in store.baselines()) == [
        ("order_book",),
        ("order_book",),
        ("signals",),
    ]
    assert book in store.runs(), "a replaced baseline stays in the history"
    with pytest.raises(InputError, match="printable"):
        store.save_baseline("a\nb", book)


def test_hostile_text_is_data(store):
    name = "x'; DROP TABLE records; --\u202e<script>"
    store.add(factory.run(name, with_blocks=False))
    assert store.runs(name)[0].results[0].kernel == name
    store.save_baseline("100%_'\"", factory.run(with_blocks=False))
    assert store.baseline("100%_'\"") is not None
    with pytest.raises(InputError, match="no record"):
        store.get("%")


def test_a_name_of_any_length_is_kept_and_found(store):
    name = "".join(random.Random(1).choices(string.ascii_letters, k=10_000))  # which no database packs into less
    record = factory.run(name, with_blocks=False)
    store.save_baseline("long", record)
    assert store.runs(name) == [record] == store.runs(name, hardware_key=record.machine.hardware_key)
    assert store.baseline("long", name) == record and store.runs(name[:-1]) == []
    step = AcceptedStep(name, None, None, None, "5f0c2d7e91ab", at(3).date(), "why", "who", at(4))
    assert [accept(store, step)] == accepted_steps(store, name)


def test_a_record_comes_back_byte_for_byte(store):
    """As PostgreSQL's jsonb it would not: that drops the order of keys and the form of numbers."""
    record = factory.run(speeds={"z": 40.0, "a": 41.0}, with_blocks=False)
    store.add(record)
    with store.transaction() as connection:
        assert connection.execute(sa.text("SELECT document FROM records")).scalar_one() == record.to_json()


def test_an_error_in_the_middle_leaves_nothing(store):
    kept, lost = factory.run(with_blocks=False), factory.run(seed=2, with_blocks=False)
    store.add(kept)
    with pytest.raises(ZeroDivisionError), store.transaction(writing=True) as connection:
        store._add(connection, lost)
        1 / 0  # noqa: B018
    assert store.runs() == [kept] and len(store.results()) == len(kept.results)


def test_an_unknown_or_ambiguous_id_is_told(store):
    store.add(factory.run(with_blocks=False))
    store.add(factory.run(with_blocks=False, seed=2))
    with pytest.raises(InputError, match="no record whose id"):
        store.get("zzzz")
    with pytest.raises(InputError, match="more than one record"):
        store.get("")


@pytest.mark.parametrize("content", [b"garbage that is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path, content):
    path = tmp_path / "results.sqlite3"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_store(str(path))
    assert str(path) in str(caught.value) and "--store" in str(caught.value)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_hold_it_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another"):
        open_store(str(tmp_path / "file" / "results.sqlite3"))
    with pytest.raises(InputError, match="cannot be opened"):
        open_store(str(tmp_path))


def test_a_read_only_database_is_told_and_can_be_read(tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = factory.run(with_blocks=False)
    file.add(record)
    path = tmp_path / "results.sqlite3"
    reader = open_store(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert reader.runs() == [record]
    with pytest.raises(InputError, match="cannot be written"):
        reader.add(factory.run(seed=2, with_blocks=False))
    assert not (tmp_path / "file:").exists(), "an address is no path: no folder of its name is made"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense://x:secret@y/z", "cannot be opened: a store is sqlite:///FILE or"),
        ("mysql+pymysql://x:secret@y/z", "cannot be opened: a store is sqlite:///FILE or"),
        ("://", "not a database URL"),
        ("postgresql://me:secret@host:port/z", "'postgresql://…' is not a database URL"),
    ],
)
def test_a_wrong_url_is_told_without_its_password(url, says):
    with pytest.raises(InputError, match=says) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_full_disk_loses_nothing(tmp_path, file):
    """A limit on file sizes is how a process meets a full disk without filling one."""
    record = factory.run(with_blocks=False)
    file.add(record)
    old_limit, old_handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (96 * 1024, old_limit[1]))
    try:
        with pytest.raises(WorkbenchError, match="was not changed because the disk"):
            for seed in range(10):
                file.add(factory.run(seed=seed))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert record in file.runs()
    file.add(factory.run(seed=50))
    check = sqlite3.connect(tmp_path / "results.sqlite3")
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_the_place_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_STORE", f"sqlite:///{tmp_path}/by-url.sqlite3")
    open_store().add(factory.run(with_blocks=False))
    assert (tmp_path / "by-url.sqlite3").is_file()
    monkeypatch.delenv("WORKBENCH_STORE")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    assert open_store().runs() == []
    assert (tmp_path / "home" / "results.sqlite3").is_file()
