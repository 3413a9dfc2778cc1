"""The pool in plain Python: which steps get a slot and which do not. Slow and obvious."""

from __future__ import annotations

import numpy as np

from kernels.order_pool._churn import DEFAULT_SLOTS, GIVEN, NOBODY, TAKEN, Churn


class Reference:
    """A pool of `slots`; the other parameters concern speed only and are ignored.

    Which slot an order gets is left open: a variant may hand out any that is free.
    """

    def __init__(self, slots: int = DEFAULT_SLOTS, **_ignored: int):
        self.slots = slots
        self.holders: set[int] = set()
        self.exhausted = 0

    def replay(self, churn: Churn) -> np.ndarray:
        """Do all steps, one thread's behind the other's, and return what each did, as the variants do."""
        out = np.zeros(len(churn.gives), np.uint8)
        for i, (leaving, arriving) in enumerate(zip(churn.gives.tolist(), churn.takes.tolist(), strict=True)):
            if leaving != NOBODY and leaving in self.holders:
                self.holders.remove(leaving)
                out[i] |= GIVEN
            if arriving != NOBODY:
                if len(self.holders) < self.slots:
                    self.holders.add(arriving)
                    out[i] |= TAKEN
                else:
                    self.exhausted += 1
        return out
