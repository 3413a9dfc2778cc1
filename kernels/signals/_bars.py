"""From market events to bars, the matrices that the variants read; how threads share them; where results go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.machine.memory import aligned
from kernels.messages import EVENT, Kind
from kernels.signals._quotes import quotes_after
from kernels.signals._state import INDICATORS, QUOTES, TRADES

FEWEST_ROWS = 4096  # below, the bars are read to and fro until there are so many
ROWS_ALONE = 2**20  # of a single series, which is else so short that it stays in the caches
MOST_ROWS = 16384  # above, the later bars are left out: 64 symbols are then 8 MB for each column
FEWEST_SYMBOLS = 64  # what `parameters_for` asks for; a market of fewer symbols is repeated with other offsets
CACHE_LINE, _PAGE = 64, 4096  # bytes
_OFFSET_ROWS = 101  # how much further along each repetition of a symbol starts
NEXT, THREADS = 0, 1
"""What ``work`` holds: the next column that no thread has taken, and how many threads share the bars."""


class Bars(NamedTuple):
    """Bars of many symbols, float64[rows, symbols] in C order each: time down, symbols across."""

    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    bid_price: np.ndarray  # the best at the end of the bar; NaN where the side is empty
    bid_size: np.ndarray
    ask_price: np.ndarray
    ask_size: np.ndarray
    work: np.ndarray  # int64[8], a cache line that the threads of a divided run share


def make_bars(close: np.ndarray, **columns: np.ndarray) -> Bars:
    """Return bars of `close`, float64[rows, symbols] or [rows], and what is given of the other columns of `Bars`.

    Without them high and low are the close, volumes are 1, prices of the book NaN and its sizes 0. What is in C order
    already is not copied, so columns may share memory: the kernel only reads them. Raises ValueError for shapes that
    differ and for a column that bars do not have.
    """
    known = {"close": close, **columns}
    if strange := set(known) - {*TRADES, *QUOTES}:
        raise ValueError(f"signals: bars have {', '.join(TRADES + QUOTES)}, and no {', '.join(sorted(strange))}")
    whole = {name: np.ascontiguousarray(column, np.float64) for name, column in known.items()}
    whole = {name: column[:, np.newaxis] if column.ndim == 1 else column for name, column in whole.items()}
    shape = whole["close"].shape
    if len(shape) != 2 or any(column.shape != shape for column in whole.values()):
        raise ValueError("signals: all columns of bars must have one shape, [rows, symbols] or [rows]")
    empty, nothing = np.full(shape, np.nan), np.zeros(shape)
    usual = {
        **dict.fromkeys(("high", "low"), whole["close"]),
        **dict.fromkeys(("bid_price", "ask_price"), empty),
        **dict.fromkeys(("bid_size", "ask_size"), nothing),
        "volume": np.ones(shape),
    }
    return Bars(**{**usual, **whole}, work=_alone())


def _alone() -> np.ndarray:
    work = aligned(8, np.int64)
    work[THREADS] = 1
    return work


def divide(bars: Bars, out: np.ndarray, parameters: Mapping[str, int]) -> list[tuple[Bars, np.ndarray]]:
    """Return what each thread gets: the same bars and output, with one counter of the columns that are taken."""
    threads = parameters["threads"]
    if threads == 1:
        return [(bars, out)]
    shared = aligned(8, np.int64)
    shared[THREADS] = threads
    return [(bars._replace(work=shared), out)] * threads


def parameters_for(events: np.ndarray) -> dict[str, int]:
    """Return how many symbols the bars of `events` have: its own, or 64 where it has fewer."""
    own = int(events["symbol"].max()) + 1 if len(events) else 1
    return {"symbols": max(own, FEWEST_SYMBOLS)}


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Bars:
    """Return the bars of `events`, prices in ticks.

    A bar ends when the market has had as many executions and trades as it has symbols. A symbol's high, low, close and
    volume in it are those of its own; without any, all prices are the close before and the volume is 0; until its first
    bar, that bar's close; where it never trades, NaN. Its best bid and offer are those after the bar's last execution.
    Executions without a price are left out. The bars are read to and fro until there are 4,096, and at most 16,384 are
    kept; a single series is read to and fro until it has 2**20. Where the kernel has more symbols than the events,
    symbol s shows symbol ``s % n`` from a later bar on.

    Raises ValueError for what is no EVENT array, for events of more symbols than that, and for events without a trade.
    """
    if not isinstance(events, np.ndarray) or events.dtype != EVENT or events.ndim != 1:
        raise ValueError("signals: events must be a one-dimensional array of kernels.messages.EVENT")
    kinds = events["kind"]
    traded = np.flatnonzero(((kinds == Kind.EXECUTE) | (kinds == Kind.TRADE)) & (events["price_ticks"] > 0))
    if not traded.size:
        raise ValueError("signals: these events have no execution or trade with a price: use a workload with trading")
    own, symbols = int(events["symbol"].max()) + 1, parameters["symbols"]
    if own > symbols:
        raise ValueError(
            f"signals: the events have {own} symbols and the kernel {symbols}: build it with symbols={own}"
        )
    traded = traded[: MOST_ROWS * own]
    bar = np.arange(traded.size) // own
    last = np.append(np.flatnonzero(np.diff(bar)), traded.size - 1)
    columns = (*_trades(events[traded], bar, own), *quotes_after(events, traded[last], own))
    rows = ROWS_ALONE if symbols == 1 else min(max(len(last), FEWEST_ROWS), MOST_ROWS)
    column = np.arange(symbols)
    moment = np.arange(rows)[:, np.newaxis] + _OFFSET_ROWS * (column // own)
    turn = moment % (2 * len(last))
    turn, column = np.minimum(turn, 2 * len(last) - 1 - turn), column % own
    return Bars._make([*(_at_a_line(each[turn, column]) for each in columns), _alone()])


def _at_a_line(column: np.ndarray) -> np.ndarray:
    """Return a copy in C order that begins at a cache line: then no vector is read from two."""
    copy = aligned(column.shape, np.float64)
    copy[...] = column
    return copy


def _trades(trades: np.ndarray, bar: np.ndarray, symbols: int) -> tuple[np.ndarray, ...]:
    """Return high, low, close and volume, float64[bars, symbols], of `trades` whose bars are numbered in `bar`."""
    shape, at = (int(bar[-1]) + 1, symbols), (bar, trades["symbol"])
    price = trades["price_ticks"].astype(np.float64)
    close, high, low, volume = np.full(shape, np.nan), np.full(shape, -np.inf), np.full(shape, np.inf), np.zeros(shape)
    close[at] = price  # of several, NumPy keeps the last
    np.maximum.at(high, at, price)
    np.minimum.at(low, at, price)
    np.add.at(volume, at, trades["size"].astype(np.float64))
    known = ~np.isnan(close)
    latest = np.maximum.accumulate(np.where(known, np.arange(len(close))[:, np.newaxis], -1), axis=0)
    latest = np.where(latest < 0, np.argmax(known, axis=0), latest)
    close = np.take_along_axis(close, latest, axis=0)
    return np.where(known, high, close), np.where(known, low, close), close, volume


def output(bars: Any, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for what the variants compute of `bars`: float64[lines, rows, symbols], at a cache line.

    Raises ValueError when `bars` are no `Bars` of float64[rows, symbols] in C order, all of one shape.
    """
    symbols = parameters["symbols"]
    if not isinstance(bars, Bars):
        raise ValueError(f"signals: the input must be kernels.signals.Bars or events, not {type(bars).__name__}")
    for name, column in zip(TRADES + QUOTES, bars, strict=False):
        fits = isinstance(column, np.ndarray) and column.dtype == np.float64 and column.ndim == 2
        if not fits or not column.flags.c_contiguous or column.shape != (*np.shape(bars.close)[:1], symbols):
            found = f"{column.dtype}{list(column.shape)}" if isinstance(column, np.ndarray) else type(column).__name__
            raise ValueError(f"signals: {name} must be float64[rows, {symbols}] in C order, not {found}")
    indicator = INDICATORS[parameters["indicator"]]
    shape = (len(indicator.lines), *bars.close.shape)
    length = int(np.prod(shape))
    room = aligned(length + _PAGE // 8, np.float64)
    loads = [getattr(bars, name).ctypes.data for name in indicator.reads]
    if indicator.rings:  # what leaves the window is read too
        loads += [address - 8 * parameters["window"] * symbols for address in loads]
    stores = [room.ctypes.data + 8 * length // shape[0] * line for line in range(shape[0])]
    start = min(range(0, _PAGE, CACHE_LINE), key=lambda moved: _worst(loads, [store + moved for store in stores]))
    return room[start // 8 : start // 8 + length].reshape(shape)


def _worst(loads: Sequence[int], stores: Sequence[int]) -> int:
    """Return how near stores that begin at `stores` come to later loads that begin at `loads`: the less the better.

    A load waits for an earlier store whose address has the same last 12 bits, though it is of another page. Loads run
    ahead of stores, by up to a quarter of a page: so they should begin a little behind, modulo a page, and end there.
    """
    return max((load - store - 2 * CACHE_LINE) % _PAGE for load in loads for store in stores)
