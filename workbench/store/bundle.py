"""Records in one file, for another store or machine: a zip whose layout docs/bundle.md tells.

Beside the records lie their latencies as HdrHistogram logs and the artefacts of profiles, for who has no workbench. A
manifest names every member with its SHA-256. What comes from elsewhere is not trusted: it is read whole and checked
before the first record is kept, and then all are kept in one transaction.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

import workbench
from workbench import files
from workbench.errors import InputError, WorkbenchError
from workbench.measure.histogram import Histogram, HistogramError
from workbench.record import Frozen, ProfileRecord, Record, RecordError, Run, from_json
from workbench.store.database import Baseline
from workbench.store.histogram_logs import logs_of

SCHEMA = "workbench/bundle/1"
MANIFEST = "manifest.json"
MOST_MEMBERS = 100_000
MOST_BYTES = 256 << 20  # of one member, unpacked: a thousand times a record of six processes
MOST_BYTES_TOGETHER = 4 << 30
MOST_RATIO = 500  # unpacked over packed, from a megabyte on: JSON of histograms reaches 10, zeros 1,000
_NAMES = re.compile(r"(records|machines|histograms|artefacts)/[A-Za-z0-9_-]{1,64}(\.json|/[^/\\\x00-\x1f]{1,180})")
_RECORD_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Member(Frozen):
    """One file of the bundle."""

    sha256: str
    bytes: int = Field(ge=0)


class Held(Frozen):
    """One record of the bundle; its JSON is ``records/<record_id>.json``."""

    record_id: str
    kind: str
    created: datetime.datetime


class Named(Frozen):
    """A baseline: which record a name stood for, on which kind of machine and for which kernels."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    hardware_key: str
    kernels: list[str]
    record_id: str
    saved: datetime.datetime


class Manifest(Frozen):
    """What a bundle says of itself."""

    schema_name: str = Field(alias="schema")
    created: datetime.datetime
    workbench: str
    records: list[Held]
    baselines: list[Named] = Field(default_factory=list)
    members: dict[str, Member]


