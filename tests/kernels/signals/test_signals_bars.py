"""From events to bars: trades, quotes as the order book has them, and bars of one's own arrays."""

import numpy as np
import pytest
from signal_cases import KERNEL

from kernels.messages import EVENT, Kind, Side
from kernels.order_book.reference import Reference as Book
from kernels.signals import Bars, make_bars
from kernels.signals._bars import MOST_ROWS, NEXT, ROWS_ALONE, THREADS
from kernels.signals._quotes import quotes_after
from workbench import workloads
from workbench.workloads.generator import synthetic


def events_of(*rows):
    events = np.zeros(len(rows), EVENT)
    for i, (kind, symbol, price, *size) in enumerate(rows):
        events[i]["kind"], events[i]["symbol"], events[i]["price_ticks"] = kind, symbol, price
        events[i]["size"] = size[0] if size else 1
    return events


def bars_of(events, **parameters):
    return KERNEL.prepare(events, KERNEL.check_parameters(parameters))


def test_bars_hold_high_low_close_and_volume_of_each_symbol():
    events = events_of(
        (Kind.ADD, 0, 99),
        (Kind.EXECUTE, 0, 12, 5),
        (Kind.TRADE, 0, 11, 2),  # first bar: two trades, the later is the close; symbol 1 shows its first bar's
        (Kind.EXECUTE, 1, 20),
        (Kind.EXECUTE, 1, 0),  # without a price: left out
        (Kind.EXECUTE, 1, 21, 7),  # second bar: symbol 0 keeps its price, and has no volume
        (Kind.TRADE, 0, 13),
        (Kind.DELETE, 1, 77),
    )
    bars = bars_of(events, symbols=2)
    columns = bars[:-1]
    assert all(column.shape == (4096, 2) and column.flags.c_contiguous for column in columns)
    assert bars.close[:7].tolist() == [[11, 21], [11, 21], [13, 21], [13, 21], [11, 21], [11, 21], [11, 21]]
    assert bars.high[:3].tolist() == [[12, 21], [11, 21], [13, 21]]
    assert bars.low[:3].tolist() == [[11, 21], [11, 20], [13, 21]]
    assert bars.volume[:3].tolist() == [[7, 0], [0, 8], [1, 0]]
    wide = bars_of(events, symbols=5)
    for column, narrow in zip(wide[:-1], columns, strict=True):
        assert np.array_equal(column[:, :2], narrow, equal_nan=True)
        assert np.array_equal(column[:-101, 2:4], narrow[101:], equal_nan=True)
    assert KERNEL.parameters_for(events) == {"symbols": 64}


def test_a_symbol_that_never_trades_is_nan_and_long_markets_are_cut():
    many = events_of(*[(Kind.EXECUTE, 0, 5 + i) for i in range(20_000)], (Kind.ADD, 1, 5))
    bars = bars_of(many, symbols=2)
    assert np.all(np.isnan(bars.close[:, 1])) and np.all(np.isnan(bars.high[:, 1])) and not np.any(bars.volume[:, 1])
    assert bars.close[:2, 0].tolist() == [6, 8]
    double = bars_of(many[:-1], symbols=2)
    assert double.close.shape == (MOST_ROWS, 2) and double.close[-1].tolist() == [4 + MOST_ROWS, 5 + MOST_ROWS - 101]


def test_a_single_series_is_long():
    single = bars_of(events_of(*[(Kind.EXECUTE, 0, 5 + i) for i in range(20_000)]), symbols=1)
    assert single.close.shape == (ROWS_ALONE, 1)
    assert single.close[[0, MOST_ROWS - 1, MOST_ROWS, 2 * MOST_ROWS - 1], 0].tolist() == [
        5,
        4 + MOST_ROWS,
        4 + MOST_ROWS,
        5,
    ]


def test_events_that_give_no_bars_are_told():
    with pytest.raises(ValueError, match="no execution or trade"):
        bars_of(events_of((Kind.ADD, 0, 5)), symbols=1)
    with pytest.raises(ValueError, match="build it with symbols=3"):
        bars_of(events_of((Kind.TRADE, 2, 5)), symbols=2)
    with pytest.raises(ValueError, match="must be a one-dimensional array"):
        bars_of(np.zeros(3), symbols=1)


def quotes_of_the_book(events, stops, symbols):
    book, rows = Book(symbols=symbols), []
    for i in range(stops[-1] + 1):
        book.replay(events[i : i + 1])
        if i in set(stops):
            best = np.array([book.best(symbol) for symbol in range(symbols)], float)
            best[:, (0, 2)] = np.where(best[:, (1, 3)] == 0, np.nan, best[:, (0, 2)])
            rows.append(best.T)
    return np.swapaxes(np.array(rows), 0, 1)


