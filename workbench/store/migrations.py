"""How a database comes to the newest form: an ordered list, each step applied once, never edited afterwards.

Each step is plain SQL that SQLite and PostgreSQL both understand, or a function of a connection. It must not use
`workbench.store.tables`: those change with time, a step that has been applied somewhere does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import sqlalchemy as sa

from workbench.errors import InputError

Step = Callable[[sa.Connection], None]


def _first_tables(connection: sa.Connection) -> None:
    """Records whole, their figures as rows, and named baselines."""
    for statement in (
        """CREATE TABLE records (
            record_id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, created TEXT NOT NULL, hardware_key TEXT NOT NULL,
            host TEXT NOT NULL, git_revision TEXT, document TEXT NOT NULL)""",
        "CREATE INDEX records_by_time ON records (kind, hardware_key, created)",
        """CREATE TABLE results (
            record_id TEXT NOT NULL REFERENCES records (record_id) ON DELETE CASCADE, place INTEGER NOT NULL,
            kernel TEXT NOT NULL, variant TEXT NOT NULL, metric TEXT NOT NULL, statistic TEXT NOT NULL,
            unit TEXT NOT NULL, value DOUBLE PRECISION NOT NULL, low DOUBLE PRECISION, high DOUBLE PRECISION,
            samples BIGINT NOT NULL, bound TEXT NOT NULL, PRIMARY KEY (record_id, place))""",
        "CREATE INDEX results_by_kernel ON results (kernel, variant, metric, statistic)",
        """CREATE TABLE baselines (
            name TEXT NOT NULL, hardware_key TEXT NOT NULL, kernels TEXT NOT NULL,
            record_id TEXT NOT NULL REFERENCES records (record_id), saved TEXT NOT NULL,
            PRIMARY KEY (name, hardware_key, kernels))""",
    ):
        connection.exec_driver_sql(statement)


def _comparisons_as_rows(connection: sa.Connection) -> None:
    """Verdicts over time, without reading whole records; those stored before are filled in from their documents."""
    connection.exec_driver_sql(
        """CREATE TABLE comparisons (
            record_id TEXT NOT NULL REFERENCES records (record_id) ON DELETE CASCADE, place INTEGER NOT NULL,
            a TEXT NOT NULL, b TEXT NOT NULL, metric TEXT NOT NULL, statistic TEXT NOT NULL,
            ratio DOUBLE PRECISION NOT NULL, low DOUBLE PRECISION NOT NULL, high DOUBLE PRECISION NOT NULL,
            verdict TEXT NOT NULL, PRIMARY KEY (record_id, place))"""
    )
    insert = sa.text(
        "INSERT INTO comparisons "
        "VALUES (:record_id, :place, :a, :b, :metric, :statistic, :ratio, :low, :high, :verdict)"
    )
    fields = ("a", "b", "metric", "statistic", "ratio", "low", "high", "verdict")
    for record_id, document in connection.execute(sa.text("SELECT record_id, document FROM records")).all():
        for place, row in enumerate(json.loads(document).get("comparisons", [])):
            connection.execute(
                insert, {"record_id": record_id, "place": place, **{field: row[field] for field in fields}}
            )


MIGRATIONS: tuple[Step, ...] = (_first_tables, _comparisons_as_rows)
NEWEST = len(MIGRATIONS)


def version_of(connection: sa.Connection) -> int:
    """Return how many steps a database has had; 0 for an empty one."""
    if not sa.inspect(connection).has_table("schema_version"):
        return 0
    return int(connection.execute(sa.text("SELECT max(version) FROM schema_version")).scalar() or 0)


def migrate(connection: sa.Connection, where: str, newest: int = NEWEST) -> None:
    """Apply the steps that are missing, in the caller's transaction: all of them or none.

    Raises InputError for a database that a later program has written, or that holds something else.
    """
    present = version_of(connection)
    if present > newest:
        raise InputError(
            f"{where} has schema version {present} and this program knows {newest}: update kernel-workbench, "
            "or choose another database with --store"
        )
    if present == 0:
        others = sa.inspect(connection).get_table_names()
        if {"records", "results", "baselines"} & set(others):
            raise InputError(
                f"{where} holds tables of another program ({', '.join(sorted(others)[:3])}): choose another"
            )
        connection.exec_driver_sql("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)")
    for version in range(present + 1, newest + 1):
        MIGRATIONS[version - 1](connection)
        connection.execute(
            sa.text("INSERT INTO schema_version VALUES (:version, CURRENT_TIMESTAMP)"), {"version": version}
        )
