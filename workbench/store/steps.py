"""What a history reads and writes: figures with their circumstances, and steps that were accepted."""

from __future__ import annotations

import datetime
import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from workbench.store.sentences import moment_of
from workbench.store.tables import ACCEPTED_STEPS, CIRCUMSTANCES, RECORDS, RESULTS

if TYPE_CHECKING:
    from workbench.record import Run
    from workbench.store.database import Store

SETTINGS = ("target_cpu", "target_features_hash", "linux", "microcode", "governor", "turbo", "smt")


@dataclass(frozen=True)
class AcceptedStep:
    """A step that somebody knows of and wants: who, when, why. None in a place means every one."""

    kernel: str
    variant: str | None
    metric: str | None
    statistic: str | None
    hardware_key: str
    night: datetime.date
    reason: str
    accepted_by: str
    accepted: datetime.datetime
    step_id: str = ""


def circumstances_of(run: Run) -> dict[str, str]:
    """Return the row of `run`: input, parameters, versions and settings of the machine, machine code by variant."""
    machine = run.machine.model_dump(mode="json")
    settings = {name: machine[name] for name in ("versions", "numba_settings", *SETTINGS)}
    hashes: dict[str, set[str]] = {}
    for replicate in run.replicates:
        for variant, code_hash in replicate.code_hash.items():
            hashes.setdefault(variant, set()).add(code_hash)
    return {
        "record_id": run.record_id,
        "workload": run.workload.name,
        "workload_sha256": run.workload.sha256,
        "parameters": json.dumps(run.parameters, sort_keys=True),
        "settings": json.dumps(settings, sort_keys=True),
        "code_hashes": json.dumps({name: sorted(found) for name, found in hashes.items()}, sort_keys=True),
    }


def rows_of(store: Store, kernel: str, variant: str | None = None, **equal: str) -> list[dict[str, Any]]:
    """Return the figures of `kernel`, the oldest first, each with its record's time, machine and circumstances.

    `equal` filters by ``metric`` or ``statistic``. No whole record is read.
    """
    about = (RECORDS.c.created, RECORDS.c.hardware_key, RECORDS.c.host, RECORDS.c.git_revision)
    own = [column for column in CIRCUMSTANCES.c if column.name != "record_id"]
    query = sa.select(*RESULTS.c, *about, *own)
    query = query.join(RECORDS, RECORDS.c.record_id == RESULTS.c.record_id)
    query = query.join(CIRCUMSTANCES, CIRCUMSTANCES.c.record_id == RESULTS.c.record_id)
    conditions = {"kernel": kernel, **({} if variant is None else {"variant": variant}), **equal}
    for name, value in conditions.items():
        query = query.where(RESULTS.c[name] == value)
    query = query.order_by(RECORDS.c.created, RECORDS.c.record_id, RESULTS.c.place)
    with store.transaction() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    for row in rows:
        moment_of(row["created"], store.where)  # who reads a history need not look again
    return rows


def known_kernels(store: Store) -> dict[str, list[str]]:
    """Return the kernels that have figures in the store, each with its variants."""
    found: dict[str, list[str]] = {}
    with store.transaction() as connection:
        rows = connection.execute(sa.select(RESULTS.c.kernel, RESULTS.c.variant).distinct()).all()
    for kernel, variant in sorted(rows):
        found.setdefault(kernel, []).append(variant)
    return found


def accept(store: Store, step: AcceptedStep) -> AcceptedStep:
    """Keep `step` and return it with its id. Accepting it again adds a second entry: nothing is overwritten."""
    row = {**asdict(step), "step_id": uuid.uuid4().hex, "night": step.night.isoformat()}
    row["accepted"] = step.accepted.astimezone(datetime.UTC).isoformat(timespec="microseconds")
    with store.transaction(writing=True) as connection:
        connection.execute(sa.insert(ACCEPTED_STEPS).values(row))
    return AcceptedStep(**{**asdict(step), "step_id": row["step_id"]})


def accepted_steps(store: Store, kernel: str) -> list[AcceptedStep]:
    """Return the accepted steps of `kernel`, in the order in which they were accepted."""
    query = sa.select(ACCEPTED_STEPS).where(ACCEPTED_STEPS.c.kernel == kernel)
    query = query.order_by(ACCEPTED_STEPS.c.accepted, ACCEPTED_STEPS.c.step_id)
    with store.transaction() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    for row in rows:
        row["night"] = moment_of(row["night"], store.where).date()
        row["accepted"] = moment_of(row["accepted"], store.where)
    return [AcceptedStep(**row) for row in rows]
