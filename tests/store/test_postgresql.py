"""What only a server can do to a store: refuse, vanish. Each is told in one sentence, without the password."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import factory
import postgresql_server
import pytest

from workbench.errors import InputError, WorkbenchError
from workbench.store import open_store, postgresql
from workbench.store.bundle import Bundle, write_bundle
from workbench.store.moving import take_in

PASSWORD = postgresql_server.PASSWORD


@pytest.fixture
def url(server):
    return server.database()


def refused(url, kind=WorkbenchError):
    """Return the one sentence with which opening `url` is refused, which never holds a password."""
    with pytest.raises(kind) as caught:
        open_store(url)
    told = str(caught.value)
    assert type(caught.value) is kind and "\n" not in told
    assert PASSWORD not in told and quote(PASSWORD, safe="") not in told and "wr0ng" not in told
    return told


def test_a_plain_address_means_the_driver_that_is_there(url):
    record = factory.run(with_blocks=False)
    open_store(url.replace("postgresql+psycopg", "postgresql")).add(record)
    store = open_store(url)
    assert store.runs() == [record]
    assert store.where == f"postgresql+psycopg://workbench:***@{url.rpartition('@')[2]}"


@pytest.mark.parametrize(
    ("database", "changes", "says"),
    [
        ("postgres", {"password": "wr0ng"}, "refused the password, or the user: correct the address"),
        ("postgres", {"user": "nobody-of-that-name"}, "refused the password, or the user: correct the address"),
        ("absent", {}, "names a database or user that is not there: make it by `createdb`"),
        ("postgres?password=wr0ng", {}, "refused the password"),
        ("postgres?nonsense=wr0ng", {}, 'cannot be used (invalid connection option "nonsense")'),
        ("postgres?sslmode=verify-full&sslpassword=wr0ng", {}, "cannot be used"),
    ],
)
def test_what_the_server_refuses_is_the_persons_to_correct(server, database, changes, says):
    kind = WorkbenchError if "?nonsense" in database or "sslmode" in database else InputError
    assert says in refused(server.url(database, **changes), kind)


def test_a_host_that_is_not_there_is_told(server):
    url = server.url("postgres").replace("127.0.0.1", "no-such-host.invalid")
    assert "names a host that cannot be found" in refused(url, InputError)


def test_a_server_that_does_not_answer_is_told(server):
    assert "does not answer: start the server, or correct host and port" in refused(server.url("postgres", port=1))
    silent = f"{server.url('postgres')}?host=/nonexistent"
    assert "does not answer" in refused(silent)


def test_who_may_only_read_is_told_and_can_read(server, url):
    record = factory.run(with_blocks=False)
    open_store(url).add(record)
    database = url.rpartition("/")[2]
    server.run(f"CREATE ROLE {database}_reader LOGIN PASSWORD 'wr0ng'")
    server.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {database}_reader", database)
    reader = open_store(server.url(database, user=f"{database}_reader", password="wr0ng"))
    assert reader.runs() == [record]
    with pytest.raises(InputError, match="may only be read with this address"):
        reader.add(factory.run(seed=2, with_blocks=False))
    empty = server.database().rpartition("/")[2]
    assert "may only be read" in refused(server.url(empty, user=f"{database}_reader", password="wr0ng"), InputError)


def cut(server, url):
    """End every connection to the database, as a server that is stopped or a network that fails."""
    database = url.rpartition("/")[2]
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")


LOST = "was left in the middle by its server or the network: what was being written is there whole or not at all"


def test_a_connection_lost_in_the_middle_leaves_nothing_half_written(server, url):
    store = open_store(url)
    kept = factory.run(with_blocks=False)
    store.add(kept)
    records = [factory.run(seed=seed, with_blocks=False) for seed in (2, 3)]

    def lost_after_the_first():
        yield records[0]
        cut(server, url)
        yield records[1]

    with pytest.raises(WorkbenchError, match=LOST):
        take_in(store, lost_after_the_first())
    assert store.runs() == [kept] and len(store.results()) == len(kept.results)
    with pytest.raises(WorkbenchError, match=LOST), store.transaction(writing=True) as connection:
        store._add(connection, records[0])
        cut(server, url)  # and then comes the commit
    assert store.runs() == [kept]
    assert take_in(store, records)[0] == [record.record_id for record in records], "and then it is done again"


def test_a_writer_that_falls_silent_holds_nobody_up(server, url, monkeypatch):
    """As one whose machine was cut off: the server waits for it no longer than `GONE_TIMEOUT_S`."""
    monkeypatch.setattr(postgresql, "GONE_TIMEOUT_S", 0.2)
    store = open_store(url)
    record = factory.run(with_blocks=False)
    silent = store.transaction(writing=True)
    store._add(silent.__enter__(), factory.run(seed=2, with_blocks=False))
    store.add(record)  # waits until the server has given the other up
    with pytest.raises(WorkbenchError, match=LOST):
        silent.__exit__(None, None, None)
    assert store.runs() == [record]


def test_a_process_that_is_killed_while_it_writes_leaves_nothing(url):
    store = open_store(url)
    program = (
        "import os, signal, sys\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "import factory\n"
        "from workbench.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "with store.transaction(writing=True) as connection:\n"
        "    store._add(connection, factory.run(with_blocks=False))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    assert subprocess.run([sys.executable, "-c", program, url, tests], timeout=240).returncode == -9
    store.add(record := factory.run(seed=2, with_blocks=False))
    assert store.runs() == [record]


def test_a_database_for_few_letters_refuses_the_others_whole(server):
    store = open_store(server.database(encoding="LATIN1"))
    with pytest.raises(WorkbenchError, match="was made for other letters"):
        store.add(factory.run("\u202e<script>", with_blocks=False))
    assert store.runs() == [] and store.results() == []


def test_a_name_with_a_zero_byte_is_refused_whole(url):
    store = open_store(url)
    with pytest.raises(WorkbenchError, match=r"refused the record and was not changed .*NUL"):
        store.add(factory.run("a\x00b", with_blocks=False))
    assert store.runs() == []


@pytest.mark.parametrize("way", ["to", "from"])
def test_records_and_baselines_go_from_one_kind_of_database_to_the_other(url, tmp_path, way):
    addresses = [str(tmp_path / "results.sqlite3"), url][:: 1 if way == "to" else -1]
    source, target = (open_store(address) for address in addresses)
    records = [factory.run(seed=1), factory.loaded(), factory.run("signals", seed=3, with_blocks=False)]
    for record in records:
        source.add(record)
    source.save_baseline("monday'; DROP TABLE records", records[0])
    write_bundle(tmp_path / "all.wbz", source.runs(), source.baselines())
    with Bundle(tmp_path / "all.wbz") as bundle:
        new, taken = take_in(target, bundle.records(), bundle.baselines())
    assert (len(new), taken) == (3, [])
    assert target.runs() == source.runs() and target.baselines() == source.baselines()
    assert target.results() == source.results()
    write_bundle(tmp_path / "again.wbz", target.runs(), target.baselines())
    with Bundle(tmp_path / "all.wbz") as first, Bundle(tmp_path / "again.wbz") as again:
        assert first.manifest.members == again.manifest.members


def test_without_the_driver_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"cannot be opened: install kernel-workbench\[postgres\]"):
        open_store("postgresql://somebody@localhost/store")


def test_a_server_that_was_busy_for_a_moment_is_asked_once_more(url, monkeypatch):
    import psycopg

    store = open_store(url)
    connect, failures = psycopg.connect, 1

    def late(*words, **named):
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise psycopg.errors.ConnectionTimeout("connection timeout expired")
        return connect(*words, **named)

    monkeypatch.setattr(psycopg, "connect", late)
    assert store.runs() == []
    failures = 2
    with pytest.raises(WorkbenchError, match="does not answer"):
        store.runs()
