"""Writes events as a NASDAQ TotalView-ITCH 5.0 file: what `workbench.workloads.itch` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kernels._jit import kernel_jit
from kernels.feeds.itch_parser import PREFIX_BYTES, SIZE_OF_TYPE, SIZES
from kernels.messages import Kind
from workbench import files
from workbench.errors import InputError
from workbench.workloads.loaded import DEFAULT_TICK, count_symbols, require_events

LETTER_OF_KIND = np.zeros(256, np.uint8)
for _event_kind, _letter in zip(range(1, 10), "AXDEPU\0HH", strict=True):
    LETTER_OF_KIND[_event_kind] = ord(_letter)
_ADD, _CANCEL, _DELETE, _EXECUTE = int(Kind.ADD), int(Kind.CANCEL), int(Kind.DELETE), int(Kind.EXECUTE)
_TRADE, _REPLACE, _HALT = int(Kind.TRADE), int(Kind.REPLACE), int(Kind.HALT)
_BUY, _SELL, _HALTED, _TRADING, _SPACE = ord("B"), ord("S"), ord("H"), ord("T"), ord(" ")
_NAME_BYTES = 8
_TIME_LIMIT_NS = 1 << 48
_CHUNK_EVENTS = 1 << 20


@kernel_jit
def _put(data, at, width, value):  # type: ignore[no-untyped-def]
    """Write `value` (uint64) as `width` big-endian bytes at `at`."""
    for i in range(width):
        data[at + width - 1 - i] = np.uint8(value & np.uint64(255))
        value >>= np.uint64(8)


@kernel_jit
def _encode(events, names, ticks, framed, data, match):  # type: ignore[no-untyped-def]
    """Write `events` to `data` (uint8) and return how many bytes that took. `match` numbers trades and executions.

    `names` is uint8[symbols, 8], `ticks` int64[symbols] in 1/10,000 dollars.
    """
    at = 0
    for i in range(events.shape[0]):
        event = events[i]
        kind, symbol = np.int64(event.kind), np.int64(event.symbol)
        letter = LETTER_OF_KIND[kind]
        size = SIZE_OF_TYPE[letter]
        _put(data, at, PREFIX_BYTES, np.uint64(size if framed else 0))
        at += PREFIX_BYTES
        data[at] = letter
        _put(data, at + 1, 2, np.uint64(symbol + 1))
        _put(data, at + 3, 2, np.uint64(0))
        _put(data, at + 5, 6, np.uint64(event.timestamp_ns))
        price, shares = np.uint64(event.price_ticks * ticks[symbol]), np.uint64(event.size)
        if letter == LETTER_OF_KIND[_HALT]:
            data[at + 11 : at + 19] = names[symbol]
            data[at + 19 : at + 25] = _SPACE
            data[at + 19] = _HALTED if kind == _HALT else _TRADING
        else:
            _put(data, at + 11, 8, event.order_id)
        if kind in (_ADD, _TRADE):
            data[at + 19] = _BUY if event.side == 0 else _SELL
            _put(data, at + 20, 4, shares)
            data[at + 24 : at + 32] = names[symbol]
            _put(data, at + 32, 4, price)
        elif kind in (_CANCEL, _EXECUTE):
            _put(data, at + 19, 4, shares)
        elif kind == _REPLACE:
            _put(data, at + 19, 8, event.new_order_id)
            _put(data, at + 27, 4, shares)
            _put(data, at + 31, 4, price)
        if kind in (_TRADE, _EXECUTE):
            match[0] += np.uint64(1)
            _put(data, at + (36 if kind == _TRADE else 23), 8, match[0])
        at += size
    return at


def write_itch(
    path: Path | str,
    events: np.ndarray,
    *,
    symbol_names: Sequence[str] = (),
    tick_sizes: Sequence[int] = (),
    framed: bool = True,
) -> None:
    """Write `events` (EVENT) to `path` as ITCH 5.0, whole or not at all, between a start and an end of messages.

    `framed` prefixes each message with its big-endian length, as NASDAQ's files are; otherwise with zero. Names default
    to SYM0, SYM1, ...; ticks to one cent. What ITCH does not carry comes back filled in or is lost: the price and side
    of an execution are its order's, the size of a DELETE becomes 0. Raises InputError for what ITCH cannot say.
    """
    require_events(events, path)
    symbols = count_symbols(events)
    names = list(symbol_names) or [f"SYM{symbol}" for symbol in range(symbols)]
    ticks = np.array(tick_sizes or [DEFAULT_TICK] * symbols, np.int64)
    _check(path, events, names, ticks, symbols)
    raw = np.frombuffer("".join(name.ljust(_NAME_BYTES) for name in names).encode("ascii"), np.uint8)
    table = raw.reshape(-1, _NAME_BYTES)
    first = int(events["timestamp_ns"][0]) if events.size else 0
    match = np.zeros(1, np.uint64)
    buffer = np.zeros(min(events.size, _CHUNK_EVENTS) * (PREFIX_BYTES + max(SIZES.values())), np.uint8)
    with files.replacing(Path(path)) as stream:
        stream.write(_system("O", first, framed))  # type: ignore[arg-type]
        for symbol in range(symbols):
            stream.write(_directory(table[symbol].tobytes(), symbol + 1, first, framed))  # type: ignore[arg-type]
        for start in range(0, events.size, _CHUNK_EVENTS):
            chunk = np.ascontiguousarray(events[start : start + _CHUNK_EVENTS])
            length = _encode(chunk, table, ticks, framed, buffer, match)
            stream.write(buffer[:length].data)  # type: ignore[arg-type]
        stream.write(_system("C", int(events["timestamp_ns"][-1]) if events.size else 0, framed))  # type: ignore[arg-type]


def _check(path: Path | str, events: np.ndarray, names: list[str], ticks: np.ndarray, symbols: int) -> None:
    """Raise InputError for the first thing that ITCH cannot say."""
    silent = LETTER_OF_KIND[events["kind"]] == 0
    if silent.any():
        at = int(np.argmax(silent))
        raise InputError(
            f"{path}: event {at} has kind {int(events['kind'][at])}, which ITCH 5.0 cannot say: leave it out"
        )
    if symbols > (1 << 16) - 1:
        raise InputError(f"{path}: ITCH 5.0 has room for 65,535 symbols, not {symbols:,}: write fewer")
    times = events["timestamp_ns"]
    if events.size and not (times.min() >= 0 and times.max() < _TIME_LIMIT_NS):
        raise InputError(f"{path}: ITCH 5.0 counts nanoseconds since midnight: shift the timestamps to one day")
    if len(names) < symbols or len(ticks) < symbols:
        raise InputError(f"{path}: the events have {symbols} symbols, but fewer names or ticks were given: give all")
    for name in names:
        if not 0 < len(name) <= _NAME_BYTES or not name.isascii():
            raise InputError(f"{path}: {name!r} is no name for ITCH 5.0: give 1 to 8 ASCII letters")
    cents = events["price_ticks"].astype(np.int64) * ticks[events["symbol"].astype(np.int64)]
    if events.size and (cents.min() < 0 or cents.max() >= 1 << 32 or events["size"].min() < 0):
        raise InputError(
            f"{path}: a price or a size is negative or has no room in ITCH 5.0's 32 bits: check the events"
        )


def _system(code: str, timestamp_ns: int, framed: bool) -> bytes:
    """Return a framed system event message."""
    return _frame(b"S" + bytes(4) + timestamp_ns.to_bytes(6, "big") + code.encode(), framed)


def _directory(name: bytes, locate: int, timestamp_ns: int, framed: bool) -> bytes:
    """Return a framed stock directory message, for a round lot of 100 on the Q market."""
    head = b"R" + locate.to_bytes(2, "big") + bytes(2) + timestamp_ns.to_bytes(6, "big") + name
    return _frame(head + b"QN" + (100).to_bytes(4, "big") + b"NCZ PNN1N" + bytes(4) + b"N", framed)


def _frame(message: bytes, framed: bool) -> bytes:
    assert len(message) == SIZES[chr(message[0])], message
    return (len(message) if framed else 0).to_bytes(PREFIX_BYTES, "big") + message
