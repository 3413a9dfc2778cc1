"""Polars, rolling windows and exponential means of series in Rust, and expressions of whole columns.

Its exponential mean starts with the first price: EMA and MACD converge to ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.signals._peers import imported, peer
from kernels.signals._state import DEVIATIONS, FAST, SIGNAL, SLOW


def _rolling(name: str, **options: int) -> Any:
    return lambda window, close: (getattr(close, f"rolling_{name}")(window, **options),)


def _mean(series: Any, window: int) -> Any:
    return series.ewm_mean(span=window, adjust=False)


def _ema(window: int, close: Any) -> tuple[Any, ...]:
    return (_mean(close, window),)


def _macd(window: int, close: Any) -> tuple[Any, ...]:
    macd = _mean(close, FAST) - _mean(close, SLOW)
    signal = _mean(macd, SIGNAL)
    return macd, signal, macd - signal


def _bollinger(window: int, close: Any) -> tuple[Any, ...]:
    middle, width = close.rolling_mean(window), DEVIATIONS * close.rolling_std(window, ddof=0)
    return middle + width, middle, middle - width


def _vwap(window: int, high: Any, low: Any, close: Any, volume: Any) -> tuple[Any, ...]:
    value = (high + low + close) / 3.0 * volume
    return (value.rolling_sum(window) / volume.rolling_sum(window),)


def _imbalance(window: int, bid_size: Any, ask_size: Any) -> tuple[Any, ...]:
    return ((bid_size - ask_size) / (bid_size + ask_size),)


def _microprice(window: int, bid: Any, bid_size: Any, ask: Any, ask_size: Any) -> tuple[Any, ...]:
    return ((bid * ask_size + ask * bid_size) / (bid_size + ask_size),)


def _series(column: np.ndarray) -> Any:
    return imported("polars").Series(column)


VARIANT = peer(
    "polars",
    "Polars' rolling windows, exponential means and expressions in Rust; EMA and MACD start otherwise and converge.",
    {
        "sma": _rolling("mean"),
        "ema": _ema,
        "macd": _macd,
        "bollinger": _bollinger,
        "vwap": _vwap,
        "std": _rolling("std", ddof=0),
        "min": _rolling("min"),
        "max": _rolling("max"),
        "imbalance": _imbalance,
        "microprice": _microprice,
    },
    convert=_series,
)
