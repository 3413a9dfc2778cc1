"""What may stand in the zip of a bundle: one set of limits for who writes a bundle and who opens one.

Because both sides hold to it, no bundle is written that an import refuses, and all of it is known from the archive's
directory, before a byte is unpacked.
"""

from __future__ import annotations

import re
import zipfile

MANIFEST = "manifest.json"
MOST_MEMBERS = 100_000
MOST_BYTES = 256 << 20  # of one member, unpacked: a thousand times a record of six processes
MOST_BYTES_TOGETHER = 4 << 30
MOST_RATIO = 500  # unpacked over packed, from a megabyte on: JSON of histograms reaches 10, zeros 1,000
_NAMES = re.compile(
    r"(?:(?:records|machines)/(?P<whole>[A-Za-z0-9_-]{1,64})\.json"
    r"|(?:histograms|artefacts)/(?P<folder>[A-Za-z0-9_-]{1,64})/(?!\.\.?$)[^/\\\x00-\x1f]{1,180})"
)


class EntryError(Exception):
    """An entry that no bundle holds; the words follow the path of the bundle and a colon."""


class Entries(dict[str, zipfile.ZipInfo]):
    """The entries of one bundle by name, each of them checked by `take`."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0  # of all of them, unpacked

    def take(self, entry: zipfile.ZipInfo) -> None:
        """Add `entry`, whose sizes are known; raise EntryError where it would harm who unpacks it."""
        shown = repr(entry.filename[:80])
        if entry.filename != MANIFEST and record_id_of(entry.filename) is None:
            raise EntryError(f"{shown} is no part of a bundle")
        if entry.filename in self:
            raise EntryError(f"{shown} stands in it twice")
        inflated = entry.file_size > 1 << 20 and entry.file_size > MOST_RATIO * max(entry.compress_size, 1)
        if entry.file_size > MOST_BYTES or inflated:
            raise EntryError(f"{shown} would unpack to {entry.file_size:,} bytes, more than anything in a bundle")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise EntryError(f"{shown} is packed in a way that bundles are not")
        self.bytes += entry.file_size
        self[entry.filename] = entry
        if len(self) > MOST_MEMBERS or self.bytes > MOST_BYTES_TOGETHER:
            most = f"{MOST_MEMBERS:,} files and {MOST_BYTES_TOGETHER:,} bytes"
            raise EntryError(f"it would unpack to more than a bundle holds, {most}")


def record_id_of(name: str) -> str | None:
    """Return the id of the record that the member `name` belongs to.

    None where it is no name of a bundle's, or would lead elsewhere when a file is made of it.
    """
    found = _NAMES.fullmatch(name)
    return (found["whole"] or found["folder"]) if found else None
