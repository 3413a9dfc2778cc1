"""What the site keeps of all nights: parts of at most a month, so that one more night touches a few small files.

Below the folder of all batches, ``nights/`` holds ``2026-11.json`` and ``2026-11.html`` (a busy month has
``2026-11-2`` and so on), and ``contents.json`` tells which parts there are. A night costs one part, the table of
contents and the first page, however many nights there are.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import InputError, WorkbenchError
from workbench.files import write_text
from workbench.report.night import Night, Series

FOLDER, CONTENTS = "nights", "contents.json"
PART_NIGHTS = 35
"""Nights in one part: those of a month. Where several plans run every night, a month has several parts."""


class Part(BaseModel):
    """A page of nights, in order of time, with the series of their values."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Literal["workbench/nights/1"] = Field(default="workbench/nights/1", alias="schema")
    series: dict[str, Series] = Field(default_factory=dict)
    nights: list[Night] = Field(default_factory=list)


class Entry(BaseModel):
    """What the table of contents tells of a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: str
    nights: int
    first: str
    last: str
    badges: dict[str, int] = Field(default_factory=dict)


class Contents(BaseModel):
    """The parts there are, in the order of their newest nights."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Literal["workbench/nights-contents/1"] = Field(default="workbench/nights-contents/1", alias="schema")
    parts: list[Entry] = Field(default_factory=list)


@contextlib.contextmanager
def locked(site: Path) -> Iterator[None]:
    """Hold the site in the folder `site` while it changes: two batches may end at the same moment.

    Raises InputError where it cannot be written.
    """
    try:
        (site / FOLDER).mkdir(parents=True, exist_ok=True)
        handle = os.open(site / FOLDER / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(f"{site} cannot be written ({error.strerror}): choose the folder of your batches") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_contents(site: Path) -> Contents:
    """Return which parts there are; without the file, or with a damaged one, what the parts themselves tell."""
    try:
        return Contents.model_validate_json((site / FOLDER / CONTENTS).read_bytes())
    except (OSError, ValidationError):
        return Contents(parts=_in_order([entry_of(page, read_part(site, page)) for page in pages_of(site)]))


def pages_of(site: Path) -> list[str]:
    """Return the pages whose parts are there as files, whatever the table of contents tells."""
    return sorted(path.stem for path in (site / FOLDER).glob("*.json") if path.name != CONTENTS)


def write_contents(site: Path, contents: Contents) -> None:
    """Write which parts there are."""
    write_text(site / FOLDER / CONTENTS, contents.model_dump_json(by_alias=True) + "\n")


def read_part(site: Path, page: str) -> Part:
    """Return a part. Raises WorkbenchError where it is damaged."""
    path = site / FOLDER / f"{page}.json"
    try:
        return Part.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise WorkbenchError(
            f"{path} is lost or damaged ({str(error).splitlines()[0]}): delete it, and `workbench report site` makes "
            "it anew from the batches that are still there"
        ) from None


def write_part(site: Path, page: str, part: Part) -> None:
    """Write a part."""
    write_text(site / FOLDER / f"{page}.json", part.model_dump_json(by_alias=True, exclude_defaults=True) + "\n")


def place(site: Path, contents: Contents, night: Night) -> tuple[str, Part]:
    """Return the page that holds `night`, or is to hold it, and what that page holds now."""
    month = night.created[:7] if re.fullmatch(r"\d{4}-\d{2}", night.created[:7]) else "undated"
    pages = [entry.page for entry in contents.parts if re.fullmatch(rf"{month}(-\d+)?", entry.page)]
    roomy: tuple[str, Part] | None = None
    for page in reversed(pages):
        part = read_part(site, page)
        if any(known.name == night.name for known in part.nights):
            return page, part
        if roomy is None and len(part.nights) < PART_NIGHTS:
            roomy = (page, part)
    if roomy is not None:
        return roomy
    taken = {*pages, *pages_of(site)}  # a damaged part stays as it is until a person deletes it
    names = (month if number == 1 else f"{month}-{number}" for number in itertools.count(1))
    return next(name for name in names if name not in taken), Part()


def with_night(part: Part, night: Night, series: dict[str, Series]) -> Part:
    """Return `part` with `night`, in place of what it held under that name, without series that nobody names."""
    nights = sorted([*(known for known in part.nights if known.name != night.name), night], key=_moment)
    named = {identity for each in nights for identity in each.values}
    merged = {**part.series, **series}
    return Part(series={identity: merged[identity] for identity in sorted(named)}, nights=nights)


def with_entry(contents: Contents, entry: Entry) -> Contents:
    """Return the contents with `entry`, in place of what stood for its page."""
    others = [known for known in contents.parts if known.page != entry.page]
    return Contents(parts=_in_order([*others, entry]))


def entry_of(page: str, part: Part) -> Entry:
    """Return what the table of contents tells of `part`."""
    badges = Counter(night.badge for night in part.nights)
    moments = [night.created for night in part.nights] or [""]
    return Entry(page=page, nights=len(part.nights), first=moments[0], last=moments[-1], badges=dict(badges))


def neighbours(contents: Contents) -> dict[str, tuple[str | None, str | None]]:
    """Return the page before and the page after each page; None at the ends."""
    names = [entry.page for entry in contents.parts]
    return {
        name: (names[at - 1] if at else None, names[at + 1] if at + 1 < len(names) else None)
        for at, name in enumerate(names)
    }


def newest_nights(site: Path, contents: Contents, count: int, known: dict[str, Part] | None = None) -> Part:
    """Return the `count` newest nights as one part; `known` are parts that need not be read."""
    nights: list[Night] = []
    series: dict[str, Series] = {}
    for entry in reversed(contents.parts):
        if len(nights) >= count and entry.last <= nights[-count].created:
            break  # all that follow end even earlier: a part may reach far back, when an old batch was added late
        part = (known or {}).get(entry.page) or read_part(site, entry.page)
        nights = sorted([*part.nights, *nights], key=_moment)
        series = {**part.series, **series}
    return Part(series=series, nights=nights[-count:])


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.last, entry.page))


def _moment(night: Night) -> tuple[str, str]:
    return night.created, night.name
