"""Tells a file's format from its first bytes, and takes gzip or zstd off.

Names decide nothing: a recording called ``hour.csv`` is read as a recording.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import zstandard

from workbench.errors import InputError, WorkbenchError
from workbench.workloads.itch import looks_like_itch

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # bytes 1 to 3; byte 0 is 0x50 to 0x5f
RECORDING = b"\x93NUMPY"
_DATABENTO = b"DBN"
_CHUNK_BYTES = 1 << 22
_ZSTD_CHUNK_BYTES = 1 << 16  # each may unpack to many thousand times its size
_SNIFF_BYTES = 4096
KNOWN = "LOBSTER CSV, ITCH 5.0, a recording (.npy of events) or Databento DBN, each plain, gzip or zstd"


def read_head(path: Path) -> bytes:
    """Return the first bytes of the file `path`. Raises InputError where it is absent, empty or not a file."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe or a terminal would wait for ever
            raise InputError(f"{path} is not a regular file: give the path of a market data file")
        with path.open("rb") as stream:
            head = stream.read(_SNIFF_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError:  # a zero byte in the name
        raise InputError(f"{str(path)!r} is no path: give the path of a market data file") from None
    if not head:
        raise InputError(f"{path} is empty: give {KNOWN}")
    return head


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read ({error.strerror or error}): check the path and its rights")


def read_content(path: Path) -> np.ndarray:
    """Return the bytes of `path` as uint8, without its compression. A plain file is mapped, not read.

    Raises InputError for a file that is absent, empty, not a file, cut or damaged in its compression.
    """
    compression = compression_of(read_head(path))
    try:
        if compression is None:
            return np.memmap(path, np.uint8, mode="r")
        with path.open("rb") as stream:
            data = _inflate(path, stream, compression)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not data:
        raise InputError(f"{path} holds nothing but {compression}'s own header: give {KNOWN}")
    return np.frombuffer(bytes(data), np.uint8)  # read-only like a mapped file: one compiled signature for both


def compression_of(head: bytes) -> str | None:
    """Return "gzip", "zstd" or None for the first bytes of a file."""
    if head[:2] == _GZIP:
        return "gzip"
    if head[:4] == _ZSTD or (head[1:4] == _ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F):
        return "zstd"
    return None


def recognise(data: np.ndarray) -> str | None:
    """Return "recording", "databento", "itch" or "lobster" by the first bytes of `data` (uint8), or None.

    Any text counts as LOBSTER: its parser then says which line and column is not as it should be.
    """
    head = data[:_SNIFF_BYTES].tobytes()
    if head.startswith(RECORDING):
        return "recording"
    if head.startswith(_DATABENTO) and not head[3:4].isalnum() and head[3:4] != b",":
        return "databento"
    if looks_like_itch(data):
        return "itch"
    return "lobster" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head) else None


def _inflate(path: Path, stream: IO[bytes], compression: str) -> bytearray:
    """Decompress `stream`, to its last frame. Raises InputError where cut or damaged, WorkbenchError when huge."""
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    data = bytearray()
    try:
        for chunk in _gunzip(stream) if compression == "gzip" else _unzstd(stream):
            data += chunk
            if len(data) > limit:
                raise WorkbenchError(f"{path} unpacks to more than half of this machine's memory: use a smaller part")
    except EOFError:
        raise InputError(
            f"{path} is cut: its {compression} data end in the middle, after {len(data):,} unpacked bytes; "
            "fetch it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise InputError(
            f"{path} is damaged: its {compression} data fail after {len(data):,} unpacked bytes ({error}); "
            "fetch it again"
        ) from None
    return data


def _gunzip(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what `stream` unpacks to. Raises EOFError where it is cut."""
    with gzip.GzipFile(fileobj=stream) as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk


def _unzstd(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what `stream` unpacks to, frame by frame. Raises EOFError where cut, which zstandard's own reader hides."""
    frame, inside = zstandard.ZstdDecompressor().decompressobj(), False
    while chunk := stream.read(_ZSTD_CHUNK_BYTES):
        while chunk:
            yield frame.decompress(chunk)
            chunk, inside = frame.unused_data if frame.eof else b"", not frame.eof
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
    if inside:
        raise EOFError
