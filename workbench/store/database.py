"""The store: records in, records and rows out. SQLAlchemy Core, so that a URL decides which database it is."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from workbench.errors import InputError, WorkbenchError
from workbench.files import data_folder
from workbench.record import Record, RecordError, Run, from_json
from workbench.store import postgresql, sqlite
from workbench.store.migrations import NEWEST, migrate, version_of
from workbench.store.sentences import moment_of, sentence
from workbench.store.steps import circumstances_of
from workbench.store.tables import BASELINES, CIRCUMSTANCES, COMPARISONS, RECORDS, RESULTS


@dataclass(frozen=True)
class Baseline:
    """A record that carries a name, for one machine and one set of kernels."""

    name: str
    hardware_key: str
    kernels: tuple[str, ...]
    record_id: str
    saved: datetime.datetime


def open_store(url: str | None = None) -> Store:
    """Open the store, making it on first use: `url`, else ``$WORKBENCH_STORE``, else SQLite in the data folder.

    `url` is an SQLAlchemy URL (``postgresql+psycopg://…``) or the path of an SQLite file. Raises InputError, one
    sentence, when it cannot be opened: not a database, a folder that cannot be written, a later version.
    """
    chosen = url or os.environ.get("WORKBENCH_STORE") or str(data_folder() / "results.sqlite3")
    if "://" not in chosen:
        return Store(sa.URL.create("sqlite", database=str(Path(chosen).absolute())))
    try:
        address = sa.make_url(chosen)
    except (ArgumentError, ValueError):  # the URL is not told: a password may stand in it
        begin = chosen.partition("://")[0][:40]
        raise InputError(
            f"{begin + '://…'!r} is not a database URL: give sqlite:///FILE or {postgresql.DRIVER}://USER@HOST/DATABASE"
        ) from None
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername=postgresql.DRIVER)
    if address.drivername not in ("sqlite", "sqlite+pysqlite", postgresql.DRIVER):
        raise InputError(
            f"{address.drivername[:40]}://… cannot be opened: a store is sqlite:///FILE or {postgresql.DRIVER}://…"
        )
    return Store(address)


def _shown(address: sa.URL) -> str:
    """Return the address as it is told: without the password, and without the options, which may hold one too."""
    return address.set(query={}).render_as_string(hide_password=True)


class Store:
    """A database of records. Every method is one transaction; several processes may write at the same time."""

    def __init__(self, address: sa.URL):
        backend = address.get_backend_name()
        self.where = str(address.database) if backend == "sqlite" and address.database else _shown(address)
        said = (address.password, *(address.query.get(name) for name in ("password", "sslpassword")))
        self._secrets = tuple(secret for secret in said if isinstance(secret, str) and secret)
        try:
            if backend == "sqlite":
                self._sentences = sqlite.SENTENCES
                self._engine = sqlite.engine(address, self.where)
            else:
                self._sentences = postgresql.SENTENCES
                self._engine = postgresql.engine(address)
        except ImportError:
            raise InputError(f"{self.where} cannot be opened: install kernel-workbench[postgres]") from None
        except (ArgumentError, TypeError, ValueError):  # what stands behind the question mark of a URL
            raise InputError(f"{self.where} cannot be opened: its options are none of {backend}'s") from None
        self._writing = self._engine.execution_options(writing=True)
        with self.transaction() as connection:
            up_to_date = version_of(connection) == NEWEST
        if not up_to_date:
            with self.transaction(writing=True) as connection:
                migrate(connection, self.where)

    def add(self, record: Record) -> str:
        """Keep `record` and return its id. Adding the same record again changes nothing."""
        with self.transaction(writing=True) as connection:
            self._add(connection, record)
        return record.record_id

    def get(self, record_id: str) -> Record:
        """Return the record with this id, or whose id begins so. Raises InputError when there is not exactly one."""
        wanted = sa.select(RECORDS.c.record_id, RECORDS.c.document)
        found = self._documents(wanted.where(RECORDS.c.record_id == record_id))  # one may begin with all of another
        if not found:
            ids = RECORDS.c.record_id  # by a range in the order of code points: LIKE ignores case in SQLite alone
            ordered = ids.collate("C") if self._engine.dialect.name == "postgresql" else ids
            begins = (ordered >= record_id) & (ordered < record_id + chr(0x10FFFF))
            found = self._documents(wanted.where(begins).limit(2))
        if len(found) != 1:
            told = "no record" if not found else "more than one record"
            raise InputError(f"{self.where} has {told} whose id begins with {record_id[:40]!r}")
        return found[0]

    def runs(
        self,
        kernel: str | None = None,
        limit: int | None = 100,
        hardware_key: str | None = None,
        *,
        revisions: bool = True,
    ) -> list[Run]:
        """Return runs, the newest first: of one kernel and one kind of machine where these are given.

        Without `revisions`, those that hold two revisions are left out: their variants are named ``variant@revision``.
        """
        query = sa.select(RECORDS.c.record_id, RECORDS.c.document).where(RECORDS.c.kind == Run.kind)
        if kernel is not None:
            of_kernel = sa.select(RESULTS.c.record_id).where(RESULTS.c.kernel == kernel)
            query = query.where(RECORDS.c.record_id.in_(of_kernel))
        if hardware_key is not None:
            query = query.where(RECORDS.c.hardware_key == hardware_key)
        if not revisions:
            marked = RESULTS.c.variant.contains("@", autoescape=True)
            query = query.where(~sa.exists().where(RESULTS.c.record_id == RECORDS.c.record_id, marked))
        found = self._documents(query.order_by(RECORDS.c.created.desc(), RECORDS.c.record_id).limit(limit))
        return [record for record in found if isinstance(record, Run)]

    def newest(self, kernel: str, hardware_key: str) -> Run | None:
        """Return the newest run of `kernel` on this kind of machine, or None."""
        found = self.runs(kernel, limit=1, hardware_key=hardware_key)
        return found[0] if found else None

    def results(self, kernel: str | None = None, **equal: str) -> list[dict[str, Any]]:
        """Return figures as rows with their record's `created`, `hardware_key` and `git_revision`, the oldest first.

        `equal` filters by ``variant``, ``metric``, ``statistic`` or ``hardware_key``.
        """
        columns = (*RESULTS.c, RECORDS.c.created, RECORDS.c.hardware_key, RECORDS.c.git_revision)
        query = sa.select(*columns).join(RECORDS, RECORDS.c.record_id == RESULTS.c.record_id)
        conditions = {**equal, "kernel": kernel} if kernel is not None else equal
        for name, value in conditions.items():
            query = query.where((RECORDS if name == "hardware_key" else RESULTS).c[name] == value)
        query = query.order_by(RECORDS.c.created, RECORDS.c.record_id, RESULTS.c.place)
        with self.transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def save_baseline(self, name: str, record: Record, *, if_absent: bool = False) -> bool:
        """Keep `record` under `name`, in place of what the name stood for on this machine and for these kernels.

        With `if_absent` only where the name stands for nothing there, not even for one of the kernels: of several
        processes that ask at the same time one saves its own. Returns whether it was saved; `record` is kept anyhow.
        """
        key = {"name": _checked_name(name), "hardware_key": record.machine.hardware_key, "kernels": kernels_of(record)}
        with self.transaction(writing=True) as connection:
            self._add(connection, record)
            if if_absent and self._is_taken(connection, key):
                return False
            same = [BASELINES.c[column] == value for column, value in key.items()]
            connection.execute(sa.delete(BASELINES).where(*same))
            row = {**key, "record_id": record.record_id, "saved": _stamp(datetime.datetime.now(datetime.UTC))}
            connection.execute(sa.insert(BASELINES).values(row))
        return True

    def _is_taken(self, connection: sa.Connection, key: dict[str, str]) -> bool:
        """Return whether a baseline of that name and machine is about one of the kernels."""
        same = [BASELINES.c[column] == key[column] for column in ("name", "hardware_key")]
        found = connection.execute(sa.select(BASELINES.c.kernels).where(*same)).scalars()
        wanted = set(key["kernels"].split(","))
        return any(not wanted.isdisjoint(kernels.split(",")) for kernels in found)

    def baseline(self, name: str, kernel: str | None = None, hardware_key: str | None = None) -> Record | None:
        """Return the record that `name` stands for, or None: the one saved last where several fit."""
        query = sa.select(RECORDS.c.record_id, RECORDS.c.document, BASELINES.c.kernels)
        query = query.join(BASELINES, BASELINES.c.record_id == RECORDS.c.record_id).where(BASELINES.c.name == name)
        if hardware_key is not None:
            query = query.where(BASELINES.c.hardware_key == hardware_key)
        with self.transaction() as connection:
            rows = connection.execute(query.order_by(BASELINES.c.saved.desc())).all()
        for record_id, document, kernels in rows:
            if kernel is None or kernel in kernels.split(","):
                return self._read(record_id, document)
        return None

    def baselines(self) -> list[Baseline]:
        """Return every baseline, by name, the newest first."""
        query = sa.select(BASELINES).order_by(BASELINES.c.name, BASELINES.c.saved.desc())
        with self.transaction() as connection:
            rows = connection.execute(query).all()
        return [
            Baseline(
                row.name,
                row.hardware_key,
                tuple(row.kernels.split(",")),
                row.record_id,
                moment_of(row.saved, self.where),
            )
            for row in rows
        ]

    def _add(self, connection: sa.Connection, record: Record) -> None:
        present = sa.select(RECORDS.c.record_id).where(RECORDS.c.record_id == record.record_id)
        if connection.execute(present).first() is not None:
            return
        try:
            document = record.to_json()
        except (ValueError, RecursionError) as error:  # nested too deeply, or text that is no Unicode
            why = str(error).partition("\n")[0][:120]
            raise InputError(f"record {record.record_id[:40]!r} cannot be kept in {self.where} ({why})") from None
        head = {
            "record_id": record.record_id,
            "kind": record.kind,
            "created": _stamp(record.created),
            "hardware_key": record.machine.hardware_key,
            "host": record.machine.host,
            "git_revision": record.machine.git_revision,
            "document": document,
        }
        connection.execute(sa.insert(RECORDS).values(head))
        if isinstance(record, Run):
            _insert_rows(connection, RESULTS, record.record_id, [row.model_dump() for row in record.results])
            connection.execute(sa.insert(CIRCUMSTANCES).values(circumstances_of(record)))
            _insert_rows(connection, COMPARISONS, record.record_id, [row.model_dump() for row in record.comparisons])

    def _documents(self, query: sa.Select[Any]) -> list[Record]:
        with self.transaction() as connection:
            rows = connection.execute(query).all()
        return [self._read(record_id, document) for record_id, document in rows]

    def _read(self, record_id: str, document: str) -> Record:
        try:
            return from_json(document, f"record {record_id} of {self.where}")
        except RecordError as error:
            raise WorkbenchError(str(error)) from None

    @contextlib.contextmanager
    def transaction(self, *, writing: bool = False) -> Iterator[sa.Connection]:
        """Give a connection in one transaction; turn what the database says into one sentence."""
        try:
            with (self._writing if writing else self._engine).begin() as connection:
                yield connection
        except (DBAPIError, sqlite3.Error) as error:  # the second comes from preparing a connection
            raise sentence(error, self.where, self._sentences, self._secrets) from None
        except (OverflowError, UnicodeError) as error:  # before it reaches the database: its driver's refusal
            raise InputError(f"{self.where} takes no such number or text ({type(error).__name__})") from None


def _insert_rows(connection: sa.Connection, table: sa.Table, record_id: str, rows: list[dict[str, Any]]) -> None:
    """Insert those fields of `rows` that `table` has, in their order."""
    names = [column.name for column in table.c if column.name not in ("record_id", "place")]
    values = [
        {"record_id": record_id, "place": place, **{name: row[name] for name in names}}
        for place, row in enumerate(rows)
    ]
    if values:
        connection.execute(sa.insert(table), values)


def kernels_of(record: Record) -> str:
    """Return the kernels that a record is about, in the form of the column."""
    if isinstance(record, Run):
        return ",".join(sorted({result.kernel for result in record.results}))
    return ""


def _stamp(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="microseconds")


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise InputError(f"a baseline's name is 1 to 200 printable characters, not {name[:40]!r}")
    return name
