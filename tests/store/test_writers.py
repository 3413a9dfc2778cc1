"""Several writers at once, in processes of their own: nothing is lost, nobody waits for ever, both databases."""

import subprocess
import sys
from pathlib import Path

import factory
import pytest
import sqlalchemy as sa

from workbench.errors import WorkbenchError
from workbench.store import open_store, postgresql, sqlite
from workbench.store.steps import accepted_steps

WRITER = Path(__file__).with_name("writer.py")


def write_at_once(address, names, number):
    """Let a writer for each of `names` write `number` records, begun at the same moment; return the store."""
    writers = [
        subprocess.Popen(
            [sys.executable, str(WRITER), address, name, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n", writer.communicate()[1]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=400)
        assert writer.returncode == 0 and not errors, errors
    return open_store(address)


@pytest.mark.parametrize("number", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_two_writers_at_once_lose_nothing(address, number):
    """The database is empty at first, so the two also make its tables at once."""
    store = write_at_once(address, ("a", "b"), number)
    hosts = [run.machine.host for run in store.runs(limit=None)]
    assert sorted(hosts) == sorted(f"{name}-{place}" for name in ("a", "b") for place in range(number))
    assert len(store.results()) == 2 * number * len(factory.run(with_blocks=False).results)
    told = {(step.accepted_by, step.reason) for step in accepted_steps(store, "order_book")}
    named = {(name, str(place)) for name in ("a", "b") for place in range(0, number, 4)}
    assert told == named
    pinned, *others = sorted(store.baselines(), key=lambda each: each.name != "pinned")
    assert store.get(pinned.record_id).machine.host in {f"{name}-{place}" for name, place in named}
    assert {tuple(each.name.split()) for each in others} == named


def hold(address):
    """Return a connection past the store that writes and does not end."""
    if "://" not in address:
        connection = sa.create_engine(f"sqlite:///{address}", poolclass=sa.NullPool).connect()
        connection.connection.driver_connection.isolation_level = None
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return connection
    connection = sa.create_engine(address, poolclass=sa.NullPool).connect()
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({postgresql.WRITER_LOCK})")
    return connection


def test_who_waits_too_long_is_told_and_nothing_is_changed(address, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(postgresql, "BUSY_TIMEOUT_S", 0.2)
    record = factory.run(with_blocks=False)
    store = open_store(address)
    other = hold(address)
    try:
        assert store.runs() == [], "who reads does not wait for who writes"
        with pytest.raises(WorkbenchError, match="was in use by another program for 30 s: run again"):
            store.add(record)
        assert store.runs() == []
    finally:
        other.close()
    store.add(record)
    assert store.runs() == [record]
