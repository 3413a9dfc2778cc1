"""The kernel's input and output: tables of words, made of market events, and their shares for several threads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from kernels.machine.memory import aligned
from kernels.messages import EVENT, ORDER, Action, Kind, OrderType, Side, TimeInForce

MESSAGES = ("order", "event")  # the choices of the parameter `message`
ACCOUNTS = 16
ANSWER_NS = 1_000  # an order is made this long after the event that it answers


class Messages(NamedTuple):
    """What a replay encodes and decodes, and which of the threads on one state it is."""

    rows: np.ndarray  # uint64[n, 8] of ORDER, or uint64[n, 5] of EVENT
    lane: np.ndarray  # int64[1]


def words(records: np.ndarray) -> np.ndarray:
    """Return an array of ORDER or EVENT as its table of words, without a copy."""
    if records.dtype not in (ORDER, EVENT) or records.ndim != 1 or not records.flags.c_contiguous:
        raise ValueError("order_codec: messages must be a contiguous one-dimensional array of ORDER or EVENT")
    return records.view(np.uint64).reshape(len(records), records.dtype.itemsize // 8)


def records(rows: np.ndarray) -> np.ndarray:
    """Return a table of words as the array of ORDER or EVENT that it is, without a copy."""
    return rows.view(ORDER if rows.shape[1] * 8 == ORDER.itemsize else EVENT).reshape(len(rows))


def orders_from(events: np.ndarray) -> np.ndarray:
    """Return the orders that would have made `events`: a new one for each ADD, a replacement for each REPLACE and
    MODIFY, a cancellation for each CANCEL and DELETE, an immediate order from the other side for each EXECUTE. Events
    of other kinds make none.
    """
    kind = events["kind"]
    made = np.isin(kind, [Kind.ADD, Kind.REPLACE, Kind.MODIFY, Kind.CANCEL, Kind.DELETE, Kind.EXECUTE])
    events, kind = events[made], kind[made]
    orders = np.zeros(len(events), ORDER)
    for name in ("order_id", "price_ticks", "size", "symbol", "side"):
        orders[name] = events[name]
    orders["market_ns"], orders["timestamp_ns"] = events["timestamp_ns"], events["timestamp_ns"] + ANSWER_NS
    orders["account"] = events["order_id"] % ACCOUNTS
    orders["action"], orders["order_type"] = Action.NEW, OrderType.LIMIT
    replaced = np.isin(kind, [Kind.REPLACE, Kind.MODIFY])
    orders["action"][replaced] = Action.REPLACE
    orders["old_order_id"][replaced] = events["order_id"][replaced]
    orders["order_id"][kind == Kind.REPLACE] = events["new_order_id"][kind == Kind.REPLACE]
    cancelled = np.isin(kind, [Kind.CANCEL, Kind.DELETE])
    orders["action"][cancelled] = Action.CANCEL
    orders["old_order_id"][cancelled] = events["order_id"][cancelled]
    executed = kind == Kind.EXECUTE
    orders["time_in_force"][executed] = TimeInForce.IMMEDIATE
    orders["side"][executed] = Side.ASK - events["side"][executed]
    return orders


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Messages:
    """Return the messages of the parameter `message`: the orders behind `events`, or the events themselves.

    Copied, so that padding is zero. Raises ValueError for an array that is not of EVENT (or ORDER) in one dimension.
    """
    if not isinstance(events, np.ndarray) or events.ndim != 1 or events.dtype.names not in (EVENT.names, ORDER.names):
        raise ValueError("order_codec: messages must be a one-dimensional array of kernels.messages.EVENT or ORDER")
    wanted = ORDER if MESSAGES[parameters["message"]] == "order" else EVENT
    if events.dtype.names != wanted.names:
        if wanted is EVENT:
            raise ValueError("order_codec: there is no way from orders to the events behind them")
        events = orders_from(events)
    copied = np.zeros(len(events), wanted)
    for name in wanted.names or ():
        copied[name] = events[name]
    rows = words(copied)
    rows.flags.writeable = False
    return Messages(rows, np.zeros(1, np.int64))


def output(messages: Messages, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the table for the decoded messages; `records` shows it as an array of ORDER or EVENT."""
    return aligned(messages.rows.shape, np.uint64)


def divide(messages: Messages, out: Any, parameters: Mapping[str, int]) -> list[tuple[Messages, Any]]:
    """Return a part of the messages for each thread, in order and of equal length but for the last."""
    threads, length = parameters["threads"], len(messages.rows)
    edges = [length * thread // threads for thread in range(threads + 1)]
    return [
        (Messages(messages.rows[a:b], np.array([thread], np.int64)), out[a:b])
        for thread, (a, b) in enumerate(pairwise(edges))
    ]
