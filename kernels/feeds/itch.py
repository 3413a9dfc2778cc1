"""NASDAQ TotalView-ITCH 5.0 as a stream: bytes in, in chunks of any size, blocks of events out.

`kernels.feeds.itch_parser` says what becomes of a message; here are the chunks, what a cut leaves over, and the faults
in words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.feeds.itch_parser import (
    EVENT_WORDS,
    FAULT,
    FRAMED,
    LONGEST_BYTES,
    NUMBERED,
    OFFSET,
    PREFIX_BYTES,
    SIZES,
    SYMBOLS,
    UNKNOWN_TYPE,
    allocate,
    parse,
)
from kernels.machine.memory import aligned
from kernels.messages import EVENT


class ItchError(ValueError):
    """The bytes are not ITCH 5.0; the text says where, counted from the first byte of the stream, and why."""


class ItchFeed:
    """A stream of ITCH 5.0 in chunks of any size: ``push`` bytes, then ``pull`` blocks of events until there are none.

    `events` (EVENT) is the block, overwritten by each pull: the 4,096 of the default are 160 KB, which stay in L2. A
    smaller block fits L1, but the calls from Python, one to parse and one to apply a block, then weigh more. A message
    that is cut at the end of a chunk is kept and goes on with the next. `cents` is as in `allocate`.
    """

    def __init__(self, block_events: int = 4096, *, cents: bool = True):
        if block_events < 1:
            raise ValueError(f"a block must have room for at least 1 event, not {block_events}")
        self._words = aligned(block_events * EVENT_WORDS, np.uint64)
        self.events = self._words.view(EVENT)
        self.state = allocate(cents=cents)
        self._chunk = np.zeros(0, np.uint8)
        self._tail = b""  # the start of a message that the last chunk did not hold whole
        self._passed_bytes = 0  # before the chunk

    @property
    def symbols(self) -> int:
        """Return how many symbols have come: their ids run from 0 to this, less one."""
        return int(self.state.control[SYMBOLS])

    @property
    def symbol_names(self) -> tuple[str, ...]:
        """Return the stocks' names by symbol id; a stock that the stream has not named is called by its locate."""
        entries = self.state.symbol.astype(np.int64)
        locates = np.flatnonzero(entries & NUMBERED)
        ordered = locates[np.argsort(entries[locates] & 0xFFFF)]
        return tuple(self._name(int(locate)) for locate in ordered)

    def _name(self, locate: int) -> str:
        return int(self.state.name[locate]).to_bytes(8, "big").decode("ascii", "replace").strip(" \0") or f"#{locate}"

    def push(self, data: Any) -> None:
        """Take the next chunk: bytes or an array of uint8, which must not change until all its events are pulled.

        Raises ValueError while events of the last chunk are still to be pulled.
        """
        if self._chunk.size:
            raise ValueError("the last chunk has not been pulled to its end: pull until there are no more events")
        chunk = data if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
        if chunk.dtype != np.uint8 or chunk.ndim != 1:
            raise ValueError(f"a chunk must be bytes or a one-dimensional array of uint8, not {chunk.dtype}")
        chunk = np.ascontiguousarray(chunk).view(np.ndarray).view()
        chunk.flags.writeable = False  # one type, so that the parser is compiled once
        self._chunk = chunk
        self.state.control[OFFSET] = 0

    def pull(self) -> int:
        """Parse on until `events` is full or the chunk is used up; return how many events there are, 0 at its end.

        Raises ItchError where the bytes stop being ITCH 5.0, after the events before that place were pulled.
        """
        control = self.state.control
        while self._chunk.size:
            if self._tail:
                count = self._join()
            else:
                count = parse(self._chunk, self._words, self._chunk.size, self.state)
                if not count and not control[FAULT]:
                    self._keep(self._chunk[control[OFFSET] :].tobytes())
            if count:
                return int(count)  # a fault behind these events is met again, and told, by the next pull
            if control[FAULT]:
                raise ItchError(self._fault(self._chunk))
        return 0

    def _join(self) -> int:
        """Parse the one message that the last chunk began and this one ends; return how many events it is."""
        control, begun = self.state.control, len(self._tail)
        joined = np.frombuffer(self._tail + self._chunk[:LONGEST_BYTES].tobytes(), np.uint8)
        control[OFFSET] = 0
        count = int(parse(joined, self._words, 1, self.state))
        if control[FAULT]:
            raise ItchError(self._fault(joined, -begun))
        if control[OFFSET]:
            control[OFFSET] -= begun
            self._tail = b""
        else:
            self._keep(joined.tobytes())
        return count

    def _keep(self, tail: bytes) -> None:
        """End the chunk, of which `tail` is left, with what was left before it."""
        self._passed_bytes += self._chunk.size
        self._tail, self._chunk = tail, self._chunk[:0]

    def finish(self) -> None:
        """Say that the stream has ended. Raises ItchError when it ended inside a message."""
        if self._tail and not (self._tail == bytes(PREFIX_BYTES) and self.state.control[FRAMED] == 1):
            raise ItchError(
                f"at byte {self._passed_bytes - len(self._tail):,} a message starts that is cut after "
                f"{len(self._tail)} bytes: fetch the data again"
            )

    def _fault(self, data: np.ndarray, before: int = 0) -> str:
        """Say what is wrong at ``data[control[OFFSET]]``; `before` is where `data` starts in the chunk."""
        at, framed = int(self.state.control[OFFSET]), bool(self.state.control[FRAMED])
        letter = chr(data[at + PREFIX_BYTES])
        where = f"at byte {self._passed_bytes + before + at:,}"
        if self.state.control[FAULT] == UNKNOWN_TYPE:
            return f"{where} stands type {letter!r}, unknown to ITCH 5.0: the data are damaged or of another version"
        prefix = int(data[at]) << 8 | int(data[at + 1])
        return (
            f"{where} the length before a message of type {letter!r} is {prefix}, expected "
            f"{SIZES[letter] if framed else 0}: the data are damaged or of another version"
        )
