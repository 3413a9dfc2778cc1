"""What there is to compute, what each indicator keeps of a symbol between two bars, and the canonical form of that.

The canonical form is for every variant the same: `fields`, float64[symbols] each, and `rings`, float64[window, symbols]
each, the oldest bar first. What a variant keeps besides (running sums, where its ring stands) it makes anew from these.

- ``count``: good bars since the last bad one. A bad bar sets every field of its symbol to 0.
- An average (``ema``, ``gain``, ``loss``, ``fast``, ``slow``, ``signal``, ``atr``) holds the plain sum until the bar
  on which it starts, and the average from then on.
- ``last`` is the close before, and those of the book likewise.
- A ring holds the last `window` good bars; the places of those that have not come yet are the first ones, and 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.catalog import Canonical

TRADES = ("high", "low", "close", "volume")
"""The columns of bars that indicators of trades may read, in the order in which ``update`` takes them."""
QUOTES = ("bid_price", "bid_size", "ask_price", "ask_size")
"""The columns that indicators of the book may read, in that order."""

FAST, SLOW, SIGNAL = 12, 26, 9
"""The windows of MACD, in bars."""
DEVIATIONS = 2.0
"""How many standard deviations the Bollinger bands are away from their middle."""


class Indicator(NamedTuple):
    """What one indicator reads, gives and keeps."""

    name: str
    reads: tuple[str, ...]  # columns of the bars: a bar is bad when one of these is NaN or infinite
    lines: tuple[str, ...]  # what ``out[i]`` holds
    fields: tuple[str, ...]
    rings: tuple[str, ...]

    @property
    def of_quotes(self) -> bool:
        """Return whether it reads the book's best prices, not trades."""
        return self.reads[0] in QUOTES


_CLOSE = ("close",)
INDICATORS = (
    Indicator("sma", _CLOSE, ("sma",), ("count",), ("closes",)),
    Indicator("ema", _CLOSE, ("ema",), ("count", "ema"), ()),
    Indicator("rsi", _CLOSE, ("rsi",), ("count", "last", "gain", "loss"), ()),
    Indicator("macd", _CLOSE, ("macd", "signal", "histogram"), ("count", "fast", "slow", "signal"), ()),
    Indicator("bollinger", _CLOSE, ("upper", "middle", "lower"), ("count",), ("closes",)),
    Indicator("atr", ("high", "low", "close"), ("atr",), ("count", "last", "atr"), ()),
    Indicator("vwap", TRADES, ("vwap",), ("count",), ("values", "volumes")),
    Indicator("std", _CLOSE, ("std",), ("count",), ("closes",)),
    Indicator("min", _CLOSE, ("min",), ("count",), ("closes",)),
    Indicator("max", _CLOSE, ("max",), ("count",), ("closes",)),
    Indicator("imbalance", ("bid_size", "ask_size"), ("imbalance",), (), ()),
    Indicator("microprice", QUOTES, ("microprice",), (), ()),
    Indicator("flow", QUOTES, ("flow",), ("count", *QUOTES), ()),
)
NAMES = tuple(indicator.name for indicator in INDICATORS)


def named(name: str) -> Indicator:
    """Return the indicator called `name`."""
    return INDICATORS[NAMES.index(name)]


def oldest_first(ring: np.ndarray, place: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return `ring`, float64[window, symbols], as the canonical form has it: 0 for bars before the last bad one.

    `place`, int64[symbols], is where the next bar goes, which is where the oldest lies; `count` the symbols' good bars.
    """
    window = len(ring)
    age = np.arange(window)[:, np.newaxis]  # 0: the oldest
    turned = np.take_along_axis(ring, (age + place) % window, axis=0)
    return np.ascontiguousarray(np.where(age >= window - count, turned, 0.0))


def check(canonical: Canonical, indicator: Indicator, symbols: int, window: int) -> None:
    """Raise ValueError, with one sentence, when `canonical` does not fit indicator, symbols and window."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(indicator.fields, (symbols,))
    shapes.update(dict.fromkeys(indicator.rings, (window, symbols)))
    for name, shape in shapes.items():
        if name not in canonical:
            raise ValueError(
                f"signals: a canonical state of {indicator.name} has {', '.join(shapes)}, and {name!r} is not there"
            )
        found = canonical[name]
        if found.shape != shape or found.dtype != np.float64:
            raise ValueError(
                f"signals: canonical {name!r} must have the shape {shape} and the dtype float64, not {found.shape} "
                f"and {found.dtype}: build with the same symbols and window"
            )
    if "count" in shapes and not np.all(canonical["count"] >= 0):
        raise ValueError("signals: canonical 'count' must not be negative")
