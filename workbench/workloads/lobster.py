"""Reads LOBSTER message files: text, six columns a line, parsed to whole nanoseconds without a float on the way.

Columns: time (seconds since midnight), type, order id, size, price (dollars times 10,000), direction. Types 1 to 5
and 7 are described in LOBSTER's own ReadMe; 6 is a cross trade.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import EVENT, Kind
from workbench.errors import InputError
from workbench.workloads.loaded import Parsed
from workbench.workloads.survey import as_ticks, off_tick_notes, survey

COLUMNS = ("time", "type", "order id", "size", "price", "direction")
_SIX = len(COLUMNS)

_FINE, _EMPTY_FIELD, _NOT_A_NUMBER, _RANGE, _FEW, _MANY, _FRACTION = range(7)
_WRONG = {
    _EMPTY_FIELD: "is empty",
    _NOT_A_NUMBER: "is not a number in digits",
    _RANGE: "is out of range",
    _FRACTION: "has a fraction, but must be whole",
}
_RANGES = {
    1: "1 to 7",
    3: "0 to 2,147,483,647",
    4: "-1 to 99,999,999,999,999",
    5: "-1 or 1",
}

_NEWLINE, _RETURN, _COMMA, _DOT, _MINUS = 10, 13, 44, 46, 45
_ZERO, _NINE = 48, 57
_SECOND_DIGITS = 9  # nanoseconds of 10**9 seconds still fit 63 bits
_PRICE_LIMIT = 10**14  # 2**30 ticks of 10,000 units, rounded up: what is above is no price
_KIND_OF_TYPE = np.array(
    [0, Kind.ADD, Kind.CANCEL, Kind.DELETE, Kind.EXECUTE, Kind.TRADE, Kind.TRADE, Kind.HALT], np.uint8
)


@kernel_jit
def _digits(data, at, end):  # type: ignore[no-untyped-def]
    """Return the number that starts at `at`, where it ends, and whether it fits 64 bits. No digit: ends at `at`."""
    value, fits = np.uint64(0), True
    while at < end and _ZERO <= data[at] <= _NINE:
        digit = np.uint64(data[at] - _ZERO)
        if value > (np.uint64(0xFFFFFFFFFFFFFFFF) - digit) // np.uint64(10):
            fits = False
        value = value * np.uint64(10) + digit
        at += 1
    return value, at, fits


@kernel_jit
def _nanoseconds(data, at, end):  # type: ignore[no-untyped-def]
    """Return the time at `at` in ns, where it ends, and _FINE or what is wrong with it.

    LOBSTER's own files hold times such as 35821.088778456004, which were once printed from a float: what is finer than
    a nanosecond is rounded to the nearest.
    """
    seconds, stop, _ = _digits(data, at, end)
    if stop == at:
        return np.int64(0), stop, _EMPTY_FIELD if at == end or data[at] == _COMMA else _NOT_A_NUMBER
    if stop - at > _SECOND_DIGITS:
        return np.int64(0), stop, _RANGE
    fraction, scale = np.int64(0), np.int64(1_000_000_000)
    if stop < end and data[stop] == _DOT:
        stop += 1
        while stop < end and _ZERO <= data[stop] <= _NINE:
            digit = np.int64(data[stop] - _ZERO)
            if scale == 1:  # the tenth digit rounds; what follows it cannot matter
                fraction += digit >= 5
            scale //= 10
            fraction += digit * scale
            stop += 1
    return np.int64(seconds) * 1_000_000_000 + fraction, stop, _FINE


@kernel_jit
def _field_is_fine(column, value, negative, fits):  # type: ignore[no-untyped-def]
    """Return whether `value` may stand in that column (1 to 5)."""
    if not fits:
        return False
    if column == 1:
        return not negative and np.uint64(1) <= value <= np.uint64(7)
    if column == 2:
        return not negative
    if column == 3:
        return not negative and value <= np.uint64(0x7FFFFFFF)
    if column == 4:
        return value <= np.uint64(1) if negative else value < np.uint64(_PRICE_LIMIT)
    return value == np.uint64(1)


@kernel_jit
def _scan(data, events, prices, where):  # type: ignore[no-untyped-def]
    """Parse `data` into `events` and `prices`; return how many, after writing line, column, start and fault to `where`.

    ``where[3]`` is _FINE when all was read. `events` and `prices` must have room for one row more than newlines.
    """
    at, size, line, row = 0, data.shape[0], 0, 0
    while at < size:
        line += 1
        end = at
        while end < size and data[end] != _NEWLINE:
            end += 1
        after = end + 1
        if end > at and data[end - 1] == _RETURN:
            end -= 1
        if end == at:  # an empty line says nothing
            at = after
            continue
        for column in range(_SIX):
            where[0], where[1], where[2] = line, column, at
            if column == 0:
                timestamp, stop, fault = _nanoseconds(data, at, end)
                events[row].timestamp_ns = timestamp
            else:
                negative = at < end and data[at] == _MINUS
                first = at + 1 if negative else at
                value, stop, fits = _digits(data, first, end)
                fault = _FINE
                if stop == first:
                    fault = _EMPTY_FIELD if at == end or data[at] == _COMMA else _NOT_A_NUMBER
                elif stop < end and data[stop] == _DOT:
                    fault = _FRACTION
                elif not _field_is_fine(column, value, negative, fits):
                    fault = _RANGE
                else:
                    _store(events, prices, row, column, value, negative)
            if fault == _FINE and stop < end and data[stop] != _COMMA:
                fault = _NOT_A_NUMBER
            if fault == _FINE and column < _SIX - 1 and stop == end:
                fault = _FEW
            if fault == _FINE and column == _SIX - 1 and stop < end:
                fault = _MANY
            if fault != _FINE:
                where[3] = fault
                return row
            at = stop + 1
        row += 1
        at = after
    return row


@kernel_jit
def _store(events, prices, row, column, value, negative):  # type: ignore[no-untyped-def]
    """Write one checked field."""
    if column == 1:
        events[row].kind = _KIND_OF_TYPE[value]
    elif column == 2:
        events[row].order_id = value
    elif column == 3:
        events[row].size = np.int32(value)
    elif column == 4:
        prices[row] = -np.int64(value) if negative else np.int64(value)
    else:
        events[row].side = 1 if negative else 0


def parse(data: np.ndarray, path: str) -> Parsed:
    """Parse the text `data` (uint8). Raises InputError that names line, column and what to do; `path` is for that."""
    rows = int(np.count_nonzero(data == _NEWLINE)) + 1
    events, prices, where = np.zeros(rows, EVENT), np.zeros(rows, np.int64), np.zeros(4, np.int64)
    count = _scan(data, events, prices, where)
    if where[3] != _FINE:
        raise InputError(_sentence(data, path, *(int(value) for value in where)))
    if count == 0:
        raise InputError(f"{path} holds no line of data: give a LOBSTER message file")
    events, prices = events[:count], prices[:count]
    _take_halts(events, prices)
    ticks, off_tick = as_ticks(events, prices)
    return Parsed("lobster", events, off_tick_notes(off_tick) + survey(events), tick_sizes=tuple(ticks))


def _take_halts(events: np.ndarray, prices: np.ndarray) -> None:
    """Turn type 7 into HALT or RESUME by its price (-1 halted, 0 quoting again, 1 trading again); it has no price."""
    halts = events["kind"] == Kind.HALT
    events["kind"][halts & (prices == 1)] = Kind.RESUME
    prices[halts] = 0
    events["side"][halts] = 0


def _sentence(data: np.ndarray, path: str, line: int, column: int, start: int, fault: int) -> str:
    """Say what is wrong, in one sentence."""
    row = _line_at(data, start)
    columns = row.count(b",") + 1
    found = data[start : start + 64].tobytes().split(b"\n")[0].split(b",")[0].strip()[:40].decode("ascii", "replace")
    if columns != _SIX:
        what = f"{path}: line {line} has {columns} columns where a LOBSTER message has {_SIX}"
        if columns >= 4 and columns % 4 == 0:
            return f"{what}: this looks like LOBSTER's order book file, give the message file"
        unfinished = not (data[start:] == _NEWLINE).any()  # a line without its end, so the last
        return f"{what}: " + ("the file is cut, fetch it again" if unfinished else "correct or remove that line")
    wrong = _WRONG[fault] + (f" ({_RANGES[column]})" if fault == _RANGE and column in _RANGES else "")
    header = line == 1 and column == 0 and fault == _NOT_A_NUMBER
    hint = "LOBSTER files have no header and start with a time" if header else "correct or remove that line"
    return f"{path}: line {line}, column {column + 1} ({COLUMNS[column]}): {found!r} {wrong}: {hint}"


def _line_at(data: np.ndarray, position: int) -> bytes:
    """Return the line around `position`, as far as 64 KB to either side."""
    before = data[max(0, position - 65536) : position].tobytes().rsplit(b"\n", 1)[-1]
    return before + data[position : position + 65536].tobytes().split(b"\n", 1)[0]
