"""One event applied to whatever book the pipeline was built with, and the best bid and offer after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels.machine.locks import mutex_lock, mutex_unlock
from kernels.order_book._apply import apply, best_level
from kernels.order_book._entries import prefetch_order
from kernels.order_book._published import publish
from kernels.tick_to_order._parts import OPTIONS, of_part

AHEAD = 16  # messages: far enough for a line to come from memory, near enough that it is still in L1 at its turn


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


def fetch_ahead(book: Any, given: Any, at: Any) -> Any:
    """Ask for the cache line of the order that a later message is about, where the input shows it: records do.

    Only for books whose orders are packed (`kernels.order_book._entries`): the others touch several lines for each.
    """


@overload(fetch_ahead, jit_options=OPTIONS)
def _fetch_ahead(book, given, at):
    if of_part(book) is None:
        return None
    if "order_entry" in book.types[0].fields and isinstance(given.dtype, types.Record):
        return _fetched
    return lambda book, given, at: None


def halted(book: Any, symbol: Any) -> Any:
    """Return whether trading in a symbol is halted."""


@overload(halted, jit_options=OPTIONS)
def _halted(book, symbol):
    return (lambda book, symbol: book.state.halted[symbol]) if of_part(book) else None


def _fetched(book, given, at):
    later = np.uint64(min(at + AHEAD, given.shape[0] - 1))
    prefetch_order(book.state, given[later].order_id)


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
