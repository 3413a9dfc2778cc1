"""From market events to bars: the matrix of prices that the variants read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.messages import EVENT, Kind

FEWEST_ROWS = 4096  # below, the bars are read to and fro until there are so many
MOST_ROWS = 16384  # above, the later bars are left out: 64 symbols are then 8 MB of prices
FEWEST_SYMBOLS = 64  # what `parameters_for` asks for; a market of fewer symbols is repeated with other offsets
_OFFSET_ROWS = 101  # how much further along each repetition of a symbol starts


def parameters_for(events: np.ndarray) -> dict[str, int]:
    """Return how many symbols the bars of `events` have: its own, or 64 where it has fewer."""
    own = int(events["symbol"].max()) + 1 if len(events) else 1
    return {"symbols": max(own, FEWEST_SYMBOLS)}


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> np.ndarray:
    """Return bars of last prices, float64[rows, symbols] in C order, in ticks: time down, symbols across.

    A bar ends when the market has had as many executions and trades as it has symbols; a symbol's price in it is that
    of its last one, else the price before; until its first bar, that bar's price; without any, NaN. Events without a
    price are left out. The bars are read to and fro until there are 4,096, and at most 16,384 are kept. Where the
    kernel has more symbols than the events, symbol s shows symbol ``s % n`` from a later bar on.

    Raises ValueError for what is no EVENT array, for events of more symbols than that, and for events without a trade.
    """
    if not isinstance(events, np.ndarray) or events.dtype != EVENT or events.ndim != 1:
        raise ValueError("signals: events must be a one-dimensional array of kernels.messages.EVENT")
    kinds = events["kind"]
    trades = events[((kinds == Kind.EXECUTE) | (kinds == Kind.TRADE)) & (events["price_ticks"] > 0)]
    if not trades.size:
        raise ValueError("signals: these events have no execution or trade with a price: use a workload with trading")
    own, symbols = int(events["symbol"].max()) + 1, parameters["symbols"]
    if own > symbols:
        raise ValueError(
            f"signals: the events have {own} symbols and the kernel {symbols}: build it with symbols={own}"
        )
    bars = _last_prices(trades, own)
    rows = min(max(len(bars), FEWEST_ROWS), MOST_ROWS)
    column = np.arange(symbols)
    moment = np.arange(rows)[:, np.newaxis] + _OFFSET_ROWS * (column // own)
    turn = moment % (2 * len(bars))
    return np.ascontiguousarray(bars[np.minimum(turn, 2 * len(bars) - 1 - turn), column % own])


def _last_prices(trades: np.ndarray, symbols: int) -> np.ndarray:
    """Return float64[bars, symbols]: the last price of each symbol in each bar, held where it has none."""
    row = np.arange(trades.size) // symbols
    bars = np.full((int(row[-1]) + 1, symbols), np.nan)
    bars[row, trades["symbol"]] = trades["price_ticks"]  # of several, NumPy keeps the last
    known = ~np.isnan(bars)
    latest = np.maximum.accumulate(np.where(known, np.arange(len(bars))[:, np.newaxis], -1), axis=0)
    latest = np.where(latest < 0, np.argmax(known, axis=0), latest)
    return np.take_along_axis(bars, latest, axis=0)


def output(prices: Any, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for what the variants compute of `prices`: float64[2, rows, symbols], SMA and EMA.

    Raises ValueError when `prices` is not float64[rows, symbols] in C order.
    """
    symbols = parameters["symbols"]
    fits = isinstance(prices, np.ndarray) and prices.dtype == np.float64 and prices.ndim == 2
    if not fits or not prices.flags.c_contiguous or prices.shape[1] != symbols:
        found = f"{prices.dtype}{list(prices.shape)}" if isinstance(prices, np.ndarray) else type(prices).__name__
        raise ValueError(f"signals: prices must be float64[rows, {symbols}] in C order, not {found}")
    return np.empty((2, *prices.shape))
