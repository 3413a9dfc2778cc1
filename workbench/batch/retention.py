"""Which batches are kept and which may go: the newest of each plan, the young ones, the pinned, and what is running."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.batch.folder import FILE, locked, read_batch
from workbench.batch.job import LOCK
from workbench.errors import InputError, WorkbenchError
from workbench.files import write_text

PIN = "pinned.txt"
_GOING = ".going-"  # a batch on its way out: renamed first, so that nobody reads half of one


@dataclass(frozen=True)
class Found:
    """A batch on disk."""

    folder: Path
    plan: str
    created: datetime.datetime
    pin: str | None
    """Why somebody keeps it; None where nobody does."""


@dataclass(frozen=True)
class Fate:
    """What becomes of a batch: `reason` says why it stays; an empty one lets it go."""

    batch: Found
    size_bytes: int
    reason: str = ""


def find_batches(out: Path) -> list[Found]:
    """Return the batches in the folder `out`, newest first. What is no batch, or a link, is left alone."""
    found = []
    for file in out.glob(f"*/{FILE}"):
        folder = file.parent
        if folder.is_symlink() or folder.name.startswith("."):
            continue
        with contextlib.suppress(WorkbenchError, OSError):
            batch = read_batch(folder)
            if batch is not None:
                created = batch.created if batch.created.tzinfo else batch.created.replace(tzinfo=datetime.UTC)
                found.append(Found(folder, _plan_name(batch.plan, batch.name), created, read_pin(folder)))
    return sorted(found, key=lambda each: (each.created, each.folder.name), reverse=True)


def fates(
    batches: Sequence[Found], keep: int | None, days: float | None, now: datetime.datetime, plan: str | None = None
) -> list[Fate]:
    """Return what becomes of `batches`, which come newest first.

    A batch stays when it is among the newest `keep` of its plan, younger than `days`, pinned, or running. With `plan`
    only that plan's batches are looked at. Raises InputError without `keep` and `days`: nothing would stay.
    """
    if keep is None and days is None:
        raise InputError("say what stays: --keep N (the newest of each plan), --days D (the young ones), or both")
    if days is not None and math.isnan(days):
        raise InputError("--days takes a number of days, not nan")
    seen: dict[str, int] = {}
    found = []
    for batch in batches:
        if plan not in (None, batch.plan):
            continue
        place = seen[batch.plan] = seen.get(batch.plan, 0) + 1
        age_days = (now - batch.created).total_seconds() / 86400
        if batch.pin is not None:
            reason = f"pinned: {batch.pin}"
        elif keep is not None and place <= keep:
            reason = f"among the newest {keep} of {batch.plan}"
        elif days is not None and age_days < days:
            reason = f"{age_days:.0f} days old"
        elif is_running(batch.folder):
            reason = "running"
        else:
            reason = ""
        found.append(Fate(batch, size_of(batch.folder), reason))
    return found


def remove(folder: Path) -> bool:
    """Delete the batch in `folder`, now or, if this is killed, later; return False where it has begun to run."""
    going = folder.with_name(f"{_GOING}{folder.name}")
    try:
        with locked(folder):  # no batch can begin there now; one that began before holds a lock of its own
            if _a_job_runs(folder):
                return False
            folder.rename(going)
        shutil.rmtree(going)
    except InputError:
        return False
    except OSError as error:
        raise WorkbenchError(f"{error.filename or going} could not be deleted ({error.strerror})") from None
    return True


def remove_rests(out: Path) -> None:
    """Delete what an earlier clean that was killed had begun to delete."""
    for going in out.glob(f"{_GOING}*"):
        if not going.is_symlink():
            shutil.rmtree(going, ignore_errors=True)


def is_running(folder: Path) -> bool:
    """Return whether a process runs the batch in `folder` or one of its jobs: one of their locks is held."""
    return _is_held(folder) or _a_job_runs(folder)


def _a_job_runs(folder: Path) -> bool:
    """Return whether a job of the batch runs, as one whose batch was killed a moment ago, or one that was run alone."""
    return any(_is_held(lock.parent) for lock in folder.glob(f"*/*/{LOCK}"))


def _is_held(folder: Path) -> bool:
    if not (folder / LOCK).is_file():
        return False
    try:
        with locked(folder):
            return False
    except InputError:
        return True


def size_of(folder: Path) -> int:
    """Return how many bytes the files below `folder` take on the disk."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


def pin(folder: Path, because: str) -> None:
    """Keep the batch in `folder` for ever, and say why. Raises InputError where there is none."""
    if not (folder / FILE).is_file():
        raise InputError(f"{folder} is no batch: give the name of one below --out")
    if len(because) > 200 or not because.isprintable():
        raise InputError("a reason is at most 200 printable characters: write one line")
    write_text(folder / PIN, because + "\n")


def unpin(folder: Path) -> None:
    """Let the batch in `folder` go again in its time. Raises InputError where it is not pinned."""
    try:
        (folder / PIN).unlink()
    except OSError as error:
        raise InputError(f"{folder} is not pinned ({error.strerror})") from None


def read_pin(folder: Path) -> str | None:
    """Return why the batch in `folder` is kept; None where it is not pinned."""
    try:
        return (folder / PIN).read_text(encoding="utf-8", errors="replace").strip() or "no reason given"
    except OSError:
        return None


def _plan_name(plan: str, batch: str) -> str:
    """Return the name of the plan; without one, the batch's name without its date."""
    if plan:
        return Path(plan).stem
    head, _, _ = batch.rpartition("-20")
    return head or batch
