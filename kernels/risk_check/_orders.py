"""From market events to requests: orders around the touch, their cancels and fills, and some that break a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import EVENT, Kind
from kernels.risk_check import _plain
from kernels.risk_check._rules import ACCEPTED, CLOSED, FILLED, RELEASE_BIT

ADD, CANCEL, DELETE, EXECUTE, REPLACE = (
    int(Kind.ADD),
    int(Kind.CANCEL),
    int(Kind.DELETE),
    int(Kind.EXECUTE),
    int(Kind.REPLACE),
)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio: spreads order ids over the accounts
_WAYS = 8  # in which an order is made to break a rule


class Orders(NamedTuple):
    """Requests in columns, all of one length: what `replay` works through."""

    timestamp_ns: np.ndarray  # int64, when the order was made; releases do not read it
    price_ticks: np.ndarray  # int32
    reference_ticks: np.ndarray  # int32, the price that the collar is laid around; releases do not read it
    size: np.ndarray  # int32
    account: np.ndarray  # int32
    action: np.ndarray  # uint8, see `kernels.risk_check._rules`


def make_orders(**columns: Any) -> Orders:
    """Return orders of the given columns, each converted to its type and contiguous.

    Raises ValueError for a column too many or too few, and for lengths that differ.
    """
    kinds = {"timestamp_ns": np.int64, "action": np.uint8}
    if set(columns) != set(Orders._fields):
        raise ValueError(f"risk_check: orders have the columns {', '.join(Orders._fields)}, not {', '.join(columns)}")
    made = Orders(*(np.ascontiguousarray(columns[name], kinds.get(name, np.int32)) for name in Orders._fields))
    if any(column.shape != (len(made.action),) for column in made):
        raise ValueError("risk_check: the columns of orders must be one-dimensional and of one length")
    return made


def parameters_for(events: np.ndarray) -> dict[str, int]:
    """Return what must be known of `events` beforehand: nothing."""
    return {}


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Orders:
    """Return the requests of `events`, deterministic.

    Every order that is added becomes an order of an account, drawn by its id, around the symbol's last trade; of a
    thousand orders, `violating` are changed to break a rule: a price far off, an enormous size, an unknown account.
    When the market takes an order out or fills it, and the limits had let it pass, its account gets a release. Limits
    do the rest: some accounts are often at theirs.

    Raises ValueError for what is no EVENT array.
    """
    if not isinstance(events, np.ndarray) or events.dtype.names != EVENT.names or events.ndim != 1:
        raise ValueError("risk_check: events must be a one-dimensional array of kernels.messages.EVENT")
    adds = events["kind"] == Kind.ADD
    ids = np.unique(events["order_id"][adds])
    place = np.searchsorted(ids, events["order_id"])
    known = place < len(ids)
    known[known] = ids[place[known]] == events["order_id"][known]
    length = len(events)
    made = Orders(
        timestamp_ns=np.zeros(length, np.int64),
        action=np.zeros(length, np.uint8),
        **{name: np.zeros(length, np.int32) for name in Orders._fields[1:5]},
    )
    symbols = int(events["symbol"].max()) + 1 if length else 1
    written = _follow(
        np.ascontiguousarray(events["kind"]),
        np.ascontiguousarray(events["symbol"]).astype(np.int64),
        np.ascontiguousarray(events["side"]).astype(np.int64),
        np.ascontiguousarray(events["price_ticks"]).astype(np.int64),
        np.ascontiguousarray(events["size"]).astype(np.int64),
        np.ascontiguousarray(events["timestamp_ns"]),
        np.where(known, place, -1),
        (ids * _SPREAD >> np.uint64(20)).astype(np.int64),
        np.zeros((len(ids), 3), np.int64),
        np.zeros(symbols, np.int64),
        _plain.allocate(parameters),
        parameters["violating"],
        made,
    )
    return Orders(*(column[:written].copy() for column in made))


LEFT, PRICE, BUY_OR_SELL = 0, 1, 2


@kernel_jit(_nrt=False)
def _follow(kind, symbol, side, price, size, timestamp, order, drawn, known, last, state, violating, made):
    """Write the requests of the events into `made` and return how many; `known` keeps what is left of each order."""
    written = 0
    for i in range(kind.shape[0]):
        at = order[i]
        if size[i] > 0 and price[i] > 0 and (kind[i] == EXECUTE or last[symbol[i]] == 0):
            last[symbol[i]] = price[i]
        if at < 0 or (kind[i] != ADD and known[at, LEFT] <= 0):
            continue
        account = (drawn[at] >> 10) % state.accounts.shape[0]
        if kind[i] == ADD:
            action, amount, limit = side[i] & 1, size[i], price[i]
            if drawn[at] % 1000 < violating:
                account, amount, limit, action = _break_a_rule(drawn[at] >> 30, account, amount, limit, action)
            reason = _plain.check(state, account, action, limit, amount, last[symbol[i]], timestamp[i])
            if reason == ACCEPTED and action < 2:
                known[at, LEFT], known[at, PRICE], known[at, BUY_OR_SELL] = amount, limit, action
        elif kind[i] == CANCEL or kind[i] == EXECUTE or kind[i] == DELETE or kind[i] == REPLACE:
            whole = kind[i] == DELETE or kind[i] == REPLACE
            amount = known[at, LEFT] if whole else min(size[i], known[at, LEFT])
            limit = known[at, PRICE]
            known[at, LEFT] -= amount
            action = RELEASE_BIT | known[at, BUY_OR_SELL]
            action |= CLOSED if known[at, LEFT] == 0 else 0
            action |= FILLED if kind[i] == EXECUTE else 0
            filled, closed = kind[i] == EXECUTE, known[at, LEFT] == 0
            _plain.release(state, account, known[at, BUY_OR_SELL], limit, amount, filled, closed)
        else:
            continue
        made.timestamp_ns[written], made.price_ticks[written] = timestamp[i], limit
        made.reference_ticks[written], made.size[written] = last[symbol[i]], amount
        made.account[written], made.action[written] = account, action
        written += 1
    return written


@kernel_jit(inner=True, _nrt=False)
def _break_a_rule(drawn, account, size, price, action):
    """Return account, size, price and action of an order, with one of them made wrong."""
    way = drawn % _WAYS
    if way == 0:
        account = 1 << 30
    elif way == 1:
        size = 0
    elif way == 2:
        action = 5
    elif way < 5:
        size *= 1000
    else:
        price += price // 4
    return account, size, price, action


def divide(orders: Orders, out: np.ndarray, parameters: Mapping[str, int]) -> list[tuple[Orders, np.ndarray]]:
    """Return what each thread gets: the requests of its own accounts or, with `shared`, every n-th of all.

    With accounts of their own the threads get the same answers as one thread alone; with shared ones the answers
    depend on who comes first. Each gets an output of its own.
    """
    threads = parameters["threads"]
    if threads == 1:
        return [(orders, out)]
    owner = np.arange(len(orders.action)) if parameters["shared"] else orders.account
    parts = []
    for thread in range(threads):
        mine = Orders(*(np.ascontiguousarray(column[owner % threads == thread]) for column in orders))
        parts.append((mine, np.zeros(len(mine.action), np.uint8)))
    return parts


def output(orders: Any, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for the answers: uint8, a `Reason` for each request."""
    if not isinstance(orders, Orders):
        raise ValueError("risk_check: the input must be what prepare or make_orders returns")
    return np.zeros(len(orders.action), np.uint8)


def length(orders: Any) -> int:
    """Return how many requests there are."""
    return len(orders.action)
