"""What each indicator is: known numbers, TA-Lib's definitions, starts and NaNs, short inputs, real prices."""

import numpy as np
import pytest
from signal_cases import (
    KERNEL,
    NAMES,
    OURS,
    PAIRS,
    allowed,
    assert_agrees,
    cut,
    each_pair,
    expected_of,
    first_bar,
    random_bars,
    run,
    slow_beyond_baseline,
)

from kernels.signals import make_bars
from kernels.signals._state import named
from workbench import workloads
from workbench.workloads.known import real_hour

OF_TALIB = ("sma", "ema", "rsi", "macd", "bollinger", "atr", "vwap", "std", "min", "max")
TALIB = KERNEL.variants["peer_talib"]
needs_talib = pytest.mark.skipif(TALIB.missing() is not None, reason="TA-Lib is not installed: [peers]")
PAIRS_OF_TALIB = [pair for pair in PAIRS if pair.values[1] in OF_TALIB]


def series(*closes):
    return make_bars(np.array(closes, float))


@pytest.mark.parametrize(
    ("name", "window", "expected"),
    [
        ("sma", 3, [[np.nan, np.nan, 3, 4, 6]]),
        ("ema", 3, [[np.nan, np.nan, 3, 3.5, 5.75]]),
        ("rsi", 2, [[np.nan, np.nan, 100, 125 / 2.25, 262.5 / 3.125]]),
        ("bollinger", 2, [[np.nan, 2.5, 8, 7, 10], [np.nan, 1.5, 4, 5, 6], [np.nan, 0.5, 0, 3, 2]]),
        ("std", 2, [[np.nan, 0.5, 2, 1, 2]]),
        ("min", 2, [[np.nan, 1, 2, 4, 4]]),
        ("max", 2, [[np.nan, 2, 6, 6, 8]]),
        ("atr", 2, [[np.nan, np.nan, 2.5, 2.25, 3.125]]),
        ("vwap", 2, [[np.nan, 1.5, 4, 5, 6]]),
    ],
)
def test_known_numbers(name, window, expected):
    """Of the closes 1, 2, 6, 4, 8; RSI by hand: the averages are 2.5 and 0, 1.25 and 1, 2.625 and 0.5."""
    bars = series(1, 2, 6, 4, 8)
    out = expected_of(name, bars, window)
    assert np.allclose(out[:, :, 0], expected, equal_nan=True, rtol=1e-14)


def quotes(*rows):
    columns = np.array(rows, float).T[:, :, np.newaxis]
    names = ("bid_price", "bid_size", "ask_price", "ask_size")
    return make_bars(columns[0] * 0, **dict(zip(names, columns, strict=True)))


def test_known_numbers_of_the_book():
    book = quotes((10, 3, 11, 1), (10, 5, 11, 1), (11, 2, 12, 4), (10, 0, np.nan, 0), (10, 0, 12, 0))
    assert expected_of("imbalance", book, 1)[0, :, 0].tolist() == [0.5, 4 / 6, -2 / 6, 0, 0]
    microprice = expected_of("microprice", book, 1)[0, :, 0]
    assert np.allclose(microprice, [10.75, 65 / 6, 68 / 6, np.nan, np.nan], equal_nan=True, rtol=1e-14)
    # The bid grows by 2; then it rises, so all of its size counts, and the ask rises, so what it had counts too.
    flow = expected_of("flow", book, 1)[0, :, 0]
    assert np.array_equal(flow, [np.nan, 2, 2 + 1, np.nan, np.nan], equal_nan=True)


@needs_talib
@pytest.mark.parametrize("window", [2, 3, 20])
@pytest.mark.parametrize("name", OF_TALIB)
def test_the_reference_is_what_talib_computes(name, window):
    bars = random_bars(window, 400, 3)
    bars.volume[:] += 1  # TA-Lib's sums of volumes that were not all 0 do not come back to 0
    expected, out = run(TALIB, name, bars, window), expected_of(name, bars, window)
    assert_agrees(out, expected, name, bars, 1e-9)
    if name not in ("std", "bollinger", "macd"):
        assert np.allclose(out, expected, rtol=1e-9, atol=0, equal_nan=True)


