"""Makes a market of many symbols out of an hour of a few: shifted prices and times, dense ids, one stream by time."""

from __future__ import annotations

import numpy as np

from kernels.messages import EVENT, MAX_PRICE_TICKS
from workbench.errors import InputError
from workbench.workloads.loaded import by_time, count_symbols, require_events

MAX_SYMBOLS = 1 << 16
SHIFT_NS = 60 * 10**9  # each copy starts up to this much later than the first
SHIFT_PRICE_SHARE = 0.3  # and is priced up to this share of the lowest price higher or lower


def multiply(events: np.ndarray, symbols: int, *, seed: int = 1) -> np.ndarray:
    """Return `symbols` copies of every symbol of `events` (EVENT), as one EVENT array ordered by time.

    Copy 0 is the original. Every other starts up to 60 s later and has all its prices moved by the same number of
    ticks, up to 30 % of the symbol's lowest price, so that no price falls to zero; prices of 0 stay 0. Symbol s of copy
    c becomes ``c * (symbols in events) + s``; order ids become ``id * symbols + c``, distinct across the market. Needs
    80 bytes of memory for each event of the result. Raises InputError where the ids or prices have no room for that.
    """
    require_events(events, "multiply")
    own = count_symbols(events)
    if not 1 <= symbols <= MAX_SYMBOLS // own:
        raise InputError(
            f"an hour of {own:,} symbols can be multiplied by 1 .. {MAX_SYMBOLS // own:,}, not {symbols:,}"
        )
    highest = int(max(events["order_id"].max(), events["new_order_id"].max())) if events.size else 0
    if highest * symbols + symbols > 2**64 - 1:
        raise InputError(f"order id {highest} leaves no room for {symbols:,} copies: renumber the orders of the file")
    random = np.random.Generator(np.random.PCG64(seed))
    copies = np.zeros((symbols, events.size), EVENT)
    for copy in range(symbols):
        copies[copy] = events
        if copy:
            part = copies[copy]
            part["timestamp_ns"] += int(random.integers(0, SHIFT_NS))
            part["symbol"] += np.uint16(copy * own)
            _shift_prices(part, events["symbol"], own, random)
        for field in ("order_id", "new_order_id"):
            ids = copies[copy][field]
            ids[:] = np.where(ids != 0, ids * np.uint64(symbols) + np.uint64(copy), ids)
    return by_time(copies.reshape(-1))


def _shift_prices(part: np.ndarray, symbol_of: np.ndarray, symbols: int, random: np.random.Generator) -> None:
    """Move the prices of each symbol in `part` by a random number of ticks. Raises InputError where none has room."""
    prices = part["price_ticks"]
    priced = prices > 0
    lowest = np.full(symbols, MAX_PRICE_TICKS, np.int64)
    np.minimum.at(lowest, symbol_of[priced], prices[priced])
    reach = (lowest * SHIFT_PRICE_SHARE).astype(np.int64)
    reach[lowest == MAX_PRICE_TICKS] = 0
    shift = random.integers(-reach, reach + 1)
    moved = prices + shift[symbol_of] * priced
    if moved.size and moved.max() > MAX_PRICE_TICKS:
        raise InputError(f"a price of {int(prices.max())} ticks leaves no room for copies at other prices")
    part["price_ticks"] = moved
