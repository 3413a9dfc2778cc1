"""What the tests of the signals share: which variant and indicator they try, bars, and what may differ."""

import numpy as np
import pytest

import kernels
from kernels.signals import NAMES, make_bars
from kernels.signals._state import QUOTES, named

KERNEL = kernels.get("signals")
SIZES = ("volume", *QUOTES[1::2])
OURS = [variant for variant in KERNEL.variants.values() if not variant.peer]
# Compiling is most of the time, so few are quick: these of `baseline`, and EMA of `simd`.
QUICK = {"baseline": ("ema", "bollinger"), "simd": ("ema",)}
# These go through `simd`'s loops with its indicators. What they add is not an indicator's, but for how `aligned` writes
# one, which test_signals_vectors compares with `simd` for all: here one for each number of lines and way to begin.
FEWER = {"aligned": ("ema", "bollinger"), "lock_free": ("ema", "macd", "max", "flow")}


def index(name):
    """Return the indicator's number, as `Reference` takes it."""
    return NAMES.index(name)


def first_bar(name, window):
    """Return the number of the first bar with a value, as the card states it."""
    fixed = {"rsi": window, "atr": window, "macd": 33, "imbalance": 0, "microprice": 0, "flow": 1}
    return fixed.get(name, window - 1)


def slow_beyond_baseline(variant):
    """Return the marks of what is compiled for that test alone."""
    return [] if variant.name == "baseline" else [pytest.mark.slow]


def can(variant, name, **parameters):
    """Return whether `variant` does not refuse that indicator."""
    return variant.refuses(KERNEL.check_parameters({"indicator": name, **parameters})) is None


def tried(variant, name):
    """Return whether `variant` has that indicator, and the tests compile it for that."""
    return can(variant, name) and name in FEWER.get(variant.name, NAMES)


PAIRS = [
    pytest.param(
        variant,
        name,
        id=f"{variant.name}-{name}",
        marks=[] if name in QUICK.get(variant.name, ()) else pytest.mark.slow,
    )
    for variant in OURS
    for name in NAMES
    if tried(variant, name)
]
each_pair = pytest.mark.parametrize(("variant", "name"), PAIRS)
each_variant = pytest.mark.parametrize(
    "variant", [pytest.param(v, id=v.name, marks=[] if v.name in QUICK else pytest.mark.slow) for v in OURS]
)


def random_bars(seed, rows, symbols, bad_share=0.0):
    """Return bars of prices of many sizes, whole volumes and sizes that are often 0; a share of all numbers is bad."""
    random = np.random.default_rng(seed)
    start = 10.0 ** random.uniform(-3, 6, symbols)
    close = start * np.exp(np.cumsum(random.normal(0, 0.01, (rows, symbols)), axis=0))
    flat = random.random(close.shape) < 0.2
    for row in range(1, rows):
        close[row, flat[row]] = close[row - 1, flat[row]]
    spread = np.abs(random.normal(0, 0.005, (2, *close.shape)))
    columns = {
        "close": close,
        "high": close * (1 + spread[0]),
        "low": close * (1 - spread[1]),
        "volume": random.integers(0, 3, close.shape) * 100.0,
        "bid_price": close - start * 0.01 * random.integers(1, 3, close.shape),
        "bid_size": random.integers(0, 4, close.shape) * 1.0,
        "ask_price": close + start * 0.01 * random.integers(1, 3, close.shape),
        "ask_size": random.integers(0, 4, close.shape) * 1.0,
    }
    for column in columns.values():
        column[random.random(close.shape) < bad_share] = random.choice([np.nan, np.inf, -np.inf])
    return make_bars(**columns)


def cut(bars, begin, end):
    """Return the bars ``begin .. end - 1``."""
    return bars._replace(**{name: column[begin:end] for name, column in bars._asdict().items() if name != "work"})


def expected_of(name, bars, window):
    """Return what the reference computes."""
    reference = KERNEL.reference(symbols=bars.close.shape[1], window=window, indicator=index(name))
    return reference.replay(bars)


def run(variant, name, bars, window=20):
    """Return what a fresh `variant` computes."""
    return variant.replay(variant.build(symbols=bars.close.shape[1], window=window, indicator=name), bars)


def _largest(column):
    return np.max(np.where(np.isfinite(column), np.abs(column), 0.0), axis=0, initial=0.0)


def allowed(name, bars, expected, tolerance):
    """Return by how much each output may differ, as the card states it: float64[lines, rows, symbols]."""
    if name == "rsi":
        return np.full(expected.shape, 100 * tolerance)
    if name == "imbalance":
        return np.full(expected.shape, tolerance)
    if name in ("std", "bollinger"):
        finite = np.isfinite(bars.close)
        top = np.max(np.where(finite, bars.close, -np.inf), axis=0, initial=-np.inf)
        bottom = np.min(np.where(finite, bars.close, np.inf), axis=0, initial=np.inf)
        span = np.where(top >= bottom, top - bottom, 0.0)
        exact = np.nan_to_num(expected[0] if name == "std" else (expected[0] - expected[2]) / 4)
        of_variance = tolerance * span**2  # (d + e)**2 - d**2 < v holds for e < v / 2d, and for e < sqrt(v)
        with np.errstate(over="ignore"):
            of_std = np.minimum(np.sqrt(of_variance), of_variance / np.maximum(2 * exact, 1e-300))
        return 2 * of_std + (tolerance * _largest(bars.close) if name == "bollinger" else 0.0) + np.zeros_like(expected)
    reads = [column for column in named(name).reads if (column in SIZES) == (name == "flow")]
    return tolerance * np.max([_largest(getattr(bars, column)) for column in reads], axis=0) + np.zeros_like(expected)


def assert_agrees(out, expected, name, bars, tolerance):
    """Compare, NaNs too; `tolerance` is the variant's."""
    assert np.array_equal(np.isnan(out), np.isnan(expected))
    difference = np.nan_to_num(np.abs(out - expected))
    excess = difference - allowed(name, bars, expected, tolerance)
    place = np.unravel_index(np.argmax(excess), excess.shape) if excess.size else ()
    assert np.all(excess <= 0), (name, place, out[place], expected[place])
