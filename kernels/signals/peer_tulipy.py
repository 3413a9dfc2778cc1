"""Tulip Indicators, in C.

Its EMA, MACD and ATR start with the first values and not with a mean. They converge to ours, but for MACD, whose
averages of 12 and 26 bars have the weights 0.15 and 0.075 there instead of 2/13 and 2/27.
"""

from __future__ import annotations

from typing import Any

from kernels.signals._peers import imported, peer
from kernels.signals._state import DEVIATIONS, FAST, SIGNAL, SLOW


def _real(name: str) -> Any:
    return lambda window, close: (getattr(imported("tulipy"), name)(close, window),)


def _macd(window: int, close: Any) -> tuple[Any, ...]:
    lines: tuple[Any, ...] = imported("tulipy").macd(close, FAST, SLOW, SIGNAL)
    return lines


def _bollinger(window: int, close: Any) -> tuple[Any, ...]:
    lines: tuple[Any, ...] = imported("tulipy").bbands(close, window, DEVIATIONS)
    return lines[::-1]  # it begins with the lower band


def _atr(window: int, *columns: Any) -> tuple[Any, ...]:
    return (imported("tulipy").atr(*columns, window),)


def _vwap(window: int, high: Any, low: Any, close: Any, volume: Any) -> tuple[Any, ...]:
    tulipy = imported("tulipy")
    return (tulipy.vwma(tulipy.typprice(high, low, close), volume, window),)


VARIANT = peer(
    "tulipy",
    "Tulip Indicators in C through its Python package; EMA, MACD and ATR start otherwise, MACD weighs otherwise.",
    {
        "sma": _real("sma"),
        "ema": _real("ema"),
        "rsi": _real("rsi"),
        "macd": _macd,
        "bollinger": _bollinger,
        "atr": _atr,
        "vwap": _vwap,
        "std": _real("stddev"),
        "min": _real("min"),
        "max": _real("max"),
    },
)
