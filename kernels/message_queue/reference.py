"""The queue in plain Python: the oracle that every variant must agree with. Slow and obvious."""

from __future__ import annotations

from collections import deque

import numpy as np

from kernels.message_queue._work import BATCH, COUNT, Work


class Reference:
    """A queue of at most `slots` records; further parameters decide about speed only."""

    def __init__(self, slots: int = 1024, **others: int):
        self.slots = slots
        self.waiting: deque[np.ndarray] = deque()

    def push(self, record: np.ndarray) -> bool:
        """Put a copy of `record` in at the end; return False when the queue is full."""
        if len(self.waiting) == self.slots:
            return False
        self.waiting.append(record.copy())
        return True

    def pop(self) -> np.ndarray | None:
        """Take out and return the oldest record; None when there is none."""
        return self.waiting.popleft() if self.waiting else None

    def replay(self, work: Work) -> np.ndarray:
        """Pass every message through, a batch in and out again; return int64[n, words], what came out last."""
        out, n = np.zeros_like(work.records), len(work.records)
        sent, got, total = 0, 0, int(work.plan[COUNT])
        while got < total:
            for _ in range(int(work.plan[BATCH])):
                if sent < total and self.push(work.records[sent % n]):
                    sent += 1
            while (record := self.pop()) is not None:
                out[got % n] = record
                got += 1
        return out
