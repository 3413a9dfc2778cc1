"""The store: records in, records and rows out. SQLAlchemy Core, so that a URL decides which database it is."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from workbench.errors import InputError, WorkbenchError
from workbench.files import data_folder
from workbench.record import Record, RecordError, Run, from_json
from workbench.store.migrations import NEWEST, migrate, version_of
from workbench.store.steps import circumstances_of
from workbench.store.tables import BASELINES, CIRCUMSTANCES, COMPARISONS, RECORDS, RESULTS

BUSY_TIMEOUT_S = 30.0  # how long a writer waits for another one; a write takes milliseconds


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
    if "://" in chosen:
        try:
            address = sa.make_url(chosen)
        except ArgumentError:
            raise InputError(
                f"{chosen!r} is not a database URL: give sqlite:///FILE or postgresql+psycopg://…"
            ) from None
    else:
        address = sa.URL.create("sqlite", database=str(Path(chosen).absolute()))
    return Store(address)


class Store:
    """A database of records. Every method is one transaction; several processes may write at the same time."""

    def __init__(self, address: sa.URL):
        self.where = address.render_as_string(hide_password=True)
        sqlite = address.get_backend_name() == "sqlite"
        if sqlite and address.database:
            self.where = address.database
            try:
                Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{self.where} cannot be made ({error.strerror}): choose another by --store or WORKBENCH_HOME"
                ) from None
        try:
            self._engine = sa.create_engine(
                address, connect_args={"timeout": BUSY_TIMEOUT_S} if sqlite else {}, poolclass=sa.NullPool
            )
        except (NoSuchModuleError, ImportError) as error:
            raise InputError(
                f"{self.where} cannot be opened ({error}): for PostgreSQL install kernel-workbench[postgres]"
            ) from None
        if sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin)
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
        begins = RECORDS.c.record_id.startswith(record_id, autoescape=True)
        found = self._documents(sa.select(RECORDS.c.record_id, RECORDS.c.document).where(begins).limit(2))
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
        query = query.order_by(RECORDS.c.created, RESULTS.c.place)
        with self.transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def save_baseline(self, name: str, record: Record) -> None:
        """Keep `record` under `name`, in place of what the name stood for on this machine and for these kernels."""
        key = {"name": _checked_name(name), "hardware_key": record.machine.hardware_key, "kernels": _kernels(record)}
        with self.transaction(writing=True) as connection:
            self._add(connection, record)
            same = [BASELINES.c[column] == value for column, value in key.items()]
            connection.execute(sa.delete(BASELINES).where(*same))
            row = {**key, "record_id": record.record_id, "saved": _stamp(datetime.datetime.now(datetime.UTC))}
            connection.execute(sa.insert(BASELINES).values(row))

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
                datetime.datetime.fromisoformat(row.saved),
            )
            for row in rows
        ]

    def _add(self, connection: sa.Connection, record: Record) -> None:
        present = sa.select(RECORDS.c.record_id).where(RECORDS.c.record_id == record.record_id)
        if connection.execute(present).first() is not None:
            return
        head = {
            "record_id": record.record_id,
            "kind": record.kind,
            "created": _stamp(record.created),
            "hardware_key": record.machine.hardware_key,
            "host": record.machine.host,
            "git_revision": record.machine.git_revision,
            "document": record.to_json(),
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
        except (DBAPIError, sqlite3.Error) as error:  # the second comes from `_prepare_sqlite`
            raise _sentence(error, self.where) from None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Readers never wait for a writer (WAL), and a stored record survives a power cut (synchronous)."""
    connection.isolation_level = None  # the driver must not begin transactions: `_begin` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Begin; a writer takes the lock at once, since a lock that is upgraded later fails instead of waiting its turn."""
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _insert_rows(connection: sa.Connection, table: sa.Table, record_id: str, rows: list[dict[str, Any]]) -> None:
    """Insert those fields of `rows` that `table` has, in their order."""
    names = [column.name for column in table.c if column.name not in ("record_id", "place")]
    values = [
        {"record_id": record_id, "place": place, **{name: row[name] for name in names}}
        for place, row in enumerate(rows)
    ]
    if values:
        connection.execute(sa.insert(table), values)


def _kernels(record: Record) -> str:
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


_SENTENCES: Mapping[str, tuple[type[WorkbenchError], str]] = {
    "file is not a database": (InputError, "is not a database: move it away, or choose another with --store"),
    "malformed": (InputError, "is damaged: restore it from a copy, or move it away and a new one is begun"),
    "readonly": (InputError, "cannot be written: choose another with --store, or ask for the right to write"),
    "unable to open": (InputError, "cannot be opened: choose a folder that you may write to, with --store"),
    "disk is full": (WorkbenchError, "was not changed because the disk is full: make room and run again"),
    "disk i/o error": (WorkbenchError, "was not changed because the disk refused to write: make room and run again"),
    "locked": (WorkbenchError, f"was in use by another program for {BUSY_TIMEOUT_S:.0f} s: run again"),
}


def _sentence(error: DBAPIError | sqlite3.Error, where: str) -> WorkbenchError:
    """Say in one sentence what a database refused, and what to do."""
    told = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    for part, (kind, sentence) in _SENTENCES.items():
        if part in told.lower():
            return kind(f"{where} {sentence}")
    first = told.splitlines()[0] if told else type(error).__name__
    if isinstance(error, (IntegrityError, sqlite3.IntegrityError)):
        return WorkbenchError(f"{where} refused the record and was not changed ({first})")
    return WorkbenchError(f"{where} cannot be used ({first}): check the address given with --store")
