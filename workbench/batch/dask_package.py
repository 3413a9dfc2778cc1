"""A job's files as bytes: what goes to a worker and comes back, since the two may share no file system.

A zip with limits, written and read by one set of rules. No pickle: what comes back is checked before it is kept.
"""

from __future__ import annotations

import contextlib
import errno
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from workbench.batch.job import EXECUTED, LOCK, LOG, RECORDS, REPORT, RESULTS, STATE
from workbench.errors import WorkbenchError

MOST_BYTES = 256 << 20  # of all files of a job, unpacked: as much as a single artefact in a run bundle
MOST_FILES = 2_000
_FIRST = (STATE, "outcome.json", RESULTS, RECORDS, LOG, EXECUTED)  # what a job must not come back without
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_PART = re.compile(r"(?!\.\.?$)[^/\\\x00-\x1f]{1,200}")


def pack(folder: Path, leave: Iterable[str] = (LOCK, REPORT)) -> tuple[bytes, list[str]]:
    """Return the files below `folder` as a zip, and the names of those that were too much for it.

    `leave` names files of the folder itself that stay: the lock, and the report, which is made again where it is read.
    Links are not followed.
    """
    left, total = set(leave), 0
    chosen: list[str] = []
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {str(path.relative_to(folder)): path for path in files}
    beyond = []
    for name in sorted((name for name in names if name not in left), key=lambda name: _order(name, names[name])):
        size_bytes = names[name].stat().st_size
        if total + size_bytes > MOST_BYTES or len(chosen) >= MOST_FILES or not _is_safe(name):
            beyond.append(name)
            continue
        total += size_bytes
        chosen.append(name)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name in chosen:
            archive.writestr(zipfile.ZipInfo(name), names[name].read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue(), sorted(beyond)


class UnwrittenError(WorkbenchError):
    """The disk here took no more: whoever sent the files is not to blame, nor can send better ones."""


@contextlib.contextmanager
def told_as_ours(folder: Path) -> Iterator[None]:
    """Raise UnwrittenError where the disk here is why files below `folder` cannot be written."""
    try:
        yield
    except WorkbenchError as error:
        raise UnwrittenError(str(error)) from None
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        told = f"what came back could not be written below {folder.parent} ({error.strerror})"
        raise UnwrittenError(f"{told}: make room there, and run the batch again") from None


def unpack(data: bytes, folder: Path) -> None:
    """Write the files of a zip below `folder`.

    Raises WorkbenchError for one that `pack` would not have made, UnwrittenError where the disk is full.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
                raise WorkbenchError(f"a job's files are more than {MOST_BYTES:,} bytes in {MOST_FILES:,} files")
            for entry in entries:
                if not _is_safe(entry.filename):
                    raise WorkbenchError(f"a job's file cannot be called {entry.filename[:60]!r}")
                with archive.open(entry) as stream:
                    content = stream.read(entry.file_size + 1)  # one more reaches the end, and the checksum there
                path = folder / entry.filename
                with told_as_ours(folder):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, NotImplementedError) as error:
        raise WorkbenchError(f"a job's files arrived damaged ({error})") from None


def _order(name: str, path: Path) -> tuple[int, int, str]:
    """Return what sorts the files that must come first, and then the small before the large."""
    first = name.partition("/")[0]
    return (_FIRST.index(first) if first in _FIRST else len(_FIRST), path.stat().st_size, name)


def _is_safe(name: str) -> bool:
    return len(name) <= 1000 and all(_PART.fullmatch(part) for part in name.split("/"))
