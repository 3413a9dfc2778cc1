"""The file in shared memory that a queue lies in: what it begins with, and who uses it.

::

    byte 0      magic, version, sizes, the records' dtype as text
    byte 2048   the users: process id and start time, 16 bytes each; user number 1 is the first
    byte 8192   head, tail and counts, on lines of their own
    byte 12288  the slots

Everything that is done rarely (attach, close, clean up after the dead) is done under ``flock`` of the file, which Linux
gives back by itself when a process dies. A process is known by its id *and* its start time, as ids come again.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import mmap
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kernels.message_queue._ring import CONTROL_WORDS

FOLDER = Path("/dev/shm")
PREFIX = "kernel-workbench-queue-"
MAGIC = b"KWQUEUE\n"
VERSION = 1
USERS_BEGIN, CONTROL_BEGIN, SLOTS_BEGIN = 2048, 8192, 12288
MOST_USERS = 255
_HEAD = struct.Struct("<8sIIqqqq")  # magic, version, length of the text, slots, words, bytes, namespace
_STARTED = 19  # the field of /proc/PID/stat after the name, from 0, that holds the start time
_STATE = 0


class Layout(NamedTuple):
    """What a file says of itself."""

    slots: int
    words: int
    dtype: np.dtype[Any]


def path_of(name: str) -> Path:
    """Return the file of the queue `name`. Raises ValueError for a name that is none."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name):
        raise ValueError(f"message_queue: a queue's name has letters, digits, '.', '_' and '-', unlike {name!r}")
    return FOLDER / (PREFIX + name)


def bytes_needed(slots: int, words: int) -> int:
    """Return the length of the file of such a queue."""
    return SLOTS_BEGIN + slots * (1 + words) * 8


def _namespace() -> int:
    """Return which process ids this process sees: a number means another process in another container."""
    return Path("/proc/self/ns/pid").stat().st_ino


def create_file(path: Path, layout: Layout) -> None:
    """Make the file of an empty queue, whole at once. Raises ValueError where there is one already."""
    text = repr(np.lib.format.dtype_to_descr(layout.dtype)).encode()
    if _HEAD.size + len(text) > USERS_BEGIN:
        raise ValueError(f"message_queue: the dtype's description is {len(text)} bytes long, too long for a queue")
    length = bytes_needed(layout.slots, layout.words)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        nameless = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o600)  # gone by itself if this process dies here
        try:
            os.posix_fallocate(nameless, 0, length)  # now, not by a signal when the memory is full later
            head = _HEAD.pack(MAGIC, VERSION, len(text), layout.slots, layout.words, length, _namespace())
            os.pwrite(nameless, head + text, 0)
            os.link(f"/proc/self/fd/{nameless}", path.name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(nameless)
            os.close(folder)
    except FileExistsError:
        raise ValueError(f"message_queue: there is a queue {path.name!r} already: attach to it") from None
    except OSError as error:
        raise ValueError(f"message_queue: {path} of {length:,} bytes cannot be made: {error.strerror}") from None


def read_layout(path: Path, mapped: mmap.mmap) -> Layout:
    """Return what the file says of itself. Raises ValueError, with one sentence, for what is no whole queue."""
    if len(mapped) < SLOTS_BEGIN:
        raise ValueError(f"message_queue: {path} is no queue: it has {len(mapped)} bytes, a queue has more")
    magic, version, text, slots, words, length, namespace = _HEAD.unpack_from(mapped)
    if magic != MAGIC:
        raise ValueError(f"message_queue: {path} is no queue: it does not begin as one")
    if version != VERSION:
        raise ValueError(
            f"message_queue: {path} is of version {version}, this program reads {VERSION}: use one of both"
        )
    fits = slots >= 2 and slots & (slots - 1) == 0 and words >= 1 and 0 < text <= USERS_BEGIN - _HEAD.size
    if not fits or length != bytes_needed(slots, words):
        raise ValueError(f"message_queue: {path} is damaged: {slots} slots of {words} words are not {length} bytes")
    if len(mapped) != length:
        raise ValueError(f"message_queue: {path} has {len(mapped)} bytes of {length}: it was cut or added to")
    if namespace != _namespace():
        raise ValueError(
            f"message_queue: {path} belongs to another container, whose processes cannot be told from here"
        )
    try:
        described = ast.literal_eval(mapped[_HEAD.size : _HEAD.size + text].decode())
        dtype = np.lib.format.descr_to_dtype(described)
    except (ValueError, SyntaxError, TypeError):
        raise ValueError(f"message_queue: {path} is damaged: it does not say what its records are") from None
    if dtype.itemsize != 8 * words or dtype.hasobject:
        raise ValueError(f"message_queue: {path} is damaged: records of {dtype.itemsize} bytes are not {words} words")
    return Layout(slots, words, dtype)


class Mapped(NamedTuple):
    """The parts of a mapped file."""

    users: np.ndarray  # int64[MOST_USERS, 2]
    control: np.ndarray  # int64[CONTROL_WORDS]
    slots: np.ndarray  # int64[slots, 1 + words]


def parts(mapped: mmap.mmap, layout: Layout) -> Mapped:
    """Return the arrays in a mapped file."""
    cells = np.frombuffer(mapped, np.int64, layout.slots * (1 + layout.words), SLOTS_BEGIN)
    return Mapped(
        np.frombuffer(mapped, np.int64, 2 * MOST_USERS, USERS_BEGIN).reshape(-1, 2),
        np.frombuffer(mapped, np.int64, CONTROL_WORDS, CONTROL_BEGIN),
        cells.reshape(layout.slots, 1 + layout.words),
    )


@contextlib.contextmanager
def locked(file: int) -> Iterator[None]:
    """Hold the file's lock inside a ``with`` block. A process that dies gives it back."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def started(process: int) -> int | None:
    """Return the start time of a process that lives, in clock ticks since the boot, else None."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[_STATE] in "ZXx" else int(fields[_STARTED])


def is_alive(user: np.ndarray) -> bool:
    """Return whether the process of a row of users, (id, start time), is still there."""
    return started(int(user[0])) == int(user[1])


def enter(users: np.ndarray) -> int:
    """Write this process into a free row; return its number, from 1. Under the lock. Raises ValueError when full."""
    free = np.flatnonzero(users[:, 0] == 0)
    if not len(free):
        raise ValueError(f"message_queue: the queue has {MOST_USERS} users already: close one")
    users[free[0]] = os.getpid(), started(os.getpid())
    return int(free[0]) + 1
