"""One event applied to whatever book the pipeline was built with, and the best bid and offer after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from kernels.machine.locks import mutex_lock, mutex_unlock
from kernels.order_book._apply import apply, best_level
from kernels.order_book._published import publish
from kernels.tick_to_order._parts import OPTIONS, of_part


def apply_event(book: Any, event: Any, symbols: Any) -> Any:
    """Apply an event; return whether there was room, and best bid and offer, each as ``size << 32 | price``.

    Zeros for an empty side and for a symbol that is not below `symbols`. The books that guard themselves by a mutex or
    publish themselves to readers do so here too, for every event.
    """


@overload(apply_event, jit_options=OPTIONS)
def _apply_event(book, event, symbols):
    found = of_part(book)
    if found is None:
        return None
    fields = book.types[0].fields
    if "mutex" in fields:
        return _guarded
    return _published if "published" in fields else _plain


def _plain(book, event, symbols):
    done = apply(book.state, event, None)
    bid, ask = np.int64(0), np.int64(0)
    symbol = np.int64(event.symbol)
    if symbol < symbols:
        bid, ask = best_level(book.state, 2 * symbol, None), best_level(book.state, 2 * symbol + 1, None)
    return done, bid, ask


def _guarded(book, event, symbols):
    mutex_lock(book.state.mutex)
    done = apply(book.state, event, None)
    bid, ask = np.int64(0), np.int64(0)
    symbol = np.int64(event.symbol)
    if symbol < symbols:
        bid, ask = best_level(book.state, 2 * symbol, None), best_level(book.state, 2 * symbol + 1, None)
    mutex_unlock(book.state.mutex)
    return done, bid, ask


def _published(book, event, symbols):
    done = apply(book.state, event, None)
    bid, ask = np.int64(0), np.int64(0)
    symbol = np.int64(event.symbol)
    if symbol < symbols:
        publish(book.state, symbol, None)
        bid, ask = best_level(book.state, 2 * symbol, None), best_level(book.state, 2 * symbol + 1, None)
    return done, bid, ask