def write_bundle(path: Path, records: Sequence[Record], baselines: Sequence[Baseline] = ()) -> Manifest:
    """Write `records` and `baselines` of them to `path`, whole or not at all. Artefacts that are gone are left out.

    Raises InputError without a record, or where `path` cannot be written.
    """
    if not records:
        raise InputError("there is no record to export: name some, or give --all")
    members: dict[str, Member] = {}
    with files.replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            for name, data in _members_of(record):
                members[name] = Member(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
                archive.writestr(_entry(name), data)
        kept = {record.record_id for record in records}
        manifest = Manifest(
            schema=SCHEMA,
            created=datetime.datetime.now(datetime.UTC),
            workbench=workbench.__version__,
            records=[Held(record_id=r.record_id, kind=r.kind, created=r.created) for r in records],
            baselines=[
                Named(**{**vars(each), "kernels": list(each.kernels)}) for each in baselines if each.record_id in kept
            ],
            members=members,
        )
        archive.writestr(_entry(MANIFEST), manifest.model_dump_json(by_alias=True, indent=1))
    return manifest


def _entry(name: str) -> zipfile.ZipInfo:
    """Return the head of a member: no time of its own, so that the same records make the same bytes."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _members_of(record: Record) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file that `record` becomes."""
    if not _RECORD_ID.fullmatch(record.record_id):
        raise InputError(f"record {record.record_id[:40]!r} cannot be exported: its id is no name for a file")
    yield f"records/{record.record_id}.json", record.to_json().encode()
    machine = record.machine.model_dump_json(indent=1)
    yield f"machines/{record.record_id}.json", machine.encode()
    if isinstance(record, Run):
        try:
            logs = logs_of(record)
        except HistogramError as error:
            raise WorkbenchError(f"record {record.record_id} is damaged in the store: {error}") from None
        for name, text in logs.items():
            yield f"histograms/{record.record_id}/{name}.hlog", text.encode()
    if isinstance(record, ProfileRecord):
        for name in dict.fromkeys(record.artefacts):
            file = Path(name)
            if file.is_file() and _NAMES.fullmatch(f"artefacts/{record.record_id}/{file.name}"):
                yield f"artefacts/{record.record_id}/{file.name}", file.read_bytes()


class Bundle:
    """A bundle that was opened and checked, member by member. Use it in a ``with`` block.

    Raises InputError, one sentence, for what is no bundle, is damaged, or would be unsafe to unpack.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): give the path of a bundle") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise InputError(f"{path} is no bundle, or is cut short ({error}): fetch or export it again") from None
        try:
            self._entries = self._safe_entries()
            self.manifest = self._read_manifest()
            self._check_members()
            for record in self.records():
                _check_histograms(record, self.path)
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()

    def records(self) -> Iterator[Record]:
        """Yield the records, one at a time."""
        for held in self.manifest.records:
            name = f"records/{held.record_id}.json"
            try:
                record = from_json(self.read(name), f"{self.path}: {name}")
            except RecordError as error:
                raise InputError(str(error)) from None
            if (record.record_id, record.kind) != (held.record_id, held.kind):
                raise InputError(f"{self.path}: {name} holds another record than its name says: export it again")
            yield record

    def baselines(self) -> list[Baseline]:
        """Return the baselines that the bundle names."""
        return [
            Baseline(each.name, each.hardware_key, tuple(each.kernels), each.record_id, each.saved)
            for each in self.manifest.baselines
        ]

    def artefacts(self) -> list[str]:
        """Return the names of the members that are artefacts of profiles."""
        return [name for name in self.manifest.members if name.startswith("artefacts/")]

    def read(self, name: str) -> bytes:
        """Return the content of one member, which is as long as the archive's directory says."""
        try:
            return self._archive.read(self._entries[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise InputError(f"{self.path} is damaged at {name} ({error}): fetch or export it again") from None

    def _safe_entries(self) -> dict[str, zipfile.ZipInfo]:
        """Return the entries by name, after all that could harm is refused. Nothing is unpacked yet."""
        entries: dict[str, zipfile.ZipInfo] = {}
        listed = self._archive.infolist()
        if len(listed) > MOST_MEMBERS or sum(entry.file_size for entry in listed) > MOST_BYTES_TOGETHER:
            raise InputError(f"{self.path} would unpack to more than a bundle holds: it was not opened")
        for entry in listed:
            if entry.filename != MANIFEST and not _safe(entry.filename):
                raise InputError(f"{self.path} holds {entry.filename[:80]!r}, which is no part of a bundle")
            if entry.filename in entries:
                raise InputError(f"{self.path} holds {entry.filename[:80]!r} twice: export it again")
            inflated = entry.file_size > 1 << 20 and entry.file_size > MOST_RATIO * max(entry.compress_size, 1)
            if entry.file_size > MOST_BYTES or inflated:
                what = f"{entry.filename[:80]!r} would unpack to {entry.file_size:,} bytes"
                raise InputError(f"{self.path}: {what}, more than anything in a bundle: it was not opened")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InputError(f"{self.path}: {entry.filename[:80]!r} is packed in a way that bundles are not")
            entries[entry.filename] = entry
        return entries

    def _read_manifest(self) -> Manifest:
        if MANIFEST not in self._entries:
            raise InputError(f"{self.path} has no {MANIFEST}, so it is no bundle: make one by `workbench store export`")
        try:
            raw = json.loads(self.read(MANIFEST))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path}: {MANIFEST} is not JSON ({error}): export it again") from None
        schema = raw.get("schema") if isinstance(raw, dict) else None
        if schema != SCHEMA:
            told = str(schema)[:60]
            later = re.fullmatch(r"workbench/bundle/([0-9]{1,6})", told)
            if later:
                raise InputError(f"{self.path} has version {later[1]} of bundles, this program reads 1: update it")
            raise InputError(f"{self.path}: {MANIFEST} has schema {told!r}, expected {SCHEMA}")
        try:
            return Manifest.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])[:120]
            raise InputError(f"{self.path}: {MANIFEST}, field {field}: {first['msg']}") from None

    def _check_members(self) -> None:
        """Hold the manifest against what is there: every member, its length and its hash."""
        listed, there = set(self.manifest.members), set(self._entries) - {MANIFEST}
        if listed != there:
            name = sorted(listed ^ there)[0]
            state = "is missing" if name in listed else "stands in no manifest"
            raise InputError(f"{self.path}: {name[:80]!r} {state}: export it again")
        wanted = [held.record_id for held in self.manifest.records]
        absent = [each for each in wanted if f"records/{each}.json" not in there]
        beside = [name for name in there if name.startswith("records/")]
        if absent or len(set(wanted)) != len(wanted) or len(wanted) != len(beside):
            raise InputError(f"{self.path}: {MANIFEST} and the records beside it do not agree: export it again")
        lost = [named.name for named in self.manifest.baselines if named.record_id not in wanted]
        if lost:
            raise InputError(f"{self.path}: baseline {lost[0][:80]!r} stands for a record that is not there")
        for name, member in self.manifest.members.items():
            data = self.read(name)
            if len(data) != member.bytes or hashlib.sha256(data).hexdigest() != member.sha256:
                raise InputError(f"{self.path}: {name} is not what it was when it was exported: fetch it again")


def _safe(name: str) -> bool:
    """Return whether `name` is one of a bundle's, and leads nowhere else when a file is made of it."""
    return bool(_NAMES.fullmatch(name)) and not any(part in ("", ".", "..") for part in name.split("/"))


def _check_histograms(record: Record, path: Path) -> None:
    """Decode each histogram: a store must not take in what breaks every later figure."""
    sides: list[Any] = []
    if isinstance(record, Run):
        sides = [side for replicate in record.replicates for block in replicate.blocks for side in block.sides]
    for side in sides:
        for text in (side.histogram, side.service, *side.stages.values()):
            if text is not None:
                try:
                    Histogram.decode(text)
                except HistogramError as error:
                    raise InputError(f"{path}: record {record.record_id}, {side.variant}: {error}") from None
