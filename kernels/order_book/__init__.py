"""The order book kernel: every resting order by id, and the best bid and offer after every message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.catalog import Kernel, Parameter
from kernels.messages import BEST, EVENT
from kernels.order_book.reference import Reference

CARD = """
Applies market-by-order events (add, cancel, delete, execute, replace, modify, halt, resume, clear) to the books of
many symbols, and gives the best bid and offer of the event's symbol after each. `best` and `depth` of a variant's
module read the book at any time, as does `kernels.order_book.features`: sums over the best levels, mean price,
imbalance. One thread writes a book; the size of a level is known, the order of the queue inside it is not.

Ids are any 64-bit numbers, and one id is one order in all books together. A bad event is counted under its kind
(`kernels.messages.Bad`) and changes nothing else. The table of orders and the rows of levels grow when they are full.

| variant | its idea |
| --- | --- |
| `baseline` | sorted arrays of levels, binary search and shift, one pthread mutex |
| `ladder` | levels by direct index in a window of ticks, two levels of bits; far prices spill |
| `simd` | of the bitmap only the word around the best is kept; wide compares find the others; depth summed by vectors |
| `aligned` | orders packed into 16 bytes, rows of one cache line, prefetch of the next messages' lines |
| `combined` | the orders of `aligned`, the levels of `simd`, one loop without calls or guesses for ordinary messages |
| `lock_free` | `combined`, published by a sequence lock on lines of its own: any number of threads read |
| `skip_list` | levels in a concurrent skip list, nodes reused by epochs: the classic design, for comparison |
| `peer_std_map` | the textbook book in C++: `std::map` and `std::unordered_map` |

Other threads may read while one writes: `read_best` of `baseline` (which takes the mutex), `lock_free` and `skip_list`
(whose two sides may be of different moments), `read_depth` of the last two. While the writer of `lock_free` is inside a
call, what they see may be 16 messages of that symbol old. They read between a reset and the next, not while a state is
restored.

The window is a parameter and never sized from the stream: prices outside it are kept in sorted arrays, and the window
follows the market. Small windows suit many symbols; memory is taken only for the pages that are used. A CLEAR reads
the whole table of orders. With a probe every message is stamped, which costs more than the message itself: the
percentiles of an instrumented run are upper bounds, and throughput is measured without.

The counter `lines_touched` is of the book's own state, not of the event read and the output written. It is reckoned
from the numbers of the elements, as if every array began on a line, and is no measurement of a cache. A message that
changes one level near the best counts each of its lines once, where the code can know that they are the same; each
search, and each step of a rare message, counts its own (`kernels.order_book._lines`).
"""


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> np.ndarray:
    """Return `events` as a contiguous read-only view, the one type that the variants are compiled for.

    Raises ValueError for an array that is not of `kernels.messages.EVENT` in one dimension.
    """
    if not isinstance(events, np.ndarray) or events.dtype.names != EVENT.names or events.ndim != 1:
        raise ValueError("order_book: events must be a one-dimensional array of kernels.messages.EVENT")
    if events.dtype != EVENT:  # numpy.concatenate and others drop the padding
        padded = np.zeros(len(events), EVENT)
        padded[:] = events
        events = padded
    view = np.ascontiguousarray(events).view(np.ndarray).view()
    view.flags.writeable = False
    return view


def parameters_for(events: np.ndarray) -> dict[str, int]:
    """Return what a book must know of `events` beforehand: how many symbols there are. Nothing else is looked at."""
    return {"symbols": int(events["symbol"].max()) + 1 if len(events) else 1}


def output(events: Any, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for the best bid and offer after each event."""
    return np.zeros(len(events), BEST)


KERNEL = Kernel(
    name="order_book",
    title="Order book: market by order, best bid and offer after every message",
    card=CARD,
    operations={"apply": "one message applied, and the best bid and offer of its symbol written"},
    counters={
        "levels_moved": "levels shifted in a sorted array",
        "probes": "slots of the order table looked at",
        "words_scanned": "words of the occupancy bitmap read, or computed by a wide compare, to find the best level",
        "recentred": "times that a window moved",
        "spilled": "changes of levels outside the window",
        "refused": "bad events",
        "retries": "steps begun again because another thread came between",
        "lines_touched": "cache lines of orders, levels, rows and published words that messages read or write",
    },
    invariants=(
        "The best bid and offer after every message equal the reference's.",
        "The size of a level is the sum of the sizes of its orders.",
        "A bad event is counted under the first check that it fails, and changes nothing else.",
        "The window decides about speed only.",
        "A book that was exported and imported into any variant goes on as the original.",
        "No memory is allocated while events are applied, except to grow.",
    ),
    parameters=(
        Parameter("symbols", 1, 1, 65535, "how many symbols the book has, numbered from 0"),
        Parameter("orders", 4096, 1, 2**31, "resting orders that fit before the table grows"),
        Parameter("levels", 64, 1, 2**20, "levels that fit into a sorted side before it grows"),
        Parameter("window_ticks", 4096, 64, 4096, "ticks of a ladder's window, a power of two"),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=parameters_for,
    output=output,
    length=len,
    count_operations=len,
    budget="market_data.order_book_update",
)
