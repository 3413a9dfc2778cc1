"""A database of any earlier version comes to the newest without losing a record; a later one is refused."""

import factory
import pytest
import sqlalchemy as sa

from workbench.errors import InputError
from workbench.store import migrations, open_store
from workbench.store.steps import circumstances_of
from workbench.store.tables import METADATA


@pytest.fixture
def engine(address):
    """Return what reaches the database past the store."""
    made = sa.create_engine(address if "://" in address else f"sqlite:///{address}", poolclass=sa.NullPool)
    yield made
    made.dispose()


def whole(engine):
    """Return every table's columns and rows."""
    inspector = sa.inspect(engine)
    with engine.connect() as connection:
        return {
            name: (
                [column["name"] for column in inspector.get_columns(name)],
                connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY 1")).all(),
            )
            for name in sorted(inspector.get_table_names())
        }


def a_database_of_version(engine, version, record):
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


@pytest.mark.parametrize("version", range(1, migrations.NEWEST + 1))
def test_every_earlier_version_is_brought_up(address, engine, version):
    record = factory.run(comparisons=[factory.comparison("order_book/baseline", "order_book/ladder", 0.25, "FASTER")])
    a_database_of_version(engine, version, record)
    store = open_store(address)
    assert store.runs() == [record]
    with engine.connect() as connection:
        assert migrations.version_of(connection) == migrations.NEWEST
        rows = connection.execute(sa.text("SELECT b, verdict FROM comparisons")).all()
        kept = connection.execute(sa.text("SELECT * FROM circumstances")).mappings().all()
    assert rows == ([("order_book/ladder", "FASTER")] if version < 2 else [])
    assert [dict(row) for row in kept] == ([circumstances_of(record)] if version < 3 else [])


def test_the_migrations_make_the_tables_that_the_queries_expect(address, engine):
    open_store(address)
    inspector = sa.inspect(engine)
    for table in METADATA.sorted_tables:
        columns = inspector.get_columns(table.name)
        assert [column["name"] for column in columns] == [column.name for column in table.c]
        assert [column["nullable"] for column in columns] == [column.nullable for column in table.c]
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        if table.name == "baselines" and engine.name == "postgresql":
            unique = {index["name"]: index for index in inspector.get_indexes("baselines")}["baselines_by_name"]
            assert unique["unique"] and unique["column_names"][:2] == ["name", "hardware_key"]
        else:
            assert key == [column.name for column in table.primary_key]
    assert set(inspector.get_table_names()) == {*METADATA.tables, "schema_version"}


def test_a_later_version_is_refused_in_one_sentence(address, engine):
    open_store(address)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO schema_version VALUES (99, 'then')"))
    before = whole(engine)
    with pytest.raises(InputError, match="has schema version 99 and this program knows"):
        open_store(address)
    assert whole(engine) == before


def test_tables_of_another_program_are_left_alone(address, engine):
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE results (whatever TEXT)"))
    with pytest.raises(InputError, match="another program"):
        open_store(address)


def test_a_step_that_fails_leaves_the_old_version(address, engine, monkeypatch):
    record = factory.run(with_blocks=False)
    a_database_of_version(engine, 1, record)

    def fails(connection):
        connection.exec_driver_sql("CREATE TABLE half (x TEXT)")
        raise RuntimeError("power cut")

    monkeypatch.setattr(migrations, "MIGRATIONS", (migrations.MIGRATIONS[0], fails))
    before = whole(engine)
    with pytest.raises(RuntimeError):
        open_store(address)
    assert whole(engine) == before
    monkeypatch.undo()
    assert open_store(address).runs() == [record]
    assert "half" not in whole(engine)


def test_rates_and_groups_of_operations_are_filled_in(address, engine):
    """Figures at several loads had one name in the rows of version 2."""
    record = factory.loaded()
    a_database_of_version(engine, 2, record)
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
    rows = open_store(address).results("order_book", metric="response_time", statistic="p99")
    assert [row["rate_per_s"] for row in rows] == [1e6, 2e6, 4e6]
    assert {row["operations_per_sample"] for row in rows} == {1}
