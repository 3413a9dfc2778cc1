"""What a database refuses, said in one sentence for a person."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from workbench.errors import InputError, WorkbenchError

DISK_FULL = "was not changed because the disk is full: make room and run again"
LOCKED = "was in use by another program for {seconds:g} s: run again"

_OF_THE_RECORD = ("22", "23", "54")  # classes of SQLSTATEs: data, integrity, too long


def moment_of(text: str, where: str) -> datetime.datetime:
    """Return the moment that `text`, from a column of the store `where`, tells. Raises WorkbenchError."""
    try:
        moment = datetime.datetime.fromisoformat(text)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    except ValueError:
        what = f"has {text[:40]!r} where a moment is due"
        raise WorkbenchError(f"{where} {what}: it was not written by a workbench, or restore it from a copy") from None


@dataclass(frozen=True)
class Sentence:
    """What is told, after the store's name, where the database says one of `parts` or gives one of `codes`."""

    told: str
    parts: tuple[str, ...] = ()
    """Lower case, of the database's own words."""
    codes: tuple[str, ...] = ()
    """Beginnings of SQLSTATEs."""
    kind: type[WorkbenchError] = InputError

    def fits(self, words: str, code: str) -> bool:
        """Return whether this is meant."""
        return any(part in words for part in self.parts) or any(code.startswith(begin) for begin in self.codes)


def sentence(
    error: DBAPIError | sqlite3.Error, where: str, known: Sequence[Sentence], secrets: Sequence[str] = ()
) -> WorkbenchError:
    """Say in one sentence what a database refused, and what to do. `secrets` are taken out of the database's words."""
    own = error.orig if isinstance(error, DBAPIError) else error
    words = str(own).strip()
    code = getattr(own, "sqlstate", None) or ""
    for each in known:
        if each.fits(words.lower(), code):
            return each.kind(f"{where} {each.told}")
    first = words.splitlines()[0] if words else type(error).__name__
    for secret in secrets:
        first = first.replace(secret, "***")
    refused = isinstance(error, (IntegrityError, DataError, sqlite3.IntegrityError)) or code[:2] in _OF_THE_RECORD
    if refused:
        return WorkbenchError(f"{where} refused the record and was not changed ({first})")
    return WorkbenchError(f"{where} cannot be used ({first}): check the address given with --store")
