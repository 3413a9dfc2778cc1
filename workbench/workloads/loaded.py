"""What a loader returns: the events, what is known of them, and what a person should know about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from kernels.messages import EVENT
from workbench.errors import InputError
from workbench.record import Workload

_FIELD_BYTES = 36  # of an event's 40
DEFAULT_TICK = 100  # 1/10,000 dollars: one cent, the tick of a US stock above one dollar


@dataclass(frozen=True, eq=False)
class Parsed:
    """What a parser made of a file's content."""

    content: str  # "lobster", "itch", "databento", "recording" or "synthetic"
    events: np.ndarray  # EVENT, in the order of the file
    notes: tuple[str, ...] = ()
    symbol_names: tuple[str, ...] = ()  # by dense id; empty where the file does not name them
    tick_sizes: tuple[int, ...] = ()  # 1/10,000 dollars a tick, by dense id; empty where the file does not say
    sha256: str | None = None  # of the events, where it is known already


@dataclass(frozen=True, eq=False)
class Loaded:
    """A workload, ready to be replayed.

    `events` may be mapped read-only from a file: kernels only read it.
    """

    events: np.ndarray  # EVENT
    workload: Workload  # what goes into a record
    notes: tuple[str, ...] = ()
    symbol_names: tuple[str, ...] = ()
    tick_sizes: tuple[int, ...] = ()

    @property
    def symbols(self) -> int:
        """Return how many symbols the events name: ids run from 0 to this, less one."""
        return self.workload.symbols


def require_events(events: np.ndarray, where: object) -> None:
    """Raise InputError when `events` is no EVENT array; `where` is for its text."""
    if events.dtype != EVENT or events.ndim != 1:
        raise InputError(
            f"{where}: needs a one-dimensional array of kernels.messages.EVENT, not {events.ndim} dimensions of "
            f"{events.dtype.names or events.dtype}: convert it with .astype(EVENT) (numpy.concatenate drops padding)"
        )


def padded_with_zeros(events: np.ndarray) -> np.ndarray:
    """Return `events` contiguous and with zeros in the 4 bytes behind each event's fields; itself where it is so.

    NumPy copies a structured array field by field and leaves the bytes between as they lay in memory: two equal arrays
    would then have different hashes.
    """
    rows = np.ascontiguousarray(events)
    if not rows.view(np.uint8).reshape(-1, EVENT.itemsize)[:, _FIELD_BYTES:].any():
        return rows
    clean = np.zeros(events.shape, EVENT)
    for field in EVENT.names or ():
        clean[field] = events[field]
    return clean


def by_time(events: np.ndarray) -> np.ndarray:
    """Return `events` ordered by time, those of one moment in the order they had; every byte of an event is kept."""
    order = np.argsort(events["timestamp_ns"], kind="stable")
    return np.take(events.view(f"V{EVENT.itemsize}"), order).view(EVENT)


def sha256_of(events: np.ndarray) -> str:
    """Return the SHA-256 of the bytes of an EVENT array."""
    return hashlib.sha256(padded_with_zeros(events).view(np.uint8).data).hexdigest()


def count_symbols(events: np.ndarray) -> int:
    """Return one more than the highest symbol id; 1 for no events, since no kernel is built for none."""
    return int(events["symbol"].max()) + 1 if events.size else 1


def shortened(loaded: Loaded, limit: int) -> Loaded:
    """Return the first `limit` events of `loaded`, described anew. Raises InputError for a limit below one."""
    if limit < 1:
        raise InputError(f"{loaded.workload.name}: the limit is {limit}, but at least one event must be read")
    if limit >= loaded.events.size:
        return loaded
    notes = (*loaded.notes, f"only the first {limit:,} of {loaded.events.size:,} events")
    workload, events = loaded.workload, loaded.events[:limit]
    parsed = Parsed(workload.content, events, notes, loaded.symbol_names, loaded.tick_sizes)
    return describe(parsed, workload.name, source=workload.source, seed=workload.seed)


def describe(parsed: Parsed, name: str, *, source: str | None = None, seed: int | None = None) -> Loaded:
    """Wrap `parsed` with its description. Reads every byte of the events for the hash, where that is not known."""
    assert parsed.events.dtype == EVENT, parsed.events.dtype
    workload = Workload(
        name=name,
        content=parsed.content,
        events=int(parsed.events.size),
        symbols=count_symbols(parsed.events),
        sha256=parsed.sha256 or sha256_of(parsed.events),
        seed=seed,
        source=source,
    )
    return Loaded(parsed.events, workload, parsed.notes, parsed.symbol_names, parsed.tick_sizes)
