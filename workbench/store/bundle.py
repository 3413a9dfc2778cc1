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
from workbench.record import Frozen, Moment, ProfileRecord, Record, RecordError, Run, from_json
from workbench.store.bundle_entries import MANIFEST, MOST_BYTES, Entries, EntryError, record_id_of
from workbench.store.database import Baseline
from workbench.store.histogram_logs import logs_of

SCHEMA = "workbench/bundle/1"
_RECORD_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Member(Frozen):
    """One file of the bundle."""

    sha256: str
    bytes: int = Field(ge=0)


class Held(Frozen):
    """One record of the bundle; its JSON is ``records/<record_id>.json``."""

    record_id: str
    kind: str
    created: Moment


class Named(Frozen):
    """A baseline: which record a name stood for, on which kind of machine and for which kernels."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    hardware_key: str
    kernels: list[str]
    record_id: str
    saved: Moment


class Manifest(Frozen):
    """What a bundle says of itself."""

    schema_name: str = Field(alias="schema")
    created: Moment
    workbench: str
    records: list[Held]
    baselines: list[Named] = Field(default_factory=list)
    members: dict[str, Member]


def write_bundle(path: Path, records: Sequence[Record], baselines: Sequence[Baseline] = ()) -> Manifest:
    """Write `records` and `baselines` of them to `path`, whole or not at all. Artefacts that are gone are left out.

    Raises InputError without a record, where `path` cannot be written or an artefact cannot be read, and where `Bundle`
    would refuse what was written: for too many records at once, or an artefact that is too large.
    """
    if not records:
        raise InputError("there is no record to export: name some, or give --all")
    members: dict[str, Member] = {}
    entries = Entries()
    with files.replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            for name, data in _members_of(record):
                members[name] = Member(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
                _put(archive, entries, name, data)
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
        _put(archive, entries, MANIFEST, manifest.model_dump_json(by_alias=True, indent=1).encode())
    return manifest


def _put(archive: zipfile.ZipFile, entries: Entries, name: str, data: bytes) -> None:
    """Write a member without a time of its own, so that the same records make the same bytes; check it as a reader."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)
    try:
        entries.take(entry)
    except EntryError as error:
        remedy = "export fewer records at once, or move the artefact away"
        raise InputError(f"the bundle was not written: {error}: {remedy}") from None


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
        yield from _artefacts_of(record)


def _artefact_files(record: ProfileRecord) -> list[Path]:
    """Return where the artefacts lie: of a record that was imported only in its own folder, below the data folder.

    Its author could have named any file of whoever exports it again.
    """
    folder = files.data_folder() / "artefacts" / record.record_id
    inside = f"artefacts/{record.record_id}/"
    if folder.is_dir() or any(name.startswith(inside) for name in record.artefacts):
        return sorted(path for path in folder.glob("*") if not path.is_symlink())
    return [Path(name) for name in dict.fromkeys(record.artefacts)]


def _artefacts_of(record: ProfileRecord) -> Iterator[tuple[str, bytes]]:
    """Yield the artefacts that are still there. Of two files with one name the later gets a number."""
    used: set[str] = set()
    for path in _artefact_files(record):
        try:
            if not path.is_file():
                continue
            size_bytes = path.stat().st_size
            if size_bytes > MOST_BYTES:  # before it is read into memory
                what = f"{path} has {size_bytes:,} bytes, a file in a bundle at most {MOST_BYTES:,}"
                raise InputError(f"the bundle was not written: {what}: move that artefact away")
            data = path.read_bytes()
        except OSError as error:
            what = f"artefact {path} of record {record.record_id} cannot be read ({error.strerror})"
            raise InputError(f"{what}: make it readable, or move it away") from None
        name, number = path.name, 1
        while name in used:
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        member = f"artefacts/{record.record_id}/{name}"
        if record_id_of(member) is not None:
            used.add(name)
            yield member, data


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
        """Yield the records, one at a time.

        A profile names the members that are its artefacts, ``artefacts/<record_id>/FILE``, in place of the paths of
        the machine that it comes from: those are followed by nobody here.
        """
        for held in self.manifest.records:
            name = f"records/{held.record_id}.json"
            try:
                record = from_json(self.read(name), f"{self.path}: {name}")
            except RecordError as error:
                raise InputError(str(error)) from None
            if (record.record_id, record.kind) != (held.record_id, held.kind):
                raise InputError(f"{self.path}: {name} holds another record than its name says: export it again")
            if isinstance(record, ProfileRecord):
                inside = f"artefacts/{held.record_id}/"
                members = sorted(each for each in self.manifest.members if each.startswith(inside))
                record = record.model_copy(update={"artefacts": members})
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
        """Return the content of one member, which is as long as the archive's directory says.

        No more than that is unpacked: without a length `zipfile` unpacks up to 1 GiB before it compares.
        """
        entry = self._entries[name]
        try:
            with self._archive.open(entry) as stream:
                return stream.read(entry.file_size + 1)  # one more reaches the end, where the checksum is compared
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{self.path} is damaged at {name} ({error}): fetch or export it again") from None

    def _safe_entries(self) -> Entries:
        """Return the entries by name, after all that could harm is refused. Nothing is unpacked yet."""
        entries = Entries()
        try:
            for entry in self._archive.infolist():
                entries.take(entry)
        except EntryError as error:
            raise InputError(f"{self.path}: {error}: it was not opened") from None
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
        stray = [name for name in sorted(there) if record_id_of(name) not in wanted]
        if stray:
            raise InputError(f"{self.path}: {stray[0][:80]!r} belongs to no record of it: export it again")
        lost = [named.name for named in self.manifest.baselines if named.record_id not in wanted]
        if lost:
            raise InputError(f"{self.path}: baseline {lost[0][:80]!r} stands for a record that is not there")
        for name, member in self.manifest.members.items():
            data = self.read(name)
            if len(data) != member.bytes or hashlib.sha256(data).hexdigest() != member.sha256:
                raise InputError(f"{self.path}: {name} is not what it was when it was exported: fetch it again")


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
