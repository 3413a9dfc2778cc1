"""What moving records between stores asks of a store: what is there, and taking many in at once."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from workbench.errors import InputError
from workbench.record import ProfileRecord, Record
from workbench.store.database import Baseline, Store, kernels_of
from workbench.store.sentences import moment_of
from workbench.store.tables import BASELINES, RECORDS, RESULTS


@dataclass(frozen=True)
class Head:
    """What is known of a record without reading it."""

    record_id: str
    kind: str
    created: datetime.datetime
    hardware_key: str
    host: str
    kernel: str | None  # the first by name of its results' kernels
    kernels: int


def heads(store: Store, kernel: str | None = None, limit: int | None = None) -> list[Head]:
    """Return what records there are without reading them, the newest first: of one kernel where it is given."""
    columns = [RECORDS.c[name] for name in ("record_id", "kind", "created", "hardware_key", "host")]
    kernels = (
        sa.func.min(RESULTS.c.kernel).label("kernel"),
        sa.func.count(sa.distinct(RESULTS.c.kernel)).label("kernels"),
    )
    query = sa.select(*columns, *kernels).outerjoin(RESULTS, RESULTS.c.record_id == RECORDS.c.record_id)
    if kernel is not None:
        of_kernel = sa.select(RESULTS.c.record_id).where(RESULTS.c.kernel == kernel)
        query = query.where(RECORDS.c.record_id.in_(of_kernel))
    query = query.group_by(*columns).order_by(RECORDS.c.created.desc(), RECORDS.c.record_id).limit(limit)
    with store.transaction() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [Head(**{**row, "created": moment_of(row["created"], store.where)}) for row in rows]


def _placeless(record: Record) -> Record:
    """Return `record` without where its artefacts lie: each machine has them elsewhere."""
    return record.model_copy(update={"artefacts": []}) if isinstance(record, ProfileRecord) else record


def take_in(store: Store, records: Iterable[Record], baselines: Iterable[Baseline] = ()) -> tuple[list[str], list[str]]:
    """Keep `records` in one transaction, or none of them; let `baselines` name some of them.

    Returns the ids that were new, and the names that stand for another record here and were left as they are. Raises
    InputError for an id under which another record is kept, and for a baseline that is none of its record's.
    """
    new, taken = [], []
    about: dict[str, tuple[str, str]] = {}
    with store.transaction(writing=True) as connection:
        for record in records:
            about[record.record_id] = (record.machine.hardware_key, kernels_of(record))
            query = sa.select(RECORDS.c.document).where(RECORDS.c.record_id == record.record_id)
            present = connection.execute(query).scalar()
            if present is None:
                store._add(connection, record)
                new.append(record.record_id)
            elif _placeless(store._read(record.record_id, present)) != _placeless(record):
                raise InputError(f"{store.where} keeps another record as {record.record_id}: nothing was taken in")
        for each in baselines:
            key = {"name": each.name, "hardware_key": each.hardware_key, "kernels": ",".join(each.kernels)}
            if about.get(each.record_id) != (key["hardware_key"], key["kernels"]):
                raise InputError(
                    f"baseline {each.name[:80]!r} names another machine or other kernels than its record: nothing was "
                    "taken in"
                )
            same = [BASELINES.c[column] == value for column, value in key.items()]
            holder = connection.execute(sa.select(BASELINES.c.record_id).where(*same)).scalar()
            if holder is None:
                saved = each.saved.astimezone(datetime.UTC).isoformat(timespec="microseconds")
                row = {**key, "record_id": each.record_id, "saved": saved}
                connection.execute(sa.insert(BASELINES).values(row))
            elif holder != each.record_id:
                taken.append(each.name)
    return new, taken
