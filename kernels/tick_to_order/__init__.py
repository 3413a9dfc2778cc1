"""The tick-to-order kernel: from a market message to an order on its way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels import order_book
from kernels.catalog import Kernel, Parameter
from kernels.messages import EVENT, ORDER
from kernels.tick_to_order._decode import itch_of, most_events, operations
from kernels.tick_to_order._names import INDICATORS, LIVE, OWN, VARIANTS
from kernels.tick_to_order.reference import Reference

FEEDS = ("records", "itch")

CARD = """
Takes market messages in and sends orders out: decode, apply to the book, take the best bid and offer into a signal,
check the order that it makes, encode it, put it into a queue that the gateway empties. Each step is a *part*, one of
the other kernels, and the variant of each is chosen when the pipeline is built: ``-P book=ladder -P queue=mpmc``. All
choices give the same orders, byte for byte.

Which message makes an order, and what the simulated market answers, is a simple rule told in
`kernels.tick_to_order._pipeline`: the mid price crosses an exponential (or simple) average with a band around it. An
order's id is the number of the message that made it. `out` holds the orders as they came out of the queue, decoded;
``state.gateway`` keeps their number and a checksum.

| variant | its idea |
| --- | --- |
| `baseline` | each part its kernel's baseline: mutexes, an allocation for each order, sorted levels |
| `lock_free` | no lock in any part: others may read book, limits and positions while it runs |
| `aligned` | each part the one that is laid out by cache lines |
| `combined` | the fastest part of each kind for one message at a time |

There is no variant `simd`: a message is one message, and has no lanes; the vectors of the parts that use some within a
message can be chosen for each part. JSON, the codec's baseline, is called from Python and cannot be part of a compiled
pipeline; the codec's `lock_free` is a queue itself.

With ``threads=2`` the first thread does everything up to the queue, and a second, on a core of its own, is the gateway
that takes the orders out: one hop between cores for an order, none for a message that makes none. When the queue is
full, ``overload=block`` waits, and ``overload=drop`` gives the order up: counted, its limits and its slot given back.
Nothing is lost silently: ``state.tally`` counts, with or without a probe, what became of every message and order
(`_layout.TALLY_NAMES`), the book counts bad events by kind and the risk check refusals by reason.

The input is an array of events, whose decoding is a view, or with ``feed=itch`` the bytes of ITCH messages, parsed one
by one, for which events without such a message are refused. ITCH files are read by `kernels.feeds`.

``live=risk`` isolates a part: its neighbours are replaced by a replay of themselves, recorded in the first run over an
input (`kernels.tick_to_order._standin`). The live part gets the calls of the whole pipeline in their order; time,
stages and cache misses are then its own and those of the loop around it. For one thread and records.

A probe times every message from its first byte to its end, an order's until it is out of the queue and decoded, and
each stage apart. Eight stamps of some 10 ns each are then part of the time: percentiles of an instrumented run are
upper bounds, and throughput is measured without. Canonical states of the parts make that of the pipeline: it may be
taken over by any choice of parts between two messages.
"""


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> np.ndarray:
    """Return `events` as a contiguous read-only view, or with ``feed=itch`` the ITCH messages that say the same.

    Raises ValueError for an array that is not of `kernels.messages.EVENT` in one dimension, and for events that ITCH
    has no message for.
    """
    if not isinstance(events, np.ndarray) or events.dtype.names != EVENT.names or events.ndim != 1:
        raise ValueError("tick_to_order: events must be a one-dimensional array of kernels.messages.EVENT")
    if FEEDS[parameters["feed"]] == "records":
        return order_book.prepare(events, parameters)
    data = itch_of(events)
    data.flags.writeable = False
    return data


def output(events: Any, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for the orders, ORDER: room for one for each message, in the order in which they are sent.

    Fresh memory takes no RAM before it is written, so what no order fills costs nothing.
    """
    return np.zeros(most_events(events), ORDER)


def divide(events: Any, out: Any, parameters: Mapping[str, int]) -> list[tuple[Any, Any]]:
    """Return what each thread gets: the first all messages and no room for orders, the second the other way round."""
    if parameters["threads"] == 1:
        return [(events, out)]
    return [(events, out[:0]), (events[:0], out)]


