"""Market data in, arrays of `kernels.messages.EVENT` out.

``load(path)`` reads a file of any known format, told by its content. ``parse(text)`` takes what a person types: the
name of a workload, or a path.
"""

from __future__ import annotations

from pathlib import Path

from workbench.errors import InputError
from workbench.workloads import cache, content, itch, lobster, recording
from workbench.workloads.loaded import Loaded, Parsed, describe
from workbench.workloads.recording import write_recording

__all__ = ["Loaded", "load", "write_recording"]


def load(path: Path | str, *, limit: int | None = None) -> Loaded:
    """Read the market data file at `path`, recognised by its content; at most its first `limit` events.

    LOBSTER CSV, ITCH 5.0 (both framings) and our own recordings, each plain, gzip or zstd. Order ids stay those of the
    file, prices become ticks (`Loaded.tick_sizes`). A plain recording is mapped into memory; all others are parsed once
    and then mapped from ``<cache>/workloads``. Raises InputError with one sentence that says what, where (line or byte,
    field) and what to do; WorkbenchError where the machine is too small for the file.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise InputError(f"{path}: the limit is {limit}, but at least one event must be read")
    data = content.read_head(path)
    if content.compression_of(data) is None and data.startswith(content.RECORDING):
        parsed = _parse(path)
    else:
        parsed = cache.parsed_once(path, lambda: _parse(path))
    if limit is not None and limit < parsed.events.size:
        notes = (*parsed.notes, f"only the first {limit:,} of {parsed.events.size:,} events")
        parsed = Parsed(parsed.content, parsed.events[:limit], notes, parsed.symbol_names, parsed.tick_sizes)
    return describe(parsed, path.name.split(".")[0] or path.name, source=path.name)


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
        raise InputError(
            f"{path} is Databento DBN, which this version does not read: convert it to a recording, for which "
            "kernel-workbench[databento] brings the databento-dbn package"
        )
    raise InputError(f"{path} is in no format that is known here: give {content.KNOWN}")
