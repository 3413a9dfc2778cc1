"""Allocation records in, totals by site out: how often, how much, how soon given back, and what never was.

The records are memray's, or anything with its fields; where each was made is told by who calls. No file is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from workbench.codemap.lines import Frame
from workbench.profile.counted import Line

FREES = frozenset((1, 5))  # memray.AllocatorType: PYMALLOC_FREE, FREE
MMAP, MUNMAP = 14, 15
NEXT_CALL = "the begin of the next call"  # the name of the site that parts the calls
MOST_RECORDS = 5_000_000  # are read: each is kept until the peak is known
TEMPORARY = 1  # memray's own threshold: at most so many further allocations of its thread before it is given back


class Site(NamedTuple):
    """Where an allocation was made. `line` is None for what is no line of the profiled code; `name` says what it is."""

    line: Line | None
    name: str
    stack: tuple[Frame, ...]  # outermost first


@dataclass
class Totals:
    """What one site allocated."""

    allocations: int = 0
    allocated_bytes: int = 0
    temporary: int = 0
    leaked: int = 0
    leaked_bytes: int = 0
    leaked_calls: int = 0  # so many of the calls kept something: what fills a cache once is one
    peak_bytes: int = 0  # of this site when the whole heap was largest


@dataclass
class Read:
    """All records of one file."""

    sites: dict[Site, Totals] = field(default_factory=dict)
    peak_bytes: int = 0
    records: int = 0
    calls: int = 0  # that had begun
    cut: bool = False  # there were more than were read


class _Live(NamedTuple):
    site: int
    size_bytes: int
    thread: int
    ordinal: int  # of the allocation, within its thread
    call: int  # in which it was made


class _Reader:
    """Follows the records in their order."""

    def __init__(self) -> None:
        self.numbers: dict[Site, int] = {}
        self.totals: list[Totals] = []
        self.live: dict[int, _Live] = {}
        self.ordinals: dict[int, int] = {}
        self.call = 0
        self.deltas: list[int] = []  # bytes, negative where they were given back
        self.owners: list[int] = []

    def allocate(self, record: Any, site: Site) -> None:
        """Count one allocation."""
        if site not in self.numbers:
            self.numbers[site] = len(self.totals)
            self.totals.append(Totals())
        number = self.numbers[site]
        total = self.totals[number]
        total.allocations += 1
        total.allocated_bytes += record.size
        self.release(record.address, record.tid, None)  # an address that was given back unseen
        self.ordinals[record.tid] = self.ordinals.get(record.tid, 0) + 1
        self.live[record.address] = _Live(number, record.size, record.tid, self.ordinals[record.tid], self.call)
        self._note(number, record.size)

    def release(self, address: int, thread: int, size_bytes: int | None) -> None:
        """Take back what lies at `address`; of a mapping only its first `size_bytes`."""
        live = self.live.pop(address, None)
        if live is None:
            return
        given_back = live.size_bytes
        if size_bytes is not None and size_bytes < live.size_bytes:
            given_back = size_bytes
            self.live[address + size_bytes] = live._replace(size_bytes=live.size_bytes - size_bytes)
        elif live.thread == thread and self.ordinals[thread] - live.ordinal <= TEMPORARY:
            self.totals[live.site].temporary += 1
        self._note(live.site, -given_back)

    def _note(self, owner: int, delta: int) -> None:
        self.deltas.append(delta)
        self.owners.append(owner)


def read_records(records: Iterable[Any], locate: Callable[[Any], Site], most: int = MOST_RECORDS) -> Read:
    """Return the totals by site of `records`, in the order in which they were made.

    A record has `address`, `size`, `allocator`, `tid`, and what `locate` asks for. What is still there at the end is
    leaked; what was given back after at most one further allocation of its thread is temporary, as in memray's report.
    An allocation at `NEXT_CALL` is no allocation: it says that the next call begins. Reading
    ends after `most` records: what is given back later is then not known, so nothing counts as leaked.
    """
    reader, read = _Reader(), Read()
    for record in records:
        if read.records == most:
            read.cut = True
            break
        read.records += 1
        if record.allocator in FREES:
            reader.release(record.address, record.tid, None)
        elif record.allocator == MUNMAP:
            reader.release(record.address, record.tid, record.size)
        else:
            site = locate(record)
            if site.name == NEXT_CALL:
                reader.call += 1
                reader.release(record.address, record.tid, None)
            else:
                reader.allocate(record, site)
    keeping: dict[int, set[int]] = {}
    read.calls = reader.call
    for live in () if read.cut else reader.live.values():
        keeping.setdefault(live.site, set()).add(live.call)
        reader.totals[live.site].leaked += 1
        reader.totals[live.site].leaked_bytes += live.size_bytes
    for number, kept_by in keeping.items():
        reader.totals[number].leaked_calls = len(kept_by)
    read.sites = dict(zip(reader.numbers, reader.totals, strict=True))
    if reader.deltas:
        heap = np.cumsum(np.array(reader.deltas, np.int64))
        top = int(heap.argmax())
        read.peak_bytes = max(0, int(heap[top]))
        owners, deltas = np.array(reader.owners[: top + 1]), np.array(reader.deltas[: top + 1], np.float64)
        held = np.bincount(owners, deltas, len(reader.totals)) if read.peak_bytes else np.zeros(len(reader.totals))
        for total, size in zip(reader.totals, held, strict=True):
            total.peak_bytes = int(size)
    return read
