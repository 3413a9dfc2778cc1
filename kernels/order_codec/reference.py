"""The codec in plain Python: which message comes back as it was, and which is refused and why. Slow and obvious."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from kernels.catalog import Canonical
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS, Action, Kind, OrderType, Side, TimeInForce
from kernels.order_codec._messages import Messages, records
from kernels.order_codec._words import REFUSALS, Refusal


def why_refused(message: Mapping[str, int]) -> Refusal | None:
    """Return the first check that a decoded message fails: an order has an ``action``, an event a ``kind``."""
    if "action" not in message:
        if message["side"] not in list(Side):
            return Refusal.SIDE
        return None if message["kind"] in list(Kind) else Refusal.KIND
    if message["action"] not in list(Action):
        return Refusal.ACTION
    if message["order_type"] not in list(OrderType):
        return Refusal.ORDER_TYPE
    if message["side"] not in list(Side):
        return Refusal.SIDE
    if message["time_in_force"] not in list(TimeInForce):
        return Refusal.TIME_IN_FORCE
    if not 0 <= message["price_ticks"] <= MAX_PRICE_TICKS:
        return Refusal.PRICE
    return None if 0 <= message["size"] <= MAX_ORDER_SIZE else Refusal.SIZE


class Reference:
    """What every codec does to a message, whatever its form on the wire: `bad` counts refusals by `Refusal`."""

    def __init__(self, **_ignored: int):
        self.bad: Counter[Refusal] = Counter()

    def replay(self, messages: Messages) -> np.ndarray:
        """Return the table of the messages after their way over the wire: a refused one is a row of zeros."""
        given = records(messages.rows)
        out = np.zeros(len(given), given.dtype)
        for i in range(len(given)):
            message = dict(zip(given.dtype.names or (), given[i].tolist(), strict=True))
            refusal = why_refused(message)
            if refusal is None:
                out[i] = tuple(message.values())
            else:
                self.bad[refusal] += 1
        return out.view(np.uint64).reshape(messages.rows.shape)

    def export_state(self) -> Canonical:
        """Return the canonical form, as every variant does."""
        return {"bad": np.array([self.bad[Refusal(i)] for i in range(REFUSALS)], np.int64)}
