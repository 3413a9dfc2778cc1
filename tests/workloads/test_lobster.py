"""LOBSTER message files: their lines become events exactly, and a bad one is told by line and column."""

import numpy as np
import pytest
from market_files import LINES, PACKED

from kernels.messages import Kind
from workbench import workloads
from workbench.errors import Exit, InputError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("packing", PACKED)
def test_lobster_lines_become_events_exactly(write, packing):
    loaded = workloads.load(write(PACKED[packing](LINES)))
    events = loaded.events
    assert events["timestamp_ns"].tolist() == [
        34200004241176,
        34200004260640,
        34200500000000,
        35821088778456,
        35821088778457,  # rounded from a tenth digit of 6
        35822000000000,
        35823250000000,
        35824250000000,
        35825250000000,
    ]
    kinds = [Kind.ADD, Kind.ADD, Kind.EXECUTE, Kind.CANCEL, Kind.TRADE, Kind.DELETE, Kind.HALT, Kind.HALT, Kind.RESUME]
    assert events["kind"].tolist() == kinds
    assert events["order_id"][:6].tolist() == [16113575, 16113576, 16113575, 16113576, 0, 99]
    assert events["price_ticks"].tolist() == [58533, 58532, 58533, 58532, 58532, 58532, 0, 0, 0]
    assert events["size"][:6].tolist() == [18, 100, 5, 40, 7, 10]
    assert events["side"].tolist() == [0, 1, 0, 1, 1, 1, 0, 0, 0]
    assert loaded.workload.content == "lobster" and loaded.symbols == 1 and loaded.tick_sizes == (100,)
    assert any(note.startswith("1 events concern orders from before the file") for note in loaded.notes)
    assert any("1 trades lie between two ticks" in note for note in loaded.notes)


def test_windows_line_ends_blank_lines_and_a_missing_last_newline_are_read(write):
    plain = workloads.load(write(LINES, "a"))
    other = workloads.load(write(LINES.replace(b"\n", b"\r\n\r\n").rstrip(), "b"))
    assert np.array_equal(plain.events, other.events)


def test_cheap_stocks_have_the_finer_tick_and_a_stray_price_is_refused_not_rounded(write):
    cheap = b"".join(b"1.%d,1,%d,10,%d,1\n" % (i, i + 1, 5001 + i) for i in range(9))
    loaded = workloads.load(write(cheap, "cheap"))
    assert loaded.tick_sizes == (1,) and loaded.events["price_ticks"].tolist() == list(range(5001, 5010))
    stray = b"".join(b"1.0,1,%d,10,%d,1\n" % (i + 1, 500000 + (i == 7)) for i in range(300))
    loaded = workloads.load(write(stray, "stray"))
    assert loaded.tick_sizes == (100,)
    assert loaded.events["price_ticks"][7] == 0 and np.count_nonzero(loaded.events["price_ticks"] == 5000) == 299
    assert any("1 orders have a price off" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"34200.1,1,5,10,5853300", r"line 2 has 5 columns where a LOBSTER message has 6: the file is cut"),
        (b"34200.1,1,5,10,5853300,1,7\n34200.2,1,6,10,5853300,1", r"line 2 has 7 columns"),
        (b"5859100,18,5853300,18,5859200,18,5853200,18", r"8 columns .* order book file, give the message file"),
        (b"nan,1,5,10,5853300,1", r"line 2, column 1 \(time\): 'nan' is not a number"),
        (b"inf,1,5,10,5853300,1", r"column 1 \(time\): 'inf'"),
        (b",1,5,10,5853300,1", r"column 1 \(time\): '' is empty"),
        (b"-1.5,1,5,10,5853300,1", r"column 1 \(time\): '-1.5' is not a number"),
        (b"99999999999.5,1,5,10,5853300,1", r"column 1 \(time\): '99999999999.5' is out of range"),
        (b"34200.1,9,5,10,5853300,1", r"column 2 \(type\): '9' is out of range \(1 to 7\)"),
        (b"34200.1,1.5,5,10,5853300,1", r"column 2 \(type\): '1.5' has a fraction"),
        (b"34200.1,1,-5,10,5853300,1", r"column 3 \(order id\): '-5' is out of range"),
        (b"34200.1,1,99999999999999999999,10,5853300,1", r"column 3 \(order id\): .* is out of range"),
        (b"34200.1,1,5,4294967296,5853300,1", r"column 4 \(size\): '4294967296' is out of range"),
        (b"34200.1,1,5,1e3,5853300,1", r"column 4 \(size\): '1e3' is not a number"),
        (b"34200.1,1,5,10,-5853300,1", r"column 5 \(price\): '-5853300' is out of range"),
        (b"34200.1,1,5,10,5853300,2", r"column 6 \(direction\): '2' is out of range \(-1 or 1\)"),
        (b"34200.1,1,5,10,5853300,-", r"column 6 \(direction\): '-' is not a number"),
        (b"34200.1,1,5,10,5853300,1 x", r"column 6 \(direction\): '1 x' is not a number"),
    ],
)
def test_a_bad_line_is_told_by_line_and_column(write, line, expected):
    path = write(b"34200.0,1,4,10,5853300,1\n" + line + b"\n" * (b"7\n" in line))
    with pytest.raises(InputError, match=expected) as caught:
        workloads.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == Exit.USAGE


def test_a_header_is_told(write):
    with pytest.raises(InputError, match="LOBSTER files have no header"):
        workloads.load(write(b"Time,Type,OrderID,Size,Price,Direction\n" + LINES))
