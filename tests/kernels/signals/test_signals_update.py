"""One tick of one symbol, as other kernels take it: the same numbers as rows of all symbols, and mixed with them."""

import importlib

import numba
import numpy as np
import pytest
from signal_cases import KERNEL, OURS, PAIRS, assert_agrees, cut, expected_of, random_bars, run

from kernels._jit import OPTIONS
from kernels.signals import make_bars
from kernels.signals._state import QUOTES, TRADES, named

MODULES = {variant.name: importlib.import_module(f"kernels.signals.{variant.name}") for variant in OURS}
TICKING = [pair for pair in PAIRS if hasattr(MODULES[pair.values[0].name], "update")]
each_pair = pytest.mark.parametrize(("variant", "name"), TICKING)


def ticker(update):
    """Return a compiled function that takes in the ticks of chosen symbols, one by one."""

    @numba.njit(**OPTIONS)
    def take_ticks(state, symbols, a, b, c, d, out):
        for i in range(symbols.shape[0]):
            out[i] = update(state, symbols[i], a[i], b[i], c[i], d[i])

    return take_ticks


TICKERS = {name: ticker(module.update) for name, module in MODULES.items() if hasattr(module, "update")}


def columns_of(name, bars):
    return [getattr(bars, column) for column in (QUOTES if named(name).of_quotes else TRADES)]


@each_pair
def test_ticks_in_any_order_equal_rows(variant, name):
    """Each symbol has its own clock: after the same ticks it stands where rows of all symbols would have left it."""
    bars, window = random_bars(9, 100, 3, 0.004), 6
    random = np.random.default_rng(1)
    symbols = np.concatenate([random.permutation(np.repeat(np.arange(3), 30)), [0] * 20, [2] * 20])
    rows = np.array([np.sum(symbols[:i] == symbol) for i, symbol in enumerate(symbols)])
    instance, out = variant.build(symbols=3, window=window, indicator=name), np.empty(len(symbols))
    ticks = [column[rows, symbols] for column in columns_of(name, bars)]
    TICKERS[variant.name](instance.state, symbols, *ticks, out)
    expected = expected_of(name, bars, window)[:1]
    found = np.full_like(expected, np.nan)
    found[0, rows, symbols] = out
    came = np.bincount(symbols)
    for symbol in range(3):
        found[0, came[symbol] :, symbol] = expected[0, came[symbol] :, symbol]
    as_lines = np.repeat(found, len(named(name).lines), axis=0)
    as_lines[1:] = expected_of(name, bars, window)[1:]
    assert_agrees(as_lines, expected_of(name, bars, window), name, bars, variant.relative_tolerance)


@each_pair
def test_ticks_and_rows_may_be_mixed(variant, name):
    """Rows, then ticks of one symbol, which leave the symbols' rings at different places, then rows again."""
    bars, window, ticking = random_bars(10, 90, 9), 7, 4
    instance = variant.build(symbols=9, window=window, indicator=name)
    first = variant.replay(instance, cut(bars, 0, 40))
    ticks = [np.ascontiguousarray(column[40:50, ticking]) for column in columns_of(name, bars)]
    TICKERS[variant.name](instance.state, np.full(10, ticking), *ticks, np.empty(10))
    second = variant.replay(instance, cut(bars, 50, 90))
    kept = np.r_[0:40, 50:90]  # the rows that the others saw
    missed = {k: np.ascontiguousarray(v[kept]) for k, v in bars._asdict().items() if k != "work"}
    expected = expected_of(name, make_bars(**missed), window)
    expected[:, :, ticking] = expected_of(name, bars, window)[:, kept, ticking]
    out = np.concatenate([first, second], axis=1)
    assert_agrees(out, expected, name, bars, 2 * variant.relative_tolerance)


def test_an_update_is_what_a_row_of_one_symbol_gives():
    variant = OURS[0]
    bars = random_bars(3, 60, 1)
    instance, out = variant.build(symbols=1, indicator="ema"), np.empty(60)
    ticks = [np.ascontiguousarray(column[:, 0]) for column in columns_of("ema", bars)]
    TICKERS["baseline"](instance.state, np.zeros(60, np.int64), *ticks, out)
    assert np.array_equal(out, run(variant, "ema", bars)[0, :, 0], equal_nan=True)
    assert KERNEL.variants["baseline"] is variant
