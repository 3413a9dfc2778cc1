"""Reads Databento DBN files of the MBO schema (market by order), versions 1 to 3.

The ``databento-dbn`` package reads the metadata in front, whose layout differs between versions; the records, whose
layout does not, are walked by compiled code, and those of other types skipped by their length.

What becomes of a record: A an ADD; C a CANCEL of its size; M a MODIFY, or an ADD where the order does not rest (as in
Databento's own book); R a CLEAR of its instrument; T a TRADE, whose side is turned from the aggressor's to the resting
one. F (which resting order was filled) and N become nothing: neither T nor F changes the book, "because all fills will
be accompanied by cancel actions that do update the book" (databento.com/docs, "State management of resting orders").
Inside one exchange event, so before its record with the flag F_LAST, a book may be crossed. Records of quotes and of
whole price levels (flags F_TOB, F_MBP) are no orders and become nothing either.

A symbol is an instrument at one publisher, numbered from 0 as its first event comes. Its tick is the greatest common
divisor of its orders' prices and of 1: the exchange's tick, or a multiple of it where the prices need no finer one.
Times are ``ts_recv``, by which the file is ordered: the ``ts_event`` of an order in a snapshot is from before the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import EVENT, MAX_PRICE_TICKS, Kind
from workbench.errors import InputError
from workbench.workloads.loaded import Parsed
from workbench.workloads.survey import off_tick_notes, slot_of, survey

RECORD = np.dtype(
    [
        ("length", "u1"),  # in words of 4 bytes
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),  # 1e-9
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "u1"),
        ("side", "u1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
"""An MBO record, 56 bytes; a live stream may append 8 more to each record (``ts_out``)."""

KIND_OF_ACTION = np.full(256, 255, np.uint8)
for _letter, _event_kind in zip(
    b"ACMRTFN", (Kind.ADD, Kind.CANCEL, Kind.MODIFY, Kind.CLEAR, Kind.TRADE, 0, 0), strict=True
):
    KIND_OF_ACTION[_letter] = _event_kind

_ADD, _CANCEL, _MODIFY, _CLEAR = int(Kind.ADD), int(Kind.CANCEL), int(Kind.MODIFY), int(Kind.CLEAR)
_TRADE = int(Kind.TRADE)
_MBO = 160  # rtype
_WORD_BYTES = 4
_RECORD_BYTES = RECORD.itemsize
_PREFIX_BYTES = 8  # "DBN", the version, and how many bytes of metadata follow
_F_TOB, _F_MBP = 64, 16
_NO_PRICE = 2**63 - 1
_ONE = 10**9  # a price of 1
_INT32_MAX = 2**31 - 1
_DOLLAR_UNIT = 100_000  # 1/10,000 dollars, the unit of `Parsed.tick_sizes`, in units of 1e-9
_SYMBOLS = 1 << 16
_ZERO_LENGTH, _CUT, _WRONG_LENGTH, _UNKNOWN_ACTION = 1, 2, 3, 4


@kernel_jit
def _walk(data, at, records, told):  # type: ignore[no-untyped-def]
    """Count the MBO records from byte `at` of `data` (uint8) on, and copy them to `records` (uint8[n, 56]) while it
    has room; write where and why it stopped to ``told[:2]`` (offset, fault).
    """
    end, count = data.shape[0], 0
    while at < end:
        told[0], size = at, np.int64(data[at]) * _WORD_BYTES
        if size < 2 * _WORD_BYTES:
            told[1] = _ZERO_LENGTH
            return count
        if size > end - at:
            told[1] = _CUT
            return count
        if data[at + 1] == _MBO:
            if size < _RECORD_BYTES:
                told[1] = _WRONG_LENGTH
                return count
            if KIND_OF_ACTION[data[at + 38]] == 255:
                told[1] = _UNKNOWN_ACTION
                return count
            if count < records.shape[0]:
                for i in range(_RECORD_BYTES):
                    records[count, i] = data[at + i]
            count += 1
        at += size
    return count


@kernel_jit
def _modify_or_add(events, table, sizes, symbols, ages, cleared):  # type: ignore[no-untyped-def]
    """Make an ADD of each MODIFY whose order does not rest; return how many.

    `table` is as in `workbench.workloads.survey`; `cleared` (int64, by symbol) counts the symbol's CLEARs, and an order
    rests only while it is of the same age.
    """
    changed = 0
    for i in range(events.shape[0]):
        kind, symbol = events[i].kind, events[i].symbol
        if kind == _CLEAR:
            cleared[symbol] += 1
        if kind not in (_ADD, _CANCEL, _MODIFY):
            continue
        at = slot_of(table, events[i].order_id)
        rests = table[at] != 0 and sizes[at] > 0 and symbols[at] == symbol and ages[at] == cleared[symbol]
        if kind == _CANCEL:
            if rests:
                sizes[at] -= events[i].size
            continue
        if kind == _MODIFY and not rests:
            events[i].kind = _ADD
            changed += 1
        table[at] = events[i].order_id + np.uint64(1)
        sizes[at], symbols[at], ages[at] = events[i].size, symbol, cleared[symbol]
    return changed


def parse(data: np.ndarray, path: str) -> Parsed:
    """Parse the DBN file in `data` (uint8). Raises InputError where it is damaged, cut, or not of the MBO schema."""
    metadata, start = _metadata(data, path)
    told = np.zeros(2, np.int64)
    count = _walk(data, start, np.zeros((0, _RECORD_BYTES), np.uint8), told)
    if told[1]:
        raise InputError(_sentence(data, path, int(told[0]), int(told[1])))
    raw = np.zeros((count, _RECORD_BYTES), np.uint8)
    _walk(data, start, raw, told)
    records = raw.reshape(-1).view(RECORD)
    kinds = KIND_OF_ACTION[records["action"]]
    quotes = (kinds != 0) & (kinds != _CLEAR) & ((records["flags"] & (_F_TOB | _F_MBP)) != 0)
    wanted = (kinds != 0) & ~quotes
    if not wanted.any():
        raise InputError(
            f"{path} is Databento DBN (schema {metadata.schema}) but holds no order or trade: give one of schema mbo"
        )
    return _events(records[wanted], kinds[wanted], int(quotes.sum()), _names(metadata), path)


def _metadata(data: np.ndarray, path: str) -> tuple[Any, int]:
    """Return the metadata and the offset of the first record. Raises InputError."""
    try:
        from databento_dbn import DBNError, Metadata
    except ImportError:
        raise InputError(
            f"{path} is Databento DBN, which needs the databento-dbn package: install kernel-workbench[databento]"
        ) from None
    head = data[:_PREFIX_BYTES].tobytes()
    start = _PREFIX_BYTES + int.from_bytes(head[4:], "little")
    if len(head) < _PREFIX_BYTES or data.size < start:
        raise InputError(
            f"{path} is cut or damaged: its metadata should end at byte {start:,}, it has {data.size:,}; fetch it again"
        )
    try:
        return Metadata.decode(data[:start].tobytes()), start
    except (DBNError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: the metadata of this Databento file are damaged or of a newer version ({reason}): "
            "fetch it again, or update databento-dbn"
        ) from None


def _events(records: np.ndarray, kinds: np.ndarray, quotes: int, names: dict[str, str], path: str) -> Parsed:
    """Return what `records`, each of which is an event of one of `kinds`, say."""
    keys = records["publisher_id"].astype(np.int64) << 32 | records["instrument_id"]
    distinct, first, place = np.unique(keys, return_index=True, return_inverse=True)
    if distinct.size > _SYMBOLS:
        raise InputError(f"{path} holds {distinct.size:,} instruments, at most {_SYMBOLS:,} fit: ask for fewer")
    order = np.argsort(first)
    dense = np.empty(distinct.size, np.int64)
    dense[order] = np.arange(distinct.size)
    events = np.zeros(records.size, EVENT)
    events["symbol"] = dense[place]
    events["kind"] = kinds
    events["timestamp_ns"] = np.where(records["ts_recv"] <= _NO_PRICE, records["ts_recv"], 0)
    events["order_id"] = np.where(kinds == _CLEAR, 0, records["order_id"])
    big = records["size"] > _INT32_MAX
    events["size"] = np.where(big | (kinds == _CLEAR), 0, records["size"])
    asks = records["side"] == ord("A")
    events["side"] = np.where(kinds == _CLEAR, 0, asks ^ (kinds == _TRADE))
    sided = asks | (records["side"] == ord("B"))
    events["side"][(kinds == _ADD) & ~sided] = 255  # a book refuses it and counts it
    ticks, off_tick = _as_ticks(events, records["price"], distinct.size)
    notes = off_tick_notes(off_tick)
    if quotes:
        notes += (f"{quotes:,} records are quotes or price levels (F_TOB, F_MBP), not orders: left out",)
    if (big & (kinds != _CLEAR)).any():
        notes += (f"{int(np.sum(big & (kinds != _CLEAR))):,} sizes are above {_INT32_MAX:,}: they became 0, refused",)
    added = _add_what_does_not_rest(events, distinct.size)
    if added:
        notes += (f"{added:,} changes of orders that do not rest were taken as new orders",)
    symbol_names = tuple(names.get(str(key & 0xFFFFFFFF), f"#{key & 0xFFFFFFFF}") for key in distinct[order].tolist())
    whole = all(tick % _DOLLAR_UNIT == 0 for tick in ticks)
    tick_sizes = tuple(tick // _DOLLAR_UNIT for tick in ticks) if whole else ()
    return Parsed("databento", events, notes + survey(events), symbol_names, tick_sizes)


def _as_ticks(events: np.ndarray, prices: np.ndarray, symbols: int) -> tuple[list[int], tuple[int, int]]:
    """Write `prices` (1e-9) into the events in ticks of each symbol; return the ticks and the counts of odd prices.

    A price that is absent, negative, zero or too high becomes 0: a book refuses the order and counts it.
    """
    kinds, symbol = events["kind"], events["symbol"].astype(np.int64)
    resting = (kinds == _ADD) | (kinds == _MODIFY)
    priced = (prices > 0) & (prices != _NO_PRICE)
    tick = np.full(symbols, _ONE, np.int64)
    np.gcd.at(tick, symbol[resting & priced], prices[resting & priced])
    ticks, rest = np.divmod(np.where(priced, prices, 0), tick[symbol])
    bad = ~priced | (ticks > MAX_PRICE_TICKS)
    events["price_ticks"] = np.where(bad | (kinds == _CLEAR), 0, ticks)
    return tick.tolist(), (int(np.sum(bad & resting)), int(np.sum((rest != 0) & (kinds == _TRADE))))


def _add_what_does_not_rest(events: np.ndarray, symbols: int) -> int:
    """Call `_modify_or_add` with a table that has room for every order."""
    kinds = events["kind"]
    if not (kinds == _MODIFY).any():
        return 0
    slots = 1 << max(4, (2 * int(np.sum((kinds == _ADD) | (kinds == _MODIFY)))).bit_length())
    table, sizes = np.zeros(slots, np.uint64), np.zeros(slots, np.int64)
    owners, ages = np.zeros(slots, np.uint16), np.zeros(slots, np.int64)
    return int(_modify_or_add(events, table, sizes, owners, ages, np.zeros(symbols, np.int64)))


def _names(metadata: Any) -> dict[str, str]:
    """Return the symbol of each instrument id, both as text; the file's mappings may run either way."""
    names: dict[str, str] = {}
    for name, intervals in metadata.mappings.items():
        for interval in intervals:
            other = str(interval["symbol"])
            if other.isdigit():
                names[other] = str(name)
            elif str(name).isdigit():
                names[str(name)] = other
    return names


def _sentence(data: np.ndarray, path: str, offset: int, fault: int) -> str:
    """Say what is wrong at `offset`, in one sentence."""
    where = f"{path}: at byte {offset:,}"
    if fault == _CUT:
        size = int(data[offset]) * _WORD_BYTES
        have = data.size - offset
        return f"{where} a record of {size} bytes starts that is cut after {have} bytes: fetch the file again"
    if fault == _ZERO_LENGTH:
        return f"{where} stands a record of {int(data[offset]) * _WORD_BYTES} bytes: the file is damaged"
    if fault == _WRONG_LENGTH:
        size = int(data[offset]) * _WORD_BYTES
        return f"{where} stands an order record of {size} bytes, expected {_RECORD_BYTES}: the file is damaged"
    action = chr(data[offset + 38])
    return f"{where} stands action {action!r}, unknown to Databento's MBO schema: the file is damaged or newer"