def _part(name: str) -> Parameter:
    choices = (OWN, *VARIANTS[name])
    return Parameter(name, 0, 0, len(choices) - 1, f"the variant of the {name}", choices=choices)


KERNEL = Kernel(
    name="tick_to_order",
    title="Tick to order: from a market message to an order on its way out",
    card=CARD,
    operations={"message": "one market message, and the order that it makes, if it makes one"},
    counters={
        "ticks": "messages that moved the best bid or offer of a two-sided book",
        "orders": "orders sent",
        "refused": "crossings without an order: refused by the risk check, halted, or no room in pool, codec or queue",
        "answered": "orders that the market answered",
        "waits": "times that a thread found the queue full, or empty, and waited a moment",
    },
    stages={
        "decode": "the message's fields out of its bytes",
        "book": "the message applied to the book, best bid and offer read",
        "answer": "an open order of the symbol answered: its fill booked, its reservation and its slot given back",
        "signal": "a tick taken into the signal, and held against the mid price",
        "risk": "an order checked, and what it may come to reserved",
        "encode": "a slot taken for an order, and the order written in its form on the wire",
        "queue": "an order put into the queue, taken out of it and decoded, on another core with two threads",
    },
    invariants=(
        "The orders equal the reference's, in their order, whatever the variants of the parts.",
        "Two threads send the orders of one.",
        "Every message and every order is counted once under what became of it.",
        "The exposure that the risk check holds is that of the open orders and the positions.",
        "A pipeline that was exported and imported into any choice of parts goes on as the original.",
        "No memory is allocated while messages pass, except by the pool `baseline`, and to grow.",
    ),
    parameters=(
        Parameter("symbols", 1, 1, 65535, "how many symbols there are, numbered from 0"),
        Parameter("feed", 0, 0, 1, "what comes in: records of EVENT, or the bytes of an ITCH stream", choices=FEEDS),
        Parameter("orders", 4096, 1, 2**31, "resting orders of the market that fit before the book grows"),
        Parameter("levels", 64, 1, 2**20, "levels that fit into a sorted side of the book before it grows"),
        Parameter("window_ticks", 4096, 64, 4096, "ticks of a ladder's window, a power of two"),
        Parameter(
            "indicator", 0, 0, len(INDICATORS) - 1, "the signal that the mid price is held against", choices=INDICATORS
        ),
        Parameter("window", 64, 1, 4096, "ticks that the signal reaches back"),
        Parameter("edge", 16, 0, 2**20, "how far from the signal the mid price makes an order, in 1/32 ticks"),
        Parameter("lot", 100, 1, 2**24 - 1, "shares of an order"),
        Parameter("accounts", 1, 1, 65535, "accounts that orders are of, by symbol in turn"),
        Parameter("collar", 20, 1, 1023, "how far a price may be from the mid price, in 1/1024 of it"),
        Parameter("position_limit", 10_000, 1, 2**30, "largest worst-case position of an account, shares"),
        Parameter("notional_limit", 2**40, 1, 2**43 - 1, "most that the open orders of an account are worth"),
        Parameter("order_limit", 64, 1, 2**20 - 1, "most open orders of an account"),
        Parameter("interval_ns", 1_000_000, 1, 2**40, "time between an account's orders at its steady rate"),
        Parameter("burst", 100, 1, 2**20, "orders that an account may send at once"),
        Parameter("pool_slots", 1024, 64, 2**20, "open orders that there is room for"),
        Parameter("queue_slots", 1024, 2, 2**20, "orders that the queue holds, a power of two"),
        Parameter("overload", 0, 0, 1, "what becomes of an order when the queue is full", choices=("block", "drop")),
        Parameter("threads", 1, 1, 2, "2: a second thread takes the orders out of the queue"),
        Parameter("live", 0, 0, len(LIVE) - 1, "the one part that is live, its neighbours replayed", choices=LIVE),
        *(_part(name) for name in VARIANTS),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=order_book.parameters_for,
    output=output,
    length=len,
    count_operations=operations,
    budget="system.market_to_order",
    divide=divide,
)
