"""Bottleneck, moving windows of NumPy arrays in C. Bollinger and VWAP are put together from its windows by NumPy."""

from __future__ import annotations

from typing import Any

from kernels.signals._peers import imported, peer
from kernels.signals._state import DEVIATIONS


def _move(name: str, **options: int) -> Any:
    return lambda window, close: (getattr(imported("bottleneck"), f"move_{name}")(close, window, **options),)


def _bollinger(window: int, close: Any) -> tuple[Any, ...]:
    bottleneck = imported("bottleneck")
    middle = bottleneck.move_mean(close, window)
    width = DEVIATIONS * bottleneck.move_std(close, window, ddof=0)
    return middle + width, middle, middle - width


def _vwap(window: int, high: Any, low: Any, close: Any, volume: Any) -> tuple[Any, ...]:
    move_sum = imported("bottleneck").move_sum
    value = (high + low + close) / 3.0 * volume
    return (move_sum(value, window) / move_sum(volume, window),)


VARIANT = peer(
    "bottleneck",
    "Bottleneck's moving windows in C; Bollinger and VWAP are put together from them by NumPy.",
    {
        "sma": _move("mean"),
        "bollinger": _bollinger,
        "vwap": _vwap,
        "std": _move("std", ddof=0),
        "min": _move("min"),
        "max": _move("max"),
    },
)
