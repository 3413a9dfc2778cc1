"""The market-by-order book of hftbacktest (Rust, driven from compiled Python), as its users see it: one feed at a time.

hftbacktest has no book to be fed event by event: it replays a feed that it was given, and a strategy asks for the next
event and reads the depth. So the events become its feed outside the timed part (partial cancels and executions as the
modifications that it knows), and what is timed is that loop with the same four figures written after each event. It
keeps one book for each asset, and this peer has one; events that change no book, refused ones too, become trades,
which pass by. It takes a side away that a later order of the other side crosses; our books keep both.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.catalog import Variant
from kernels.messages import Kind
from kernels.probe import Probe

_NS_BETWEEN = 1000  # the feed's clock: events one after the other, so that none share a moment
_PLENTY_NS = 10**15


def missing() -> str | None:
    """Return why the peer cannot run here, or None."""
    if importlib.util.find_spec("hftbacktest") is None:
        return "hftbacktest is not installed: pip install 'kernel-workbench[peers]'"
    return None


def refuses(parameters: Mapping[str, int]) -> str | None:
    """Return why the peer cannot do this, or None."""
    return None if parameters["symbols"] == 1 else "it is driven with one asset: use a workload of one symbol"


class PeerState:
    """The feed, and a replay of it that stands at its beginning."""

    def __init__(self) -> None:
        self.events: Any = None
        self.feed: Any = None
        self.backtest: Any = None

    def rewind(self) -> None:
        """Begin the feed anew."""
        if self.feed is not None:
            self.close()
            self.backtest = _backtest(self.feed)

    def close(self) -> None:
        """Free the replay."""
        if self.backtest is not None:
            self.backtest.close()
            self.backtest = None

    def __del__(self) -> None:
        self.close()


def _backtest(feed: np.ndarray) -> Any:
    import hftbacktest

    asset = hftbacktest.BacktestAsset().data(feed).linear_asset(1.0).constant_order_latency(0, 0)
    asset = asset.l3_fifo_queue_model().no_partial_fill_exchange().trading_value_fee_model(0, 0)
    return hftbacktest.HashMapMarketDepthBacktest([asset.tick_size(1).lot_size(1).last_trades_capacity(0)])


def feed_of(events: np.ndarray) -> np.ndarray:
    """Return `events` (EVENT, one symbol) as hftbacktest's feed, with one trade more at the end."""
    import hftbacktest as other

    resting: dict[int, list[int]] = {}  # id: price, size, side
    rows: list[tuple[Any, ...]] = []

    def put(kind: int, side: int, price: int, size: int, order: int) -> None:
        at = (len(rows) + 1) * _NS_BETWEEN
        flags = kind | (other.BUY_EVENT if side == 0 else other.SELL_EVENT) | other.LOCAL_EVENT
        rows.append((flags, at, at, price, size, order, 0, 0.0))

    for event in events:
        kind, order, price, size, side = (
            int(event[name]) for name in ("kind", "order_id", "price_ticks", "size", "side")
        )
        held = resting.get(order)
        if kind == Kind.ADD and held is None:
            resting[order] = [price, size, side]
            put(other.ADD_ORDER_EVENT, side, price, size, order)
        elif held is not None and kind in (Kind.CANCEL, Kind.EXECUTE) and held[1] > size:
            held[1] -= size
            put(other.MODIFY_ORDER_EVENT, held[2], held[0], held[1], order)
        elif held is not None and (kind == Kind.DELETE or (kind in (Kind.CANCEL, Kind.EXECUTE) and held[1] == size)):
            del resting[order]
            put(other.CANCEL_ORDER_EVENT, held[2], held[0], 0, order)
        elif kind not in (Kind.REPLACE, Kind.MODIFY, Kind.CLEAR):  # a trade, or what a book has to refuse
            put(other.TRADE_EVENT, 0, 0, 0, 0)
        else:
            raise ValueError(f"order_book/peer_hftbacktest knows no {event}: compare it on a feed without such events")
    put(other.TRADE_EVENT, 0, 0, 0, 0)  # its last event ends the replay and is not shown
    return np.array(rows, other.event_dtype)


@functools.cache
def _loop() -> Any:
    import numba

    @numba.njit(nogil=True)
    def loop(backtest, out):
        depth = backtest.depth(0)
        for place in range(len(out)):
            if backtest.wait_next_feed(False, _PLENTY_NS) != 2:  # 2: a market event came
                return place
            bid, ask = depth.best_bid_qty, depth.best_ask_qty
            out[place]["bid_ticks"] = depth.best_bid_tick if bid > 0 else 0
            out[place]["bid_size"] = bid
            out[place]["ask_ticks"] = depth.best_ask_tick if ask > 0 else 0
            out[place]["ask_size"] = ask
        return len(out)

    return loop


def allocate(parameters: Mapping[str, int]) -> PeerState:
    """Return a book that has no feed yet."""
    return PeerState()


def reset(state: PeerState) -> None:
    """Begin the feed anew."""
    state.rewind()


def replay(state: PeerState, events: Any, out: np.ndarray, begin: int, probe: Probe | None) -> int:
    """Replay the whole feed of `events`, which is made when they are first seen. Returns where it ended."""
    if begin >= len(events):
        return len(events)
    if state.events is not events:
        state.events, state.feed = events, feed_of(events)
        state.rewind()
    return int(_loop()(state.backtest, out))


VARIANT = Variant(
    name="peer_hftbacktest",
    parent=None,
    idea="hftbacktest's market-by-order book in Rust, its feed replayed event by event from compiled Python.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    peer=True,
    missing=missing,
    refuses=refuses,
)
