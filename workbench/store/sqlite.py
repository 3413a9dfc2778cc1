"""SQLite as a store: how a connection is prepared, and what its refusals mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbench.errors import InputError, WorkbenchError
from workbench.store.sentences import DISK_FULL, LOCKED, Sentence

BUSY_TIMEOUT_S = 30.0  # how long a writer waits for another one; a write takes milliseconds


def engine(address: sa.URL, where: str) -> sa.Engine:
    """Return an engine for the file that `address` names; make the folder that it lies in.

    Of SQLite's own addresses (``file:/a/b?mode=ro`` with ``uri=true``) no folder is made: they name no path, and what
    they may do stands in their options. Raises InputError where the folder cannot be made.
    """
    if address.database and not ("uri" in address.query and address.database.startswith("file:")):
        try:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{where} cannot be made ({error.strerror}): choose another by --store or WORKBENCH_HOME"
            ) from None
    made = sa.create_engine(address, connect_args={"timeout": BUSY_TIMEOUT_S}, poolclass=sa.NullPool)
    sa.event.listen(made, "connect", _prepare)
    sa.event.listen(made, "begin", _begin)
    return made


def _prepare(connection: Any, _record: Any) -> None:
    """Readers never wait for a writer (WAL), and a stored record survives a power cut (synchronous)."""
    connection.isolation_level = None  # the driver must not begin transactions: `_begin` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Begin; a writer takes the lock at once, since a lock that is upgraded later fails instead of waiting its turn."""
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


SENTENCES: tuple[Sentence, ...] = (
    Sentence("is not a database: move it away, or choose another with --store", ("file is not a database",)),
    Sentence("is damaged: restore it from a copy, or move it away and a new one is begun", ("malformed",)),
    Sentence("cannot be written: choose another with --store, or ask for the right to write", ("readonly",)),
    Sentence("cannot be opened: choose a folder that you may write to, with --store", ("unable to open",)),
    Sentence(DISK_FULL, ("disk is full",), kind=WorkbenchError),
    Sentence(
        "was not changed because the disk refused to write: make room and run again",
        ("disk i/o error",),
        kind=WorkbenchError,
    ),
    Sentence(LOCKED.format(seconds=BUSY_TIMEOUT_S), ("locked",), kind=WorkbenchError),
)