def disturbed(seed, count):
    """Return a market of three symbols with events of every kind, many of them bad."""
    random = np.random.default_rng(seed)
    events = synthetic(3, count, seed).events.copy()
    hit = random.random(count) < 0.15
    events["kind"][hit] = random.integers(0, 12, hit.sum())
    events["order_id"][hit] = random.choice(events["order_id"], hit.sum())
    events["new_order_id"][hit] = random.choice(events["order_id"], hit.sum())
    events["side"][hit] = random.integers(0, 3, hit.sum())
    events["size"][hit] = random.integers(-1, 300, hit.sum())
    far = random.random(count) < 0.01
    events["price_ticks"][far] = random.choice([0, -5, 1, 2**30 - 1, 2**30], far.sum())
    events["order_id"][random.random(count) < 0.005] = 0
    events["kind"][count // 2] = Kind.CLEAR
    return events


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quotes_are_those_of_the_order_book(seed):
    events = disturbed(seed, 1500)
    stops = np.unique(np.r_[0, np.random.default_rng(seed).integers(0, 1500, 200), 1499])
    found = np.array(quotes_after(events, stops, 3))
    assert np.array_equal(found, quotes_of_the_book(events, stops, 3), equal_nan=True)
    assert np.isfinite(found).mean() > 0.5


def test_quotes_of_an_empty_book_and_of_no_bars():
    events = events_of((Kind.DELETE, 0, 5), (Kind.ADD, 1, 7))
    events["order_id"] = 4
    events["side"] = Side.ASK
    bid, bid_size, ask, ask_size = quotes_after(events, np.array([0, 1]), 2)
    assert np.all(np.isnan(bid)) and not bid_size.any() and not ask_size[0].any()
    assert ask[1].tolist()[1] == 7 and ask_size[1].tolist() == [0, 1]
    assert quotes_after(events, np.array([], int), 2)[0].shape == (0, 2)


def test_the_quotes_of_a_real_market_stand_around_its_trades(real_data):
    bars = bars_of(workloads.parse("aapl").events, symbols=2)
    there = np.isfinite(bars.bid_price) & np.isfinite(bars.ask_price)
    assert there.mean() > 0.99
    assert np.all(bars.bid_price[there] < bars.ask_price[there])
    middle = (bars.bid_price + bars.ask_price)[there] / 2
    assert np.median(np.abs(middle - bars.close[there]) / middle) < 1e-3


def test_bars_of_ones_own_arrays():
    close = np.arange(6.0).reshape(3, 2)
    bars = make_bars(close, volume=close + 1)
    assert bars.close is close and bars.high is close and bars.low is close
    assert np.array_equal(bars.volume, close + 1) and np.all(np.isnan(bars.ask_price)) and not bars.bid_size.any()
    assert bars.work[NEXT] == 0 and bars.work[THREADS] == 1
    single = make_bars([1, 2, 3], high=np.array([2, 3, 4]))
    assert single.close.tolist() == [[1], [2], [3]] and single.high.tolist() == [[2], [3], [4]]
    assert make_bars(np.zeros((0, 3))).close.shape == (0, 3)
    with pytest.raises(ValueError, match="must have one shape"):
        make_bars(close, low=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="and no open, work"):
        make_bars(close, open=close, work=close)


def test_a_divided_run_shares_one_counter():
    bars, out = make_bars(np.zeros((3, 2))), np.zeros((1, 3, 2))
    assert KERNEL.shares(bars, out, {"threads": 1}) == [(bars, out)]
    shares = KERNEL.shares(bars, out, {"threads": 3})
    assert len(shares) == 3 and all(isinstance(each, Bars) and own is out for each, own in shares)
    assert len({id(each.work) for each, _ in shares}) == 1 and shares[0][0].work is not bars.work
    assert shares[0][0].work[THREADS] == 3 and shares[0][0].close is bars.close


@pytest.mark.parametrize("name", ["ema", "sma", "macd"])
@pytest.mark.parametrize(("symbols", "window"), [(1, 20), (64, 20), (64, 513), (5, 7)])
def test_an_output_lies_where_no_load_waits_for_a_store_of_another_page(name, symbols, window):
    """Loads run ahead of stores by up to 1 KB: until there, the last 12 bits of their addresses must differ."""
    for start in (0, 2, 8, 500):  # float64 from a page on, as callers' arrays may begin anywhere
        whole = np.zeros(512 * symbols + 1024)
        column = whole[(-(whole.ctypes.data // 8) % 512) + start :][: 512 * symbols].reshape(-1, symbols)
        parameters = KERNEL.check_parameters({"symbols": symbols, "indicator": name, "window": window})
        out = KERNEL.output(make_bars(column), parameters)
        assert out.ctypes.data % 64 == 0 and out.shape[1:] == column.shape
        reads = [column.ctypes.data] + ([column.ctypes.data - 8 * window * symbols] if name == "sma" else [])
        ahead = [(read - line.ctypes.data) % 4096 for read in reads for line in out]
        assert all(64 <= distance <= 3072 for distance in ahead), ahead
