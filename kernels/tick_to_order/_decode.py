"""The next market event out of the pipeline's input: a record that lies there ready, or a message of an ITCH stream.

The input is EVENT[n], and its decoding a view; or uint8[n], whole ITCH 5.0 messages behind their 2-byte lengths, one of
which is parsed at a time (`kernels.feeds.itch_parser`), because in production messages come one at a time. There the
stock locate is the symbol, and prices are ticks as they stand.

Places in the input count records, or bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.feeds.itch_parser import (
    FAULT,
    NAMED,
    NUMBERED,
    OFFSET,
    PREFIX_BYTES,
    SIZE_OF_TYPE,
    SIZES,
    SYMBOLS,
    ItchState,
    parse,
)
from kernels.feeds.itch_parser import allocate as new_parser
from kernels.messages import Kind, Side
from kernels.tick_to_order._layout import FAULTS, PENDING, UNREAD
from kernels.tick_to_order._parts import OPTIONS

MOST_TIMESTAMP = 2**48 - 1  # ITCH has 6 bytes for it
SHORTEST_BYTES = PREFIX_BYTES + min(SIZES.values())


def allocate(symbols: int) -> ItchState:
    """Return a parser that knows the stock locates below `symbols` by their own numbers."""
    state = new_parser(cents=False)
    state.symbol[:symbols] = np.arange(symbols, dtype=np.uint32) | np.uint32(NUMBERED | NAMED)
    state.control[SYMBOLS] = symbols
    return state


def reset(state: ItchState, symbols: int) -> None:
    """Make the parser as `allocate` returns it."""
    for array, fresh in zip(state, allocate(symbols), strict=True):
        array[:] = fresh


def next_event(state: Any, given: Any, at: Any) -> Any:
    """Return an array and the index in it of the event at place `at` of the input, and the place behind it.

    The index is negative where there is none: the input is at its end; what is left of it, if anything, was counted.
    """


@overload(next_event, jit_options=OPTIONS)
def _next_event(state, given, at):
    if isinstance(given, types.Array):
        return _parsed if given.dtype == types.uint8 else _viewed
    return None


def _viewed(state, given, at):
    return given, at, at + 1


def _parsed(state, given, at):
    control = state.itch.control
    if state.settings[PENDING] != 0:  # parsed before the book had to grow
        state.settings[PENDING] = 0
        return state.decoded, np.int64(0), control[OFFSET]
    control[OFFSET] = at
    found = parse(given, state.decoded.view(np.uint64), given.shape[0], state.itch)
    if found == 0 and control[OFFSET] < given.shape[0]:
        state.tally[FAULTS] += np.int64(control[FAULT] != 0)
        state.tally[UNREAD] += given.shape[0] - control[OFFSET]
        control[FAULT] = 0
    return state.decoded, np.int64(found) - 1, control[OFFSET]


@kernel_jit(_nrt=False)
def count_messages(data):
    """Return how many whole messages `data` (uint8) holds, up to the first of an unknown type."""
    at, found = 0, 0
    while at + PREFIX_BYTES < data.shape[0]:
        size = SIZE_OF_TYPE[data[at + PREFIX_BYTES]]
        if size == 0 or at + PREFIX_BYTES + size > data.shape[0]:
            break
        at += PREFIX_BYTES + size
        found += 1
    return found


# ---- ITCH out of events --------------------------------------------------------------------------------------------

# By kind: the letter, and which field of an event lies where, in how many bytes.
_ID, _NEW_ID = ("order_id", 11, 8), ("new_order_id", 19, 8)
_FORMS: dict[Kind, tuple[str, tuple[tuple[str, int, int], ...]]] = {
    Kind.ADD: ("A", (_ID, ("size", 20, 4), ("price_ticks", 32, 4))),
    Kind.EXECUTE: ("E", (_ID, ("size", 19, 4))),
    Kind.CANCEL: ("X", (_ID, ("size", 19, 4))),
    Kind.DELETE: ("D", (_ID,)),
    Kind.REPLACE: ("U", (_ID, _NEW_ID, ("size", 27, 4), ("price_ticks", 31, 4))),
    Kind.TRADE: ("P", (_ID, ("size", 20, 4), ("price_ticks", 32, 4))),
    Kind.HALT: ("H", ()),
    Kind.RESUME: ("H", ()),
}
_SIDE_AT = {Kind.ADD: 19, Kind.TRADE: 19}
_COMMON = (("symbol", 1, 2), ("timestamp_ns", 5, 6))


def itch_of(events: np.ndarray) -> np.ndarray:
    """Return `events` as ITCH 5.0 messages behind their lengths, uint8[bytes].

    Raises ValueError for an event that ITCH has no message for: MODIFY, CLEAR and unknown kinds, sides that are neither
    BID nor ASK where a message has one, and timestamps that do not fit into 48 bits.
    """
    kind, timestamp = events["kind"], events["timestamp_ns"]
    sided = np.isin(kind, list(_SIDE_AT))
    if not np.isin(kind, list(_FORMS)).all() or (events["side"][sided] > Side.ASK).any():
        raise ValueError("tick_to_order: ITCH cannot say a MODIFY, a CLEAR or a damaged event: use feed=records")
    if len(events) and not 0 <= int(timestamp.min()) <= int(timestamp.max()) <= MOST_TIMESTAMP:
        raise ValueError("tick_to_order: ITCH counts the time since midnight in 48 bits: use feed=records")
    size_of = np.zeros(256, np.int64)
    for own, (letter, _) in _FORMS.items():
        size_of[own] = PREFIX_BYTES + SIZES[letter]
    ends = np.cumsum(size_of[kind])
    data = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for own, (letter, fields) in _FORMS.items():
        rows = np.flatnonzero(kind == own)
        chosen, length = events[rows], PREFIX_BYTES + SIZES[letter]
        made = np.zeros((len(rows), length), np.uint8)
        made[:, 1], made[:, PREFIX_BYTES] = SIZES[letter], ord(letter)
        for name, at, width in (*_COMMON, *fields):
            words = chosen[name].astype(np.uint64 if chosen[name].dtype == np.uint64 else np.int64)
            whole = words.astype(words.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, 8)
            made[:, PREFIX_BYTES + at : PREFIX_BYTES + at + width] = whole[:, 8 - width :]
        if own in _SIDE_AT:
            made[:, PREFIX_BYTES + _SIDE_AT[own]] = np.where(chosen["side"] == Side.ASK, ord("S"), ord("B"))
        if letter == "H":
            made[:, PREFIX_BYTES + 19] = ord("H") if own == Kind.HALT else ord("T")
        data[(ends[rows] - length)[:, np.newaxis] + np.arange(length)] = made
    return data


def is_bytes(given: Any) -> bool:
    """Return whether the input is ITCH and not records."""
    return bool(given.dtype == np.uint8)


def operations(given: np.ndarray) -> int:
    """Return how many messages the input holds."""
    return int(count_messages(given)) if is_bytes(given) else len(given)


def most_events(given: np.ndarray) -> int:
    """Return how many events the input may hold at most."""
    return len(given) // SHORTEST_BYTES if is_bytes(given) else len(given)
