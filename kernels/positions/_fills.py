"""From market events to fills and marks: every trade gives two fills, one to a buyer and one to a seller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.messages import EVENT, Kind
from kernels.positions._rules import BUY, MARK, SELL

FEWEST_FILLS = 65_536  # below, the trades come again, for other accounts, until there are so many
SHARDS = 64  # accounts are divided among threads, and among the shards of `aligned`, by their number modulo this
_SPREAD = np.uint64(0x9E3779B97F4A7C15)

POSITION = np.dtype([("quantity", "<i8"), ("cost", "<i8"), ("realised", "<i8")])
"""A position after a fill, 24 bytes; zeros for a mark and for what was refused."""


class Fills(NamedTuple):
    """Fills and marks in columns, all of one length: what `replay` works through."""

    account: np.ndarray  # int32; marks do not read it
    symbol: np.ndarray  # int32
    price_ticks: np.ndarray  # int32
    size: np.ndarray  # int32; marks do not read it
    action: np.ndarray  # uint8: 0 a buy, 1 a sell, 2 a mark


def make_fills(**columns: Any) -> Fills:
    """Return fills of the given columns, each converted to its type and contiguous.

    Raises ValueError for a column too many or too few, and for lengths that differ.
    """
    if set(columns) != set(Fills._fields):
        raise ValueError(f"positions: fills have the columns {', '.join(Fills._fields)}, not {', '.join(columns)}")
    types = {"action": np.uint8}
    made = Fills(*(np.ascontiguousarray(columns[name], types.get(name, np.int32)) for name in Fills._fields))
    if any(column.shape != (len(made.action),) for column in made):
        raise ValueError("positions: the columns of fills must be one-dimensional and of one length")
    return made


def parameters_for(events: np.ndarray) -> dict[str, int]:
    """Return what must be known of `events` beforehand: how many symbols there are."""
    return {"symbols": int(events["symbol"].max()) + 1 if len(events) else 1}


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Fills:
    """Return the fills of the executions and trades in `events`, and marks among them, deterministic.

    Each has a buyer and a seller, accounts drawn by its number; the resting order's side says nothing about them. Short
    streams come again, for other accounts, until there are 65,536 fills. After every `mark_every` fills comes a mark of
    the last one's symbol at its price.

    Raises ValueError for what is no EVENT array, and for events without a trade.
    """
    if not isinstance(events, np.ndarray) or events.dtype.names != EVENT.names or events.ndim != 1:
        raise ValueError("positions: events must be a one-dimensional array of kernels.messages.EVENT")
    traded = np.isin(events["kind"], (Kind.EXECUTE, Kind.TRADE)) & (events["price_ticks"] > 0) & (events["size"] > 0)
    trades = events[traded]
    if not len(trades):
        raise ValueError("positions: these events have no execution or trade with a price: use a workload with trading")
    turns = -(-FEWEST_FILLS // (2 * len(trades)))
    each = np.tile(np.repeat(np.arange(len(trades)), 2), turns)
    drawn = (np.arange(1, len(each) + 1).astype(np.uint64) * _SPREAD) >> np.uint64(33)
    fills = Fills(
        account=(drawn % np.uint64(parameters["accounts"])).astype(np.int32),
        symbol=trades["symbol"][each].astype(np.int32),
        price_ticks=np.ascontiguousarray(trades["price_ticks"][each]),
        size=np.ascontiguousarray(trades["size"][each]),
        action=np.tile(np.array([BUY, SELL], np.uint8), len(each) // 2),
    )
    every = parameters["mark_every"]
    if not every:
        return fills
    behind = np.arange(every, len(each) + 1, every)
    marked = Fills(*(np.insert(column, behind, column[behind - 1]) for column in fills))
    marked.action[behind + np.arange(len(behind))] = MARK
    return marked


def divide(fills: Fills, out: np.ndarray, parameters: Mapping[str, int]) -> list[tuple[Fills, np.ndarray]]:
    """Return what each thread gets: the fills of its own accounts, and an output of its own.

    What an account's fills do depends on their order, so an account is always of one thread. Marks go where the account
    of the fill before them goes.
    """
    threads = parameters["threads"]
    if threads == 1:
        return [(fills, out)]
    owner = fills.account % SHARDS % threads
    parts = []
    for thread in range(threads):
        mine = Fills(*(np.ascontiguousarray(column[owner == thread]) for column in fills))
        parts.append((mine, np.zeros(len(mine.action), POSITION)))
    return parts


def output(fills: Any, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for the position after each fill."""
    if not isinstance(fills, Fills):
        raise ValueError("positions: the input must be what prepare or make_fills returns")
    return np.zeros(len(fills.action), POSITION)


def length(fills: Any) -> int:
    """Return how many fills and marks there are."""
    return len(fills.action)
