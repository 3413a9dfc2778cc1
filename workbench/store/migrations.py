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


def _history(connection: sa.Connection) -> None:
    """What a history needs beside the figures: under which circumstances each was made, and the accepted steps."""
    for statement in (
        "ALTER TABLE results ADD COLUMN rate_per_s DOUBLE PRECISION",
        "ALTER TABLE results ADD COLUMN operations_per_sample BIGINT NOT NULL DEFAULT 1",
        """CREATE TABLE circumstances (
            record_id TEXT NOT NULL PRIMARY KEY REFERENCES records (record_id) ON DELETE CASCADE,
            workload TEXT NOT NULL, workload_sha256 TEXT NOT NULL, parameters TEXT NOT NULL, settings TEXT NOT NULL,
            code_hashes TEXT NOT NULL)""",
        """CREATE TABLE accepted_steps (
            step_id TEXT NOT NULL PRIMARY KEY, kernel TEXT NOT NULL, variant TEXT, metric TEXT, statistic TEXT,
            hardware_key TEXT NOT NULL, night TEXT NOT NULL, reason TEXT NOT NULL, accepted_by TEXT NOT NULL,
            accepted TEXT NOT NULL)""",
        "CREATE INDEX accepted_steps_by_kernel ON accepted_steps (kernel, hardware_key)",
    ):
        connection.exec_driver_sql(statement)
    circumstances = sa.text(
        "INSERT INTO circumstances VALUES (:record_id, :workload, :sha256, :parameters, :settings, :code_hashes)"
    )
    figures = sa.text(
        "UPDATE results SET rate_per_s = :rate, operations_per_sample = :operations "
        "WHERE record_id = :record_id AND place = :place"
    )
    for record_id in connection.execute(sa.text("SELECT record_id FROM records WHERE kind = 'run'")).scalars().all():
        found = connection.execute(sa.text("SELECT document FROM records WHERE record_id = :id"), {"id": record_id})
        document = json.loads(found.scalar_one())
        for place, row in enumerate(document["results"]):
            rate, operations = row.get("rate_per_s"), row.get("operations_per_sample", 1)
            if rate is not None or operations != 1:
                values = {"record_id": record_id, "place": place, "rate": rate, "operations": operations}
                connection.execute(figures, values)
        machine = document["machine"]
        settings = {
            "versions": machine["versions"],
            "target_cpu": machine["target_cpu"],
            "target_features_hash": machine["target_features_hash"],
            "numba_settings": machine.get("numba_settings", {}),
            **{name: machine.get(name) for name in ("linux", "microcode", "governor", "turbo", "smt")},
        }
        hashes: dict[str, set[str]] = {}
        for replicate in document.get("replicates", []):
            for variant, code_hash in replicate.get("code_hash", {}).items():
                hashes.setdefault(variant, set()).add(code_hash)
        values = {
            "record_id": record_id,
            "workload": document["workload"]["name"],
            "sha256": document["workload"]["sha256"],
            "parameters": json.dumps(document.get("parameters", {}), sort_keys=True),
            "settings": json.dumps(settings, sort_keys=True),
            "code_hashes": json.dumps({name: sorted(found) for name, found in hashes.items()}, sort_keys=True),
        }
        connection.execute(circumstances, values)


def _names_of_any_length(connection: sa.Connection) -> None:
    """Keep long names in PostgreSQL, where an entry of an ordered index ends at 2,704 bytes; SQLite knows no such end.

    A hash index takes any length; it finds equal names, which is all that is asked.
    """
    if connection.dialect.name != "postgresql":
        return
    for statement in (
        "DROP INDEX results_by_kernel",
        "CREATE INDEX results_by_kernel ON results USING hash (kernel)",
        "DROP INDEX accepted_steps_by_kernel",
        "CREATE INDEX accepted_steps_by_kernel ON accepted_steps USING hash (kernel)",
        "ALTER TABLE baselines DROP CONSTRAINT baselines_pkey",
        "CREATE UNIQUE INDEX baselines_by_name ON baselines (name, hardware_key, hashtextextended(kernels, 0))",
    ):
        connection.exec_driver_sql(statement)


MIGRATIONS: tuple[Step, ...] = (_first_tables, _comparisons_as_rows, _history, _names_of_any_length)
NEWEST = len(MIGRATIONS)


def version_of(connection: sa.Connection) -> int:
    """Return how many steps a database has had; 0 for an empty one."""
    if not sa.inspect(connection).has_table("schema_version"):
        return 0
    return int(connection.execute(sa.text("SELECT max(version) FROM schema_version")).scalar() or 0)


def migrate(connection: sa.Connection, where: str, newest: int = NEWEST) -> None:
    """Apply the steps that are missing, in the caller's transaction: all of them or none.

    Raises InputError for a database that a later program has written, that holds something else, or whose records
    cannot be read.
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
        try:
            MIGRATIONS[version - 1](connection)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            what = f"holds a record that cannot be read on the way to version {version} ({type(error).__name__})"
            raise InputError(f"{where} {what}: it was left as it is, restore it from a copy") from None
        connection.execute(
            sa.text("INSERT INTO schema_version VALUES (:version, CURRENT_TIMESTAMP)"), {"version": version}
        )
