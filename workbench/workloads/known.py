"""The workloads that have a name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InputError
from workbench.workloads.generator import synthetic
from workbench.workloads.loaded import Loaded, shortened
from workbench.workloads.reader import load

HOUR_FILE = "AAPL_2012-06-21_34200000_37800000_message_50.csv.gz"
_SEED = 1


@dataclass(frozen=True)
class Named:
    """A workload with a name."""

    name: str
    help: str
    make: Callable[[], Loaded]


def real_hour() -> Path | None:
    """Return the real hour's file below ``$WORKBENCH_DATA``, or None where it is not."""
    folder = os.environ.get("WORKBENCH_DATA")
    path = Path(folder) / HOUR_FILE if folder else None
    return path if path is not None and path.is_file() else None


def default() -> Loaded:
    """Return the real hour where ``WORKBENCH_DATA`` has it, else the synthetic one."""
    return named("aapl") if real_hour() else named("synthetic")


def _aapl() -> Loaded:
    path = real_hour()
    if path is None:
        raise InputError(f"workload aapl needs {HOUR_FILE} in the folder that WORKBENCH_DATA names: use synthetic")
    loaded = load(path)
    renamed = loaded.workload.model_copy(update={"name": "aapl"})
    return Loaded(loaded.events, renamed, loaded.notes, ("AAPL",), loaded.tick_sizes)


_NAMED = (
    Named("default", "the real AAPL hour where WORKBENCH_DATA has it, else synthetic", default),
    Named("aapl", "AAPL, NASDAQ, 2012-06-21, 9:30 to 10:30, 91,997 events (needs WORKBENCH_DATA)", _aapl),
    Named(
        "synthetic", "1 symbol, 100,000 events, like that hour", lambda: synthetic(1, 100_000, _SEED, name="synthetic")
    ),
    Named("synthetic-64", "64 symbols, 1 million events", lambda: synthetic(64, 1_000_000, _SEED)),
    Named("synthetic-512", "512 symbols, 2 million events", lambda: synthetic(512, 2_000_000, _SEED)),
)


def names() -> dict[str, str]:
    """Return the help of every named workload, by name."""
    return {workload.name: workload.help for workload in _NAMED}


def named(name: str) -> Loaded:
    """Return the workload called `name`. Raises InputError for another name, or where its file is absent."""
    for workload in _NAMED:
        if workload.name == name:
            return workload.make()
    raise InputError(f"there is no workload {name!r}: there are {', '.join(names())}, or give the path of a file")


def parse(text: str, *, limit: int | None = None) -> Loaded:
    """Return what a person means by `text`: a named workload, else the file at that path; at most `limit` events of it.

    Raises InputError with one sentence where it is neither.
    """
    if text not in names():
        path = Path(os.path.expanduser(text))  # leaves ~nobody as it is, where pathlib raises
        if not path.exists() and path.parent == Path():
            return named(text)  # tells what names there are
        return load(path, limit=limit)
    loaded = named(text)
    return loaded if limit is None else shortened(loaded, limit)
