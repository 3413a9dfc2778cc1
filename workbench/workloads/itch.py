"""Reads NASDAQ TotalView-ITCH 5.0 files.

Each message stands behind a 2-byte prefix: its big-endian length in the files that NASDAQ publishes, zero in some test
files. The first message says which; every prefix and type is then checked against the sizes of the specification
("NASDAQ TotalView-ITCH 5.0", sections 1.1 to 1.8), so that a damaged file is told with its byte offset.

What becomes of a message: A and F an ADD; E and C an EXECUTE at the order's price; X a CANCEL; D a DELETE; U a REPLACE;
P and (where it has shares) Q a TRADE; H a HALT, or a RESUME when the symbol was halted. All others carry no event.
Symbols are numbered from 0 as their first event comes, by stock locate.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import EVENT, Kind
from workbench.errors import InputError
from workbench.workloads.loaded import Parsed
from workbench.workloads.survey import as_ticks, off_tick_notes, survey

SIZES = {
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36, "F": 40,
    "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48,
}  # fmt: skip
PREFIX_BYTES = 2
SIZE_OF_TYPE = np.zeros(256, np.int64)
for _letter, _size in SIZES.items():
    SIZE_OF_TYPE[ord(_letter)] = _size
KIND_OF_TYPE = np.zeros(256, np.uint8)
for _letter, _event_kind in zip("AFECXDUPQH", (1, 1, 4, 4, 2, 3, 6, 5, 5, 8), strict=True):
    KIND_OF_TYPE[ord(_letter)] = _event_kind
NAME_OFFSET = np.zeros(256, np.int64)  # where a type holds the stock's name, 8 bytes
for _letter, _offset in zip("RHAFPQ", (11, 11, 24, 24, 24, 19), strict=True):
    NAME_OFFSET[ord(_letter)] = _offset

_ADD, _CANCEL, _DELETE, _EXECUTE = int(Kind.ADD), int(Kind.CANCEL), int(Kind.DELETE), int(Kind.EXECUTE)
_TRADE, _REPLACE, _HALT, _RESUME = int(Kind.TRADE), int(Kind.REPLACE), int(Kind.HALT), int(Kind.RESUME)
_Q, _B, _T = ord("Q"), ord("B"), ord("T")
_LOCATES = 1 << 16
_INT32_MAX = 2**31 - 1
_COUNT, _OFFSET, _FAULT, _SYMBOLS, _BIG_SIZES = range(5)
_UNKNOWN_TYPE, _WRONG_PREFIX, _CUT = 1, 2, 3


def looks_like_itch(data: np.ndarray) -> bool:
    """Return whether the first two messages of `data` (uint8) could be ITCH: prefix and type agree with the sizes."""
    at = 0
    for _ in range(2):
        if data.size - at <= PREFIX_BYTES:
            return at > 0  # one message, and nothing behind it but a part of a prefix
        prefix, size = int(data[at]) << 8 | int(data[at + 1]), int(SIZE_OF_TYPE[data[at + PREFIX_BYTES]])
        if not size or prefix not in (0, size):
            return False
        at += PREFIX_BYTES + size
    return True


@kernel_jit
def _big_endian(data, at, width):  # type: ignore[no-untyped-def]
    """Return the unsigned big-endian integer of `width` bytes at `at`."""
    value = np.uint64(0)
    for i in range(width):
        value = (value << np.uint64(8)) | np.uint64(data[at + i])
    return value


@kernel_jit
def _check(data, told):  # type: ignore[no-untyped-def]
    """Walk over all messages; write how many may become events, and where and why it stopped, to `told`."""
    at, end = 0, data.shape[0]
    framed = end > 1 and (data[0] != 0 or data[1] != 0)
    while at < end:
        told[_OFFSET] = at
        if end - at < PREFIX_BYTES:
            told[_FAULT] = _CUT
            return
        prefix = np.int64(_big_endian(data, at, PREFIX_BYTES))
        if prefix == 0 and framed and end - at == PREFIX_BYTES:  # NASDAQ's end of session
            return
        if end - at == PREFIX_BYTES:
            told[_FAULT] = _CUT
            return
        kind = data[at + PREFIX_BYTES]
        size = SIZE_OF_TYPE[kind]
        if size == 0:
            told[_FAULT] = _UNKNOWN_TYPE
            return
        if prefix != (size if framed else 0):
            told[_FAULT] = _WRONG_PREFIX
            return
        if end - at < PREFIX_BYTES + size:
            told[_FAULT] = _CUT
            return
        told[_COUNT] += KIND_OF_TYPE[kind] != 0
        at += PREFIX_BYTES + size


@kernel_jit
def _fill(data, events, prices, dense, halted, names, told):  # type: ignore[no-untyped-def]
    """Parse what `_check` found sound into `events` and `prices`; return how many events there are.

    `dense` (int32, by locate) is -1 for a symbol without an id yet; `names` (int64, by locate) becomes the offset of
    the stock's name.
    """
    at, end, row = np.int64(0), data.shape[0], 0
    while end - at > PREFIX_BYTES:
        message = at + PREFIX_BYTES
        letter = data[message]
        at = message + SIZE_OF_TYPE[letter]
        locate = np.int64(_big_endian(data, message + 1, 2))
        if NAME_OFFSET[letter]:
            names[locate] = message + NAME_OFFSET[letter]
        kind = np.int64(KIND_OF_TYPE[letter])
        if kind == 0:
            continue
        if kind == _HALT:
            trading = data[message + 19] == _T
            if trading and not halted[locate]:
                continue  # each stock is declared tradable before the day starts: that is no event
            halted[locate] = not trading
            kind = np.int64(_RESUME if trading else _HALT)
        if letter == _Q and not 0 < _big_endian(data, message + 11, 8) <= np.uint64(_INT32_MAX):
            continue
        if dense[locate] < 0:
            dense[locate] = told[_SYMBOLS]
            told[_SYMBOLS] += 1
        event = events[row]
        event.timestamp_ns = np.int64(_big_endian(data, message + 5, 6))
        event.kind, event.symbol = kind, dense[locate]
        size = np.uint64(0)
        if kind in (_ADD, _TRADE):
            size = _read_order(data, message, letter, kind, event, prices, row)
        elif kind == _REPLACE:
            event.order_id = _big_endian(data, message + 11, 8)
            event.new_order_id = _big_endian(data, message + 19, 8)
            size = _big_endian(data, message + 27, 4)
            prices[row] = np.int64(_big_endian(data, message + 31, 4))
        elif kind in (_CANCEL, _EXECUTE, _DELETE):
            event.order_id = _big_endian(data, message + 11, 8)
            if kind != _DELETE:
                size = _big_endian(data, message + 19, 4)
        if size > np.uint64(_INT32_MAX):
            told[_BIG_SIZES] += 1
            size = np.uint64(0)
        event.size = np.int32(size)
        row += 1
    return row


@kernel_jit
def _read_order(data, message, letter, kind, event, prices, row):  # type: ignore[no-untyped-def]
    """Read what A, F, P and Q say of an order or a trade, and return its size."""
    if letter == _Q:
        prices[row] = np.int64(_big_endian(data, message + 27, 4))
        return _big_endian(data, message + 11, 8)
    event.order_id = _big_endian(data, message + 11, 8)
    event.side = 0 if data[message + 19] == _B else 1
    prices[row] = np.int64(_big_endian(data, message + 32, 4))
    return _big_endian(data, message + 20, 4)


def parse(data: np.ndarray, path: str) -> Parsed:
    """Parse the ITCH messages in `data` (uint8). Raises InputError with the byte offset where it stops being ITCH."""
    told = np.zeros(5, np.int64)
    _check(data, told)
    if told[_FAULT]:
        raise InputError(_sentence(data, path, int(told[_OFFSET]), int(told[_FAULT])))
    events, prices = np.zeros(told[_COUNT], EVENT), np.zeros(told[_COUNT], np.int64)
    dense, names = np.full(_LOCATES, -1, np.int32), np.zeros(_LOCATES, np.int64)
    count = _fill(data, events, prices, dense, np.zeros(_LOCATES, np.bool_), names, told)
    if not count:
        raise InputError(f"{path} is ITCH 5.0 but holds no order, trade or halt: give a file with trading in it")
    events, prices = events[:count], prices[:count]
    ticks, off_tick = as_ticks(events, prices)
    notes = off_tick_notes(off_tick)
    if told[_BIG_SIZES]:
        notes += (f"{told[_BIG_SIZES]:,} sizes are above {_INT32_MAX:,}: they became 0, refused",)
    locates = np.argsort(dense, kind="stable")[-int(told[_SYMBOLS]) :]
    symbol_names = tuple(_name(data, int(names[locate]), int(locate)) for locate in locates)
    return Parsed("itch", events, notes + survey(events), symbol_names, tuple(ticks))


def _name(data: np.ndarray, offset: int, locate: int) -> str:
    """Return the stock's name, or its locate where the file never names it."""
    name = data[offset : offset + 8].tobytes().decode("ascii", "replace").strip() if offset else ""
    return name or f"#{locate}"


def _sentence(data: np.ndarray, path: str, offset: int, fault: int) -> str:
    """Say what is wrong at `offset`, in one sentence."""
    where = f"{path}: at byte {offset:,}"
    if fault == _CUT:
        have = data.size - offset
        return f"{where} a message starts that is cut after {have} bytes: fetch the file again"
    letter = chr(data[offset + PREFIX_BYTES])
    if fault == _UNKNOWN_TYPE:
        return f"{where} stands type {letter!r}, unknown to ITCH 5.0: the file is damaged or of another version"
    prefix = int(data[offset]) << 8 | int(data[offset + 1])
    framed = bool(data[0] or data[1])
    expected = SIZES[letter] if framed else 0
    return (
        f"{where} the length before a message of type {letter!r} is {prefix}, expected {expected}: "
        "the file is damaged or of another version"
    )