@needs_talib
def test_a_flat_market_is_what_talib_makes_of_it():
    flat = series(*[5.0] * 60)
    for name in OF_TALIB:
        assert np.array_equal(run(TALIB, name, flat, 7), expected_of(name, flat, 7), equal_nan=True), name


@each_pair
@pytest.mark.parametrize("window", [1, 4])
def test_short_inputs_are_nan_until_the_first_value(variant, name, window):
    bars = random_bars(2, 40, 3)
    bars.volume[:] += 1
    begins = first_bar(name, window)
    for rows in (0, 1, begins, begins + 1, 40):
        out = run(variant, name, make_bars(**{k: v[:rows] for k, v in bars._asdict().items() if k != "work"}), window)
        assert out.shape == (len(named(name).lines), rows, 3)
        assert np.all(np.isnan(out[:, :begins]))
        if name != "microprice":
            assert not np.any(np.isnan(out[:, begins:]))


@each_pair
def test_flat_markets_and_huge_and_tiny_prices(variant, name):
    for bars in (
        series(*[5.0] * 200),
        series(*[1e100, 1.5e100] * 50),
        series(*[1e-100, 1.5e-100] * 50),
        series(*[0.0] * 50, *[-3.0, 2.0] * 30),
        series(*np.r_[np.arange(100.0), np.arange(100.0)[::-1]]),
    ):
        out = run(variant, name, bars, 7)
        assert_agrees(out, expected_of(name, bars, 7), name, bars, variant.relative_tolerance)


@each_pair
def test_every_line_of_bad_bars_is_nan(variant, name):
    for bad in (np.nan, np.inf, -np.inf):
        for column in named(name).reads:
            bars = random_bars(4, 80, 2)
            getattr(bars, column)[60, 1] = bad
            out = run(variant, name, bars, 5)
            assert np.all(np.isnan(out[:, 60, 1])), column
            assert_agrees(out, expected_of(name, bars, 5), name, bars, variant.relative_tolerance)


@pytest.mark.parametrize("variant", [pytest.param(v, id=v.name, marks=slow_beyond_baseline(v)) for v in OURS])
def test_a_running_sum_does_not_drift(variant):
    """A plain one is off by far more than this after a large price has passed."""
    closes = np.full((60_000, 2), 0.1)
    closes[::7] += 1e-3
    closes[1000] = 1e9
    out = run(variant, "sma", make_bars(closes), 20)
    exact = [np.mean(closes[row - 19 : row + 1, 0]) for row in (50_000, 59_999)]
    assert np.allclose(out[0, [50_000, 59_999], 0], exact, rtol=max(1e-14, variant.relative_tolerance / 10), atol=0)


@pytest.fixture(scope="module")
def real_hour_bars(real_data):
    if real_hour() is None:
        pytest.skip("the hour of AAPL is not where WORKBENCH_DATA points")
    events = workloads.parse("aapl").events
    return cut(KERNEL.prepare(events, KERNEL.check_parameters({"symbols": 1})), 0, 8000)  # longer than the hour


@needs_talib
@pytest.mark.data
@pytest.mark.parametrize(("variant", "name"), PAIRS_OF_TALIB)
def test_an_hour_of_aapl_is_what_talib_makes_of_it(variant, name, real_hour_bars):
    out, expected = run(variant, name, real_hour_bars), run(TALIB, name, real_hour_bars)
    # TA-Lib squares whole prices, so its own deviations are known to some 1e-7 of the price only.
    exact = expected_of(name, real_hour_bars, 20) if name in ("std", "bollinger") else expected
    assert_agrees(out, exact, name, real_hour_bars, 1e-9)
    if name in ("std", "bollinger"):
        assert np.nanmax(np.abs(out - expected)) < 1e-7 * np.nanmax(real_hour_bars.close)
    elif name not in ("macd", "vwap"):
        assert np.allclose(out, expected, rtol=1e-9, atol=0, equal_nan=True)


def test_what_may_differ_is_little():
    """The tests' own yardstick: of the usual size for each indicator."""
    bars = random_bars(1, 100, 1)
    for name in NAMES:
        expected = expected_of(name, bars, 20)
        size = np.nanmax(np.abs(expected), initial=1e-3)
        assert np.nanmin(allowed(name, bars, expected, 1e-12)) < 1e-8 * max(size, np.nanmax(bars.close)), name
