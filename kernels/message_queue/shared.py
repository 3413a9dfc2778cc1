"""A message queue between processes, in shared memory: records are read as NumPy views, without a copy.

::

    from kernels.message_queue.shared import SharedQueue

    with SharedQueue.create("orders", ORDER, slots=4096) as queue:      # one process
        queue.push(orders)                                              # an array of ORDER, or compiled code:
        some_compiled_function(queue.state, ...)                        # robust.push(state, records, i)

    with SharedQueue.attach("orders") as queue:                         # another one
        with queue.read(timeout_s=1.0) as records:                      # the oldest that lie one behind the other
            total += records["size"].sum()                              # records: a view into the ring itself
                                                                        # here its slots go back to the producers

Any number of processes and threads may push and read; each record goes to one reader. It is the ring of `robust`: a
slot names the process that holds it, so that a process that is killed takes nothing with it for good. What it was
writing is *lost*; what it had taken to read is *abandoned*, and not given to another reader, who could not know how far
it was read. `status` counts both. A process finds out that another is dead when it has to wait for it.

The file lies in ``/dev/shm`` and goes when its last user closes; `remove_leftovers` takes away those whose users have
all died. For processes of one machine and one container (process ids must mean the same to all), and of one user.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kernels.machine.memory import CACHE_LINE_BYTES, aligned
from kernels.message_queue import _shared_file as file
from kernels.message_queue._cells import FIRST
from kernels.message_queue._ring import check
from kernels.message_queue._runs import NOBODY, await_turn, holder, put_all, release_run, take_run
from kernels.message_queue.robust import ABANDONED, HEAD, LOST, TAIL, RobustState, release_all_of

_TURNS = 1034  # of waiting, a millisecond or less, before looking whether others live
_ALL = 2**62
_NEW_S = 2.0  # so long after it was made a queue without users is not a leftover: its maker is about to join it


class SharedQueue:
    """One process's hold of a queue in shared memory. `create` makes one, `attach` joins one; close it at last.

    After a fork the child attaches anew: it is another process, and what it held would be in its parent's name.
    """

    def __init__(self, name: str):
        """Join the queue `name`: what `attach` does."""
        self.name = name
        self._path = file.path_of(name)
        self._process = os.getpid()
        self._mutex = threading.Lock()  # the file's lock keeps out other processes, not other threads of this one
        self._file = self._open()
        try:
            with file.locked(self._file):
                if not os.fstat(self._file).st_nlink:  # its last user closed it just now
                    raise ValueError(f"message_queue: there is no queue {name!r} any more")
                if not os.fstat(self._file).st_size:
                    raise ValueError(f"message_queue: {self._path} is no queue: it is empty")
                mapped = mmap.mmap(self._file, 0)
                layout = file.read_layout(self._path, mapped)
                self._users, control, slots = file.parts(mapped, layout)
                self._bury_the_dead(RobustState(slots, control, slots, control, np.zeros(1, np.int64)))
                own = file.enter(self._users)
        except BaseException:
            os.close(self._file)
            raise
        self.dtype = layout.dtype
        owner = aligned(1, np.int64, CACHE_LINE_BYTES)
        owner[0] = own
        self.state = RobustState(slots, control, slots, control, owner)  # it has no way back: a second queue is one

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            raise ValueError(f"message_queue: there is no queue {self.name!r}: create it first") from None
        except OSError as error:
            raise ValueError(f"message_queue: {self._path} cannot be opened: {error.strerror}") from None

    @classmethod
    def create(cls, name: str, dtype: Any, slots: int = 1024) -> SharedQueue:
        """Make the queue `name` for records of `dtype` and join it.

        `dtype` has a multiple of 8 bytes and no Python objects; `slots` is a power of two. Raises ValueError, with one
        sentence, for others, and where there is a queue of that name.
        """
        kind = np.dtype(dtype)
        if kind.hasobject or not 8 <= kind.itemsize <= 1024:
            raise ValueError(f"message_queue: records have 8 to 1,024 bytes and no Python objects, unlike {kind}")
        if not 2 <= slots <= 2**24:
            raise ValueError(f"message_queue: slots must lie in 2 .. {2**24}, not {slots}")
        check({"slots": slots, "record_bytes": kind.itemsize})
        file.create_file(file.path_of(name), file.Layout(slots, kind.itemsize // 8, kind))
        return cls(name)

    @classmethod
    def attach(cls, name: str) -> SharedQueue:
        """Join the queue `name`, which says itself what its records are. Raises ValueError where there is none."""
        return cls(name)

    def push(self, records: np.ndarray, timeout_s: float = 0.0) -> int:
        """Put the records of a one-dimensional array of `dtype` in; return how many, fewer when it stays full so long.

        Copies each record once, into the ring.
        """
        self._check_open()
        if not isinstance(records, np.ndarray) or records.dtype != self.dtype or records.ndim != 1:
            raise ValueError(f"message_queue: {self.name!r} takes one-dimensional arrays of {self.dtype}")
        words = np.ascontiguousarray(records).view(np.int64).reshape(len(records), -1)
        until = time.monotonic() + timeout_s
        done = put_all(self.state, words, 0, len(words))
        while done < len(words) and self._wait(TAIL, until):
            done += put_all(self.state, words, done, len(words))
        return int(done)

    @contextlib.contextmanager
    def read(self, most: int = _ALL, timeout_s: float = 0.0) -> Iterator[np.ndarray]:
        """Give the oldest records, at most `most`, as a read-only view into the ring; empty when none came so long.

        They are this process's until the ``with`` block ends, then the producers write there again: copy what is to
        stay. An exception in the block gives them back as well; they do not come again.
        """
        self._check_open()
        if most < 1:
            raise ValueError(f"message_queue: a reader takes at least one record, not {most}")
        until = time.monotonic() + timeout_s
        first, n = take_run(self.state, most)
        while not n and self._wait(HEAD, until):
            first, n = take_run(self.state, most)
        cells = self.state.slots
        records: np.ndarray = np.ndarray(
            (n,), self.dtype, cells, cells.strides[0] * first + 8 * FIRST, cells.strides[:1]
        )
        records.flags.writeable = False
        try:
            yield records
        finally:
            release_run(self.state, first, n)

    def status(self) -> dict[str, int]:
        """Return how many records wait, how many users there are, and what dead ones lost and abandoned."""
        self._check_open()
        control = self.state.control
        return {
            "waiting": max(int(control[TAIL] - control[HEAD]), 0),
            "users": int(np.count_nonzero(self._users[:, 0])),
            "lost": int(control[LOST]),
            "abandoned": int(control[ABANDONED]),
        }

    def recover(self) -> tuple[int, int]:
        """Give back what dead users hold, now; return how many records that lost and abandoned."""
        self._check_open()
        with self._mutex, file.locked(self._file):
            return self._bury_the_dead(self.state)

    def close(self) -> None:
        """Leave the queue; the last user takes the file away. Views of `read` may not be used any more."""
        if self._file < 0:
            return
        if self._process == os.getpid():
            with self._mutex, file.locked(self._file):
                self._users[self.state.owner[0] - 1] = 0
                self._bury_the_dead(self.state)
                if not self._users[:, 0].any() and os.fstat(self._file).st_nlink:
                    self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1

    def __enter__(self) -> SharedQueue:
        """Return the queue itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Close it."""
        self.close()

    def _check_open(self) -> None:
        if self._file < 0:
            raise ValueError(f"message_queue: {self.name!r} is closed: attach to it again")
        if self._process != os.getpid():
            raise ValueError(f"message_queue: {self.name!r} belongs to the parent process: attach in the child")

    def _wait(self, index: int, until: float) -> bool:
        """Wait a while for the slot at `index`; return whether it is worth another try before `until`."""
        if time.monotonic() >= until and holder(self.state, index) == NOBODY:
            return False
        if not await_turn(self.state, index, _TURNS if time.monotonic() < until else 1):
            owner = int(holder(self.state, index))
            if owner != NOBODY and not file.is_alive(self._users[owner - 1]):
                self.recover()
                return True
        return time.monotonic() < until

    def _bury_the_dead(self, state: RobustState) -> tuple[int, int]:
        """Give back what dead users hold and strike them off. Under the lock."""
        lost = abandoned = 0
        for row in np.flatnonzero(self._users[:, 0]):
            if not file.is_alive(self._users[row]):
                more = release_all_of(state, row + 1)
                lost, abandoned = lost + int(more[0]), abandoned + int(more[1])
                self._users[row] = 0
        return lost, abandoned


def remove_leftovers(folder: Path = file.FOLDER) -> list[str]:
    """Take away the queues whose users have all died; return their names. Those of other users of the machine stay."""
    removed = []
    for path in sorted(folder.glob(f"{file.PREFIX}*")):
        with contextlib.suppress(OSError, ValueError):
            handle = os.open(path, os.O_RDWR)
            try:
                with file.locked(handle), mmap.mmap(handle, 0) as mapped:
                    layout = file.read_layout(path, mapped)
                    users = file.parts(mapped, layout).users.copy()
                    used = any(file.is_alive(user) for user in users if user[0])
                    if not used and time.time() - os.fstat(handle).st_ctime > _NEW_S:
                        path.unlink()
                        removed.append(path.name.removeprefix(file.PREFIX))
            finally:
                os.close(handle)
    return removed
