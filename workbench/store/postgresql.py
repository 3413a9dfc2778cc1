"""PostgreSQL as a store: how a connection is prepared, one writer at a time, and what its refusals mean.

A record is text here as in SQLite, not ``jsonb``: it comes back byte for byte as it was written, and nothing asks for
what is inside it, because the figures stand in rows of their own.
"""

from __future__ import annotations

import contextlib
from typing import Any

import sqlalchemy as sa

from workbench.errors import WorkbenchError
from workbench.store.sentences import DISK_FULL, LOCKED, Sentence

DRIVER = "postgresql+psycopg"
BUSY_TIMEOUT_S = 30.0  # how long a writer waits for another one; a write takes milliseconds
GONE_TIMEOUT_S = 120.0  # after which the server gives up a writer of which it hears nothing: its machine may be gone
WRITER_LOCK = 0x6B65726E_776F726B  # any number that no other program takes for an advisory lock; "kernwork"

# libpq's, where the URL does not say otherwise. A server whose machine is gone is noticed after about a minute.
_LIBPQ = {
    "connect_timeout": "10",  # s
    "keepalives_idle": "30",  # s
    "keepalives_interval": "10",  # s
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # ms
    "application_name": "workbench",
    "client_encoding": "utf8",
}


def engine(address: sa.URL) -> sa.Engine:
    """Return an engine for `address`, whose driver is psycopg. Raises ImportError without it."""
    said = {name: value for name, value in _LIBPQ.items() if name not in address.query}
    made = sa.create_engine(address, connect_args=said, isolation_level="READ COMMITTED", poolclass=sa.NullPool)
    sa.event.listen(made, "begin", _begin)
    sa.event.listen(made, "do_connect", _connect)
    return made


def _connect(dialect: sa.Dialect, _record: Any, words: list[Any], named: dict[str, Any]) -> Any:
    """Try once more where time ran out: a server, or this machine, that slept or was busy for a moment."""
    import psycopg

    with contextlib.suppress(psycopg.errors.ConnectionTimeout):
        return dialect.connect(*words, **named)
    return dialect.connect(*words, **named)


def _begin(connection: sa.Connection) -> None:
    """Let a writer wait for its turn, as in SQLite: one at a time writes, so that two can never wait for each other.

    The isolation is "read committed", so what the writer before has written is seen after the wait.
    """
    if connection.get_execution_options().get("writing", False):
        connection.exec_driver_sql(
            f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_S * 1e3:.0f}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {GONE_TIMEOUT_S * 1e3:.0f}"
        )
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


# In this order: a server that goes away while it is asked says several of these things.
SENTENCES: tuple[Sentence, ...] = (
    Sentence(
        "refused the password, or the user: correct the address given with --store or WORKBENCH_STORE, or ~/.pgpass",
        (
            "password authentication failed",
            "no password supplied",
            "no pg_hba.conf entry",
            "peer authentication failed",
        ),
        ("28",),
    ),
    Sentence(
        "names a database or user that is not there: make it by `createdb` or `createuser`, or correct the address",
        ('" does not exist',),
        ("3D000",),
    ),
    Sentence(
        "names a host that cannot be found: correct the address given with --store or WORKBENCH_STORE",
        ("failed to resolve host", "could not translate host name", "name or service not known"),
    ),
    Sentence(
        "does not answer: start the server, or correct host and port",
        ("connection refused", "timeout expired", "no such file or directory", "no route to host", "starting up"),
        ("57P03",),
        WorkbenchError,
    ),
    Sentence("was made for other letters than a record has: make its database with ENCODING 'UTF8'", (), ("22P05",)),
    Sentence(LOCKED.format(seconds=BUSY_TIMEOUT_S), ("lock timeout",), ("55P03",), WorkbenchError),
    Sentence(
        "has as many connections as it takes: run again later, or raise its max_connections",
        ("too many clients", "remaining connection slots"),
        ("53300",),
        WorkbenchError,
    ),
    Sentence(DISK_FULL, ("no space left",), ("53100",), WorkbenchError),
    Sentence(
        "was left in the middle by its server or the network: what was being written is there whole or not at all, "
        "run again",
        (
            "server closed the connection",
            "terminating connection",
            "connection is lost",
            "connection is closed",
            "connection reset",
            "connection timed out",
            "ssl connection has been closed",
            "could not receive data",
            "could not send data",
            "consuming input failed",
        ),
        ("57P01", "57P02", "25P03", "08"),
        WorkbenchError,
    ),
    Sentence(
        "may only be read with this address: ask for the right to write and to make tables, or choose another",
        ("permission denied", "read-only transaction"),
        ("42501", "25006"),
    ),
)
