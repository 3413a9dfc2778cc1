"""A job's folder on the driver's side: packed for a worker, and filled again with what comes back."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from workbench.batch.dask_child import NOTEBOOK, ORDER
from workbench.batch.dask_package import told_as_ours, unpack
from workbench.batch.engines import Render
from workbench.batch.folder import locked
from workbench.batch.job import LOCK, LOG, STATE, Attempt, Failure, Job, State, read_state, write_job, write_state
from workbench.batch.local import finished_state
from workbench.errors import InputError, WorkbenchError

MOST_NOTEBOOK_BYTES = 8 << 20  # Dask sends what is larger in another way; a notebook without outputs has thousands
_PATIENCE_S = 10.0
_SCRATCH = re.compile(r"\..+\.[0-9a-f]{32}")


def finished(folder: Path, job: Job) -> tuple[Path, State] | None:
    """Return where in the batch's `folder` the job was finished before, on whichever kind of machine, and its state."""
    for own in sorted(folder.glob(f"*/{job.name}")):
        state = finished_state(own, job.key)
        if state is not None:
            return own, state
    return None


def outward(job: Job, left_s: float | None, batch_s: float | None) -> bytes:
    """Return what a worker needs to run `job`: the order, and the notebook as it is here.

    Raises InputError for a notebook that cannot be read or sent.
    """
    path = Path(job.notebook)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no notebook {path}: correct the plan") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): correct the plan") from None
    if len(content) > MOST_NOTEBOOK_BYTES:
        raise InputError(
            f"{path} has {len(content):,} bytes, at most {MOST_NOTEBOOK_BYTES:,} are sent: strip its outputs"
        )
    sent = job.model_copy(update={"store": _told_store(job.store)})
    order: dict[str, Any] = {
        "job": sent.model_dump(mode="json", by_alias=True),
        "left_s": left_s,
        "batch_s": batch_s,
        "log": [],
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(ORDER, json.dumps(order))
        archive.writestr(f"{NOTEBOOK}/{path.name}", content)
    return stream.getvalue()


def _told_store(store: str | None) -> str | None:
    """Return the store that a worker is told: a server without a password. Else it uses what its own host names."""
    if store is None or "://" not in store:
        return None
    try:
        address = sa.make_url(store)
    except (ArgumentError, ValueError):
        return None
    secret = address.password or any("password" in name for name in address.query)
    return None if secret or address.get_backend_name() == "sqlite" else store


def inward(data: bytes, folder: Path, job: Job, lost: Sequence[Attempt], host: str, render: Render) -> State:
    """Fill the job's `folder` with what came back, write its report, and return its state, with every attempt.

    It is made whole in a folder beside it and then takes its place, ``state.json`` last: a driver that is killed here
    leaves a job that is done again, and what it told of earlier attempts. Raises WorkbenchError when what came back is
    damaged, or of another job; UnwrittenError, and InputError where somebody holds the folder, when it cannot be kept.
    """
    with _scratch(folder) as scratch:
        unpack(data, scratch)
        state = read_state(scratch)
        if state is None or state.key != job.key or state.status == "running":
            raise WorkbenchError("what came back is not the job's")
        attempts = [*_earlier(folder, job.key), *lost, *state.attempts]
        state = state.model_copy(update={"attempts": attempts, "host": host})
        with locked(folder, _PATIENCE_S), told_as_ours(folder):
            _prepend_log(scratch, lost)
            state = _conclude(scratch, job, state, render)
            _swap_in(scratch, folder)
            return state


def write_lost(folder: Path, job: Job, state: State, render: Render) -> None:
    """Write the state of a job of which nothing came back."""
    with locked(folder, _PATIENCE_S), told_as_ours(folder), _scratch(folder) as scratch:
        scratch.mkdir()
        attempts = [*_earlier(folder, job.key), *state.attempts]
        _prepend_log(scratch, state.attempts)
        _conclude(scratch, job, state.model_copy(update={"attempts": attempts}), render)
        _swap_in(scratch, folder)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield the path of a folder beside the job's own, and take away what is in it then."""
    scratch = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def sweep_scratch(folder: Path) -> None:
    """Take away what a killed driver was filling in the batch's `folder`. The caller holds its lock."""
    for left in folder.glob("*/.*"):
        if _SCRATCH.fullmatch(left.name) and left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


def sweep_placeholder(placeholder: Path, folder: Path) -> None:
    """Take away what an earlier run wrote about a job that did not come back, once it is in another folder."""
    if placeholder != folder and placeholder.is_dir():
        with contextlib.suppress(WorkbenchError):
            state = read_state(placeholder)
            if state is None or state.status == "failed":
                shutil.rmtree(placeholder, ignore_errors=True)


def _conclude(folder: Path, job: Job, state: State, render: Render) -> State:
    """Write what was to be done, the report and, last, the state. A report that cannot be made is the job's failure."""
    write_job(folder, job.model_copy(update={"store": _told_store(job.store)}))
    try:
        render(folder, state)
    except Exception as error:
        failure = Failure(kind="report", sentence=f"the report could not be written: {error}")
        state = state.model_copy(update={"status": "failed", "failure": state.failure or failure})
    write_state(folder, state)
    return state


def _earlier(folder: Path, key: str) -> list[Attempt]:
    """Return the attempts that earlier runs of the batch made at the same job."""
    with contextlib.suppress(WorkbenchError):
        state = read_state(folder)
        if state is not None and state.key == key:
            return state.attempts
    return []


def _swap_in(scratch: Path, folder: Path) -> None:
    """Let the files of `scratch` take the place of all that an earlier attempt left; that needs no room on the disk."""
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        elif left.name not in (LOCK, STATE):
            left.unlink(missing_ok=True)
    for item in sorted(scratch.iterdir(), key=lambda item: item.name == STATE):
        if item.name != LOCK:
            os.replace(item, folder / item.name)


def _prepend_log(folder: Path, lost: Sequence[Attempt]) -> None:
    """Begin the log with the attempts that were lost: they left none."""
    lines = [f"{each.started:%Y-%m-%dT%H:%M:%SZ} {each.failure.sentence}\n" for each in lost if each.failure]
    path = folder / LOG
    kept = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if lines:
        path.write_text("".join(lines) + kept, encoding="utf-8")
