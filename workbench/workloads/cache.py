"""Keeps parsed files as recordings, so that the second load maps memory instead of parsing.

An entry is two files named after the hash of the source file's bytes and of the parser's own source: the events, and a
small JSON with the rest, written last. An entry that is absent, half written or damaged is parsed again, never trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kernels._jit import source_hash
from workbench import files
from workbench.errors import WorkbenchError
from workbench.workloads import databento, itch, lobster, recording
from workbench.workloads.loaded import Parsed, sha256_of

_PARSERS = (lobster.__file__, itch.__file__, databento.__file__, recording.__file__, __file__)


def folder() -> Path:
    """Return where the parsed files lie."""
    return files.cache_folder() / "workloads"


def parsed_once(path: Path, parse: Callable[[], Parsed]) -> Parsed:
    """Return what `parse` makes of the file `path`, from the cache where it holds it."""
    entry = folder() / _key(path)
    found = _read(entry)
    if found is not None:
        return found
    parsed = parse()
    with contextlib.suppress(WorkbenchError):  # a full or read-only disk costs a parse next time, nothing more
        _write(entry, parsed)
        return _read(entry) or parsed
    return parsed


def _key(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    for parser in _PARSERS:
        digest.update(source_hash(parser).encode())
    return digest.hexdigest()[:40]


def _write(entry: Path, parsed: Parsed) -> None:
    about = {
        "content": parsed.content,
        "sha256": sha256_of(parsed.events),
        "notes": parsed.notes,
        "symbol_names": parsed.symbol_names,
        "tick_sizes": parsed.tick_sizes,
    }
    recording.write_recording(entry.with_suffix(".npy"), parsed.events)
    files.write_text(entry.with_suffix(".json"), json.dumps(about))


def _read(entry: Path) -> Parsed | None:
    try:
        about = json.loads(entry.with_suffix(".json").read_text(encoding="utf-8"))
        events_file = entry.with_suffix(".npy")
        events = recording.parse(np.memmap(events_file, np.uint8, mode="r"), str(events_file)).events
        if sha256_of(events) != about["sha256"]:
            return None
        return Parsed(
            content=str(about["content"]),
            events=events,
            notes=tuple(str(note) for note in about["notes"]),
            symbol_names=tuple(str(name) for name in about["symbol_names"]),
            tick_sizes=tuple(int(tick) for tick in about["tick_sizes"]),
            sha256=str(about["sha256"]),
        )
    except (OSError, ValueError, KeyError, TypeError, WorkbenchError):
        return None
