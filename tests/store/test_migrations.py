"""A database of any earlier version comes to the newest without losing a record; a later one is refused."""

import factory
import pytest
import sqlalchemy as sa

from workbench.errors import InputError
from workbench.store import migrations, open_store
from workbench.store.steps import circumstances_of
from workbench.store.tables import METADATA


def a_database_of_version(path, version, record):
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrations.migrate(connection, "test", newest=version)
        connection.execute(
            sa.text("INSERT INTO records VALUES (:id, 'run', :created, :key, 'host', NULL, :document)"),
            {
                "id": record.record_id,
                "created": "2026-01-05T01:00:01.000000+00:00",
                "key": record.machine.hardware_key,
                "document": record.to_json(),
            },
        )
    engine.dispose()


@pytest.mark.parametrize("version", range(1, migrations.NEWEST + 1))
def test_every_earlier_version_is_brought_up(tmp_path, version):
    path = tmp_path / "old.sqlite3"
    record = factory.run(comparisons=[factory.comparison("order_book/baseline", "order_book/ladder", 0.25, "FASTER")])
    a_database_of_version(path, version, record)
    store = open_store(str(path))
    assert store.runs() == [record]
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert migrations.version_of(connection) == migrations.NEWEST
        rows = connection.execute(sa.text("SELECT b, verdict FROM comparisons")).all()
        kept = connection.execute(sa.text("SELECT * FROM circumstances")).mappings().all()
    engine.dispose()
    assert rows == ([("order_book/ladder", "FASTER")] if version < 2 else [])
    assert [dict(row) for row in kept] == ([circumstances_of(record)] if version < 3 else [])


def test_the_migrations_make_the_tables_that_the_queries_expect(tmp_path):
    path = tmp_path / "new.sqlite3"
    open_store(str(path))
    engine = sa.create_engine(f"sqlite:///{path}")
    inspector = sa.inspect(engine)
    for table in METADATA.sorted_tables:
        columns = inspector.get_columns(table.name)
        assert [column["name"] for column in columns] == [column.name for column in table.c]
        assert [column["nullable"] for column in columns] == [column.nullable for column in table.c]
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
    assert set(inspector.get_table_names()) == {*METADATA.tables, "schema_version"}
    engine.dispose()


def test_a_later_version_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "later.sqlite3"
    open_store(str(path))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO schema_version VALUES (99, 'then')"))
    engine.dispose()
    before = path.read_bytes()
    with pytest.raises(InputError, match="has schema version 99 and this program knows"):
        open_store(str(path))
    assert path.read_bytes() == before


def test_tables_of_another_program_are_left_alone(tmp_path):
    path = tmp_path / "other.sqlite3"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE results (whatever TEXT)"))
    engine.dispose()
    with pytest.raises(InputError, match="another program"):
        open_store(str(path))


def test_a_step_that_fails_leaves_the_old_version(tmp_path, monkeypatch):
    path = tmp_path / "old.sqlite3"
    record = factory.run(with_blocks=False)
    a_database_of_version(path, 1, record)

    def fails(connection):
        connection.exec_driver_sql("CREATE TABLE half (x TEXT)")
        raise RuntimeError("power cut")

    monkeypatch.setattr(migrations, "MIGRATIONS", (migrations.MIGRATIONS[0], fails))
    with pytest.raises(RuntimeError):
        open_store(str(path))
    monkeypatch.undo()
    assert open_store(str(path)).runs() == [record]
    engine = sa.create_engine(f"sqlite:///{path}")
    assert "half" not in sa.inspect(engine).get_table_names()
    engine.dispose()


def test_rates_and_groups_of_operations_are_filled_in(tmp_path):
    """Figures at several loads had one name in the rows of version 2."""
    path = tmp_path / "old.sqlite3"
    record = factory.loaded()
    a_database_of_version(path, 2, record)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for place, row in enumerate(record.results):
            values = {"id": record.record_id, "place": place, **row.model_dump()}
            connection.execute(
                sa.text(
                    "INSERT INTO results VALUES (:id, :place, :kernel, :variant, :metric, :statistic, :unit, :value, "
                    ":low, :high, :samples, :bound)"
                ),
                values,
            )
    engine.dispose()
    rows = open_store(str(path)).results("order_book", metric="response_time", statistic="p99")
    assert [row["rate_per_s"] for row in rows] == [1e6, 2e6, 4e6]
    assert {row["operations_per_sample"] for row in rows} == {1}
