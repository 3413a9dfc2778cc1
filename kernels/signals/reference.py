"""The signals in plain Python: the oracle that every variant must agree with, bar by bar. Slow and obvious."""

from __future__ import annotations

import math

import numpy as np


class Reference:
    """The averages of `symbols` price series over `window` bars, kept from one call of `replay` to the next.

    A price that is NaN or infinite is bad: it makes the outputs of its bar NaN and starts its symbol anew.
    """

    def __init__(self, symbols: int = 64, window: int = 20):
        self.window = window
        self.good: list[list[float]] = [[] for _ in range(symbols)]  # the last `window` prices since the last bad one
        self.ema = [math.nan] * symbols

    def replay(self, prices: np.ndarray) -> np.ndarray:
        """Return float64[2, rows, symbols], the SMA and EMA after each bar of float64[rows, symbols] `prices`."""
        out = np.full((2, *prices.shape), np.nan)
        for row in range(prices.shape[0]):
            for symbol in range(prices.shape[1]):
                out[:, row, symbol] = self.apply(symbol, float(prices[row, symbol]))
        return out

    def apply(self, symbol: int, price: float) -> tuple[float, float]:
        """Take one price in, and return the symbol's SMA and EMA: NaN until `window` good prices have come."""
        good = self.good[symbol]
        if not math.isfinite(price):
            good.clear()
            self.ema[symbol] = math.nan
            return math.nan, math.nan
        good.append(price)
        del good[: -self.window]
        if len(good) < self.window:
            return math.nan, math.nan
        sma = math.fsum(good) / self.window
        if math.isnan(self.ema[symbol]):
            self.ema[symbol] = sma  # TA-Lib's start, and the textbook's
        else:
            self.ema[symbol] += 2 / (self.window + 1) * (price - self.ema[symbol])
        return sma, self.ema[symbol]
