"""What the threads of a run do: records made from market events, and a plan for each thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.machine.memory import aligned
from kernels.messages import EVENT

RECORDS = 4096  # different records of a run: they and the output stay in the second-level cache
LAPS = (128, 4)  # how often they are sent, by mode: a run of milliseconds, beside which a cold first lap hardly counts

STREAM, ROUND_TRIP = range(2)
MODES = ("stream", "round_trip")

# What `plan` holds (int64 each).
ROLE = 0
COUNT = 1  # messages that the thread puts in, or takes out, or sends to and fro
BATCH = 2
PLAN_LENGTH = 8

# Roles: one thread does all, or one of many does its part.
ALONE, ALONE_TRIP, PRODUCER, CONSUMER, CALLER, ECHO = range(6)


class Work(NamedTuple):
    """The input of one thread, or of the whole run."""

    records: np.ndarray  # int64[n, words]: sent from the first to the last, and again from the first
    plan: np.ndarray  # int64[PLAN_LENGTH]


def make_work(records: np.ndarray, role: int, count: int, batch: int) -> Work:
    """Return the work of a thread that passes `count` messages, `batch` of them between two looks at the clock."""
    plan = np.zeros(PLAN_LENGTH, np.int64)
    plan[ROLE], plan[COUNT], plan[BATCH] = role, count, batch
    return Work(records, plan)


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Work:
    """Return the messages of a run: 4,096 records made of the events, sent 128 times over (round trips: 4 times).

    A record's words are its number, then the event's time, order id, price and size, symbol with kind and side, and
    again the event's number, as many as `record_bytes` has room for; events are repeated where there are fewer.
    Raises ValueError for what is no EVENT array, for no events, and for an odd number of threads above 1.
    """
    if not isinstance(events, np.ndarray) or events.dtype.names != EVENT.names or events.ndim != 1:
        raise ValueError("message_queue: events must be a one-dimensional array of kernels.messages.EVENT")
    if not len(events):
        raise ValueError("message_queue: there are no events to make messages of")
    threads = parameters["threads"]
    if threads > 1 and threads % 2:
        raise ValueError(f"message_queue: threads must be 1 or even, half of them producers, not {threads}")
    if parameters["mode"] == ROUND_TRIP and threads > 2:
        raise ValueError(f"message_queue: a round trip has one or two threads, not {threads}: choose mode=stream")
    number = np.arange(RECORDS)
    chosen = events[number % len(events)]
    words = [
        number,
        chosen["timestamp_ns"],
        chosen["order_id"].astype(np.int64),
        chosen["price_ticks"].astype(np.int64) << 32 | chosen["size"],
        chosen["symbol"].astype(np.int64) << 16 | chosen["kind"].astype(np.int64) << 8 | chosen["side"],
    ]
    records = aligned((RECORDS, parameters["record_bytes"] // 8), np.int64)
    for word in range(records.shape[1]):
        records[:, word] = words[word] if word < len(words) else number * word
    mode = parameters["mode"]
    role = ALONE_TRIP if mode == ROUND_TRIP else ALONE
    return make_work(records, role, RECORDS * LAPS[mode], parameters["batch"])


def divide(work: Work, out: np.ndarray, parameters: Mapping[str, int]) -> list[tuple[Work, np.ndarray]]:
    """Return the work of each thread and the part of `out` that it writes.

    Half of the threads put in, the other half take out; each has an equal share of the records. Of a round trip the
    first thread calls and the second sends back what comes.
    """
    threads = parameters["threads"]
    if threads == 1:
        return [(work, out)]
    count, batch = int(work.plan[COUNT]), int(work.plan[BATCH])
    if parameters["mode"] == ROUND_TRIP:
        scratch = aligned((1, out.shape[1]), np.int64)
        return [
            (make_work(work.records, CALLER, count, batch), out),
            (make_work(work.records, ECHO, count, batch), scratch),
        ]
    pairs = threads // 2
    laps, share = count // len(work.records), -(-len(work.records) // pairs)
    parts = [slice(i * share, min((i + 1) * share, len(work.records))) for i in range(pairs)]
    shares = []
    for role in (PRODUCER, CONSUMER):
        for part in parts:
            own = work.records[part]
            shares.append((make_work(own, role, len(own) * laps, batch), out[part]))
    return shares


def output(work: Any, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for the records that come out, int64[n, words]: those of the last lap stay."""
    return aligned(work.records.shape, np.int64)


def length(work: Any) -> int:
    """Return how many messages a thread passes."""
    return int(work.plan[COUNT])
