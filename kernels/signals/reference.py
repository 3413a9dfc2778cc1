"""The signals in plain Python: the oracle that every variant must agree with, bar by bar. Slow and obvious."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kernels.catalog import Canonical
from kernels.signals._bars import Bars
from kernels.signals._state import DEVIATIONS, FAST, INDICATORS, SIGNAL, SLOW

NOTHING = math.nan


class Average:
    """The mean of the first `window` values, then moved by `weight` of the difference to each value that follows."""

    def __init__(self, window: int, weight: float):
        self.window, self.weight = window, weight
        self.values: list[float] = []
        self.mean = NOTHING

    def take(self, value: float) -> float:
        """Take one value in; return the average, NaN until it has started."""
        self.values.append(value)
        if len(self.values) == self.window:
            self.mean = math.fsum(self.values) / self.window
        elif len(self.values) > self.window:
            self.mean += self.weight * (value - self.mean)
        return self.mean

    def kept(self) -> float:
        """Return what the canonical form holds: the sum until the start, then the average."""
        return math.fsum(self.values) if len(self.values) < self.window else self.mean


def exponential(window: int) -> Average:
    """Return an exponential average, with TA-Lib's start."""
    return Average(window, 2 / (window + 1))


def wilder(window: int) -> Average:
    """Return Wilder's average."""
    return Average(window, 1 / window)


class Series:
    """One symbol: its good bars since the last bad one, as tuples of what the indicator reads."""

    def __init__(self, window: int):
        self.window = window
        self.bars: list[tuple[float, ...]] = []

    def take(self, bar: tuple[float, ...]) -> tuple[float, ...]:
        """Take in a good bar; return the indicator's lines."""
        self.bars.append(bar)
        return self._after()

    def _after(self) -> tuple[float, ...]:
        """Return the lines after the newest bar."""
        raise NotImplementedError

    def fields(self) -> dict[str, float]:
        """Return the canonical fields besides the count."""
        return self._kept()

    def _kept(self) -> dict[str, float]:
        return {}

    def recent(self) -> list[tuple[float, ...]]:
        """Return the last `window` bars, or fewer."""
        return self.bars[-self.window :]

    def full(self) -> bool:
        """Return whether `window` bars are there."""
        return len(self.bars) >= self.window


class Windowed(Series):
    """What is computed of the closes of the last `window` bars."""

    compute: Callable[[list[float]], tuple[float, ...]]
    count = 1

    def _after(self) -> tuple[float, ...]:
        return type(self).compute([bar[0] for bar in self.recent()]) if self.full() else (NOTHING,) * self.count


def mean(closes: list[float]) -> float:
    """Return the mean."""
    return math.fsum(closes) / len(closes)


def deviation(closes: list[float]) -> float:
    """Return the standard deviation of a population, from the deviations themselves."""
    middle = mean(closes)
    return math.sqrt(math.fsum((close - middle) ** 2 for close in closes) / len(closes))


def bands(middle: float, width: float) -> tuple[float, ...]:
    """Return upper band, middle and lower band."""
    return middle + width, middle, middle - width


class Sma(Windowed):
    """The mean."""

    compute = staticmethod(lambda closes: (mean(closes),))


class Std(Windowed):
    """The standard deviation of the population."""

    compute = staticmethod(lambda closes: (deviation(closes),))


class Min(Windowed):
    """The smallest."""

    compute = staticmethod(lambda closes: (min(closes),))


class Max(Windowed):
    """The largest."""

    compute = staticmethod(lambda closes: (max(closes),))


class Bollinger(Windowed):
    """The mean between two bands."""

    compute = staticmethod(lambda closes: bands(mean(closes), DEVIATIONS * deviation(closes)))
    count = 3


class Vwap(Series):
    """The mean of the typical price, weighted by volume; NaN where nothing was traded in the window."""

    def _after(self) -> tuple[float, ...]:
        volume = math.fsum(bar[3] for bar in self.recent())
        if not self.full() or volume == 0:
            return (NOTHING,)
        return (math.fsum((high + low + close) / 3 * size for high, low, close, size in self.recent()) / volume,)


class Ema(Series):
    """The exponential average."""

    def __init__(self, window: int):
        super().__init__(window)
        self.average = exponential(window)

    def _after(self) -> tuple[float, ...]:
        return (self.average.take(self.bars[-1][0]),)

    def _kept(self) -> dict[str, float]:
        return {"ema": self.average.kept()}


class Rsi(Series):
    """100 gain / (gain + loss), of Wilder's averages of the rises and falls; 0 where there were none."""

    def __init__(self, window: int):
        super().__init__(window)
        self.gain, self.loss = wilder(window), wilder(window)

    def _after(self) -> tuple[float, ...]:
        if len(self.bars) == 1:
            return (NOTHING,)
        change = self.bars[-1][0] - self.bars[-2][0]
        gain, loss = self.gain.take(max(change, 0.0)), self.loss.take(max(-change, 0.0))
        return (100 * gain / (gain + loss) if gain + loss != 0 else 0.0,)

    def _kept(self) -> dict[str, float]:
        return {"last": self.bars[-1][0] if self.bars else 0.0, "gain": self.gain.kept(), "loss": self.loss.kept()}


