"""Where the proof keeps what it measured: one line of JSON for each trial, by machine and kind, appended whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InputError

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "proof"
KINDS = ("trials", "noisy", "doses", "omission", "planted")


def append(folder: Path, kind: str, record: Mapping[str, Any]) -> Path:
    """Append one record below `folder`, in the file of its machine and `kind`, and return that file.

    One write of one line: a program that is killed leaves a whole file, or one with a torn last line, which `read`
    passes over and the next `append` ends.
    """
    path = folder / record["hardware_key"] / f"{kind}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)
    return path


def read(folder: Path, hardware_key: str, kind: str) -> list[dict[str, Any]]:
    """Return the stored records of one machine and kind, in order; torn lines are passed over."""
    path = folder / hardware_key / f"{kind}.jsonl"
    return list(_lines(path)) if path.is_file() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict) and str(found.get("schema", "")).startswith("workbench/gate-proof/"):
            yield found


def machines(folder: Path) -> list[str]:
    """Return the hardware keys of the machines that have trials. Raises InputError where there are none."""
    found = sorted(path.parent.name for path in folder.glob("*/trials.jsonl"))
    if not found:
        raise InputError(f"{folder} holds no trial: run tools/prove_gate.py --trials 1 first")
    return found
