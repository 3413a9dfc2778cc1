"""TA-Lib, in C: the yardstick of definitions, and of speed where no other is faster."""

from __future__ import annotations

from typing import Any

from kernels.signals._peers import imported, peer
from kernels.signals._state import DEVIATIONS, FAST, SIGNAL, SLOW


def _real(name: str) -> Any:
    return lambda window, close: (getattr(imported("talib"), name)(close, window),)


def _macd(window: int, close: Any) -> tuple[Any, ...]:
    lines: tuple[Any, ...] = imported("talib").MACD(close, FAST, SLOW, SIGNAL)
    return lines


def _bollinger(window: int, close: Any) -> tuple[Any, ...]:
    lines: tuple[Any, ...] = imported("talib").BBANDS(close, window, DEVIATIONS, DEVIATIONS, 0)
    return lines


def _atr(window: int, *columns: Any) -> tuple[Any, ...]:
    return (imported("talib").ATR(*columns, window),)


def _vwap(window: int, high: Any, low: Any, close: Any, volume: Any) -> tuple[Any, ...]:
    talib = imported("talib")
    return (talib.VWMA(talib.TYPPRICE(high, low, close), volume, window),)


VARIANT = peer(
    "talib",
    "TA-Lib in C through its Python package; VWAP is its VWMA of its TYPPRICE, its own VWAP reaches back to the start.",
    {
        "sma": _real("SMA"),
        "ema": _real("EMA"),
        "rsi": _real("RSI"),
        "macd": _macd,
        "bollinger": _bollinger,
        "atr": _atr,
        "vwap": _vwap,
        "std": _real("STDDEV"),
        "min": _real("MIN"),
        "max": _real("MAX"),
    },
    least_window=2,
)