class Atr(Series):
    """Wilder's average of the true range, which needs the close before."""

    def __init__(self, window: int):
        super().__init__(window)
        self.average = wilder(window)

    def _after(self) -> tuple[float, ...]:
        if len(self.bars) == 1:
            return (NOTHING,)
        (high, low, _), last = self.bars[-1], self.bars[-2][2]
        return (self.average.take(max(high - low, abs(high - last), abs(low - last))),)

    def _kept(self) -> dict[str, float]:
        return {"last": self.bars[-1][2] if self.bars else 0.0, "atr": self.average.kept()}


class Macd(Series):
    """The fast average starts on the same bar as the slow one, as in TA-Lib; all lines when the signal starts."""

    def __init__(self, window: int):
        super().__init__(window)
        self.fast, self.slow, self.signal = exponential(FAST), exponential(SLOW), exponential(SIGNAL)

    def _after(self) -> tuple[float, ...]:
        close = self.bars[-1][0]
        slow = self.slow.take(close)
        fast = self.fast.take(close) if len(self.bars) > SLOW - FAST else NOTHING
        if len(self.bars) < SLOW:
            return (NOTHING,) * 3
        signal = self.signal.take(fast - slow)
        return (NOTHING,) * 3 if math.isnan(signal) else (fast - slow, signal, fast - slow - signal)

    def _kept(self) -> dict[str, float]:
        return {"fast": self.fast.kept(), "slow": self.slow.kept(), "signal": self.signal.kept()}


class Imbalance(Series):
    """The share of the best sizes by which the bid exceeds the ask; 0 where both are empty."""

    def _after(self) -> tuple[float, ...]:
        bid, ask = self.bars[-1]
        return ((bid - ask) / (bid + ask) if bid + ask != 0 else 0.0,)


class Microprice(Series):
    """The mean of the best prices, each weighted by the size of the other side; NaN where both sizes are 0."""

    def _after(self) -> tuple[float, ...]:
        bid, bid_size, ask, ask_size = self.bars[-1]
        both = bid_size + ask_size
        return ((bid * ask_size + ask * bid_size) / both if both != 0 else NOTHING,)


class Flow(Series):
    """Order-flow imbalance between two bars (Cont, Kukanov, Stoikov: The Price Impact of Order Book Events, 2014)."""

    def _after(self) -> tuple[float, ...]:
        if len(self.bars) == 1:
            return (NOTHING,)
        (bid, bid_size, ask, ask_size), (bid0, bid_size0, ask0, ask_size0) = self.bars[-1], self.bars[-2]
        demand = (bid_size if bid >= bid0 else 0.0) - (bid_size0 if bid <= bid0 else 0.0)
        supply = (ask_size if ask <= ask0 else 0.0) - (ask_size0 if ask >= ask0 else 0.0)
        return (demand - supply,)

    def _kept(self) -> dict[str, float]:
        return dict(zip(INDICATORS[-1].reads, self.bars[-1] if self.bars else (0.0,) * 4, strict=True))


SERIES: tuple[type[Series], ...] = (
    Sma, Ema, Rsi, Macd, Bollinger, Atr, Vwap, Std, Min, Max, Imbalance, Microprice, Flow,
)  # fmt: skip
"""In the order of `_state.INDICATORS`."""


class Reference:
    """One indicator of `symbols` series, kept from one call of `replay` to the next.

    A bar is bad when something that the indicator reads is NaN or infinite: its lines are NaN, and its symbol starts
    anew.
    """

    def __init__(self, symbols: int = 64, window: int = 20, indicator: int = 1, **_ignored: int):
        self.window, self.indicator, self.make = window, INDICATORS[indicator], SERIES[indicator]
        self.series = [self.make(window) for _ in range(symbols)]

    def replay(self, bars: Bars) -> np.ndarray:
        """Return float64[lines, rows, symbols], the indicator after each bar."""
        columns = [getattr(bars, name) for name in self.indicator.reads]
        out = np.full((len(self.indicator.lines), *bars.close.shape), NOTHING)
        for row in range(out.shape[1]):
            for symbol in range(out.shape[2]):
                out[:, row, symbol] = self.apply(symbol, tuple(float(column[row, symbol]) for column in columns))
        return out

    def apply(self, symbol: int, bar: tuple[float, ...]) -> tuple[float, ...]:
        """Take in one bar of one symbol; return the indicator's lines."""
        if not all(map(math.isfinite, bar)):
            self.series[symbol] = self.make(self.window)
            return (NOTHING,) * len(self.indicator.lines)
        return self.series[symbol].take(bar)

    def export_state(self) -> Canonical:
        """Return the canonical form, as every variant does."""
        listed = [{"count": float(len(series.bars)), **series.fields()} for series in self.series]
        canonical = {name: np.array([kept[name] for kept in listed]) for name in self.indicator.fields}
        for i, name in enumerate(self.indicator.rings):
            canonical[name] = np.zeros((self.window, len(self.series)))
            for symbol, series in enumerate(self.series):
                recent = [self._ring_entry(bar)[i] for bar in series.recent()]
                canonical[name][self.window - len(recent) :, symbol] = recent
        return canonical

    def _ring_entry(self, bar: tuple[float, ...]) -> tuple[float, ...]:
        return ((bar[0] + bar[1] + bar[2]) / 3 * bar[3], bar[3]) if self.indicator.name == "vwap" else bar
