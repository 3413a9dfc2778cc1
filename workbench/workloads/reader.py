"""Reads a market data file of any known format."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import InputError
from workbench.workloads import cache, content, databento, itch, lobster, recording
from workbench.workloads.loaded import Loaded, Parsed, describe, shortened


def load(path: Path | str, *, limit: int | None = None) -> Loaded:
    """Read the market data file at `path`, recognised by its content; at most its first `limit` events.

    LOBSTER CSV, ITCH 5.0 (both framings), Databento DBN (schema mbo) and our own recordings, each plain, gzip or zstd.
    Order ids stay those of the file, prices become ticks (`Loaded.tick_sizes`). A plain recording is mapped into
    memory; all others are parsed once and then mapped from ``<cache>/workloads``. Raises InputError with one sentence
    that says what, where (line or byte, field) and what to do; WorkbenchError where the machine is too small for it.
    """
    path = Path(path)
    data = content.read_head(path)
    if content.compression_of(data) is None and data.startswith(content.RECORDING):
        parsed = _parse(path)
    else:
        parsed = cache.parsed_once(path, lambda: _parse(path))
    loaded = describe(parsed, path.name.split(".")[0] or path.name, source=path.name)
    return loaded if limit is None else shortened(loaded, limit)


def _parse(path: Path) -> Parsed:
    """Parse the file at `path`, whatever it is."""
    data = content.read_content(path)
    name = content.recognise(data)
    if name == "recording":
        return recording.parse(data, str(path))
    if name == "itch":
        return itch.parse(data, str(path))
    if name == "lobster":
        return lobster.parse(data, str(path))
    if name == "databento":
        return databento.parse(data, str(path))
    raise InputError(f"{path} is in no format that is known here: give {content.KNOWN}")
