"""The pool kernel: memory for orders, taken and given back without an allocation."""

from __future__ import annotations

from typing import Any

from kernels.catalog import Kernel, Parameter
from kernels.order_pool._churn import (
    DEFAULT_SLOTS,
    GROUP,
    PATTERNS,
    count_pairs,
    divide,
    output,
    parameters_for,
    prepare,
)
from kernels.order_pool.reference import Reference

CARD = """
Hands out slots of 64 bytes, room for one `kernels.messages.ORDER`, and takes them back: `take` and `give_back`, and
`empty`, which frees all of them at once as an arena does.

| variant | its idea |
| --- | --- |
| `baseline` | an allocation for each order (Numba's run-time), numbered by a list behind a mutex |
| `stack` | slots made once, the free ones numbers on a stack |
| `lock_free` | the stack as a linked list whose top is swung by compare-exchange, with a tag against ABA |
| `simd` | a bit for each slot, free ones found by wide compares |
| `aligned` | slots on cache lines of their own, a cache of free ones for each thread, handed over in bundles of 64 |
| `trusted` | `aligned` without marks: misuse is not told, as with `malloc` |
| `peer_malloc` | C++: `malloc` and `free` of the system's library |
| `peer_boost_pool` | C++: `boost::pool`, a free list in the memory itself |

The steps come from the life of real orders: an order takes a slot when it is added, and gives it back when it is
deleted, replaced or filled. With ``pattern=pairs``, the default, each order that goes waits for the next that comes,
and a step is both, as in a pool at its high-water mark; with ``pattern=events`` each is a step of its own, in the
feed's order. The second costs every variant the same wrongly guessed branch at about every other step. Whoever takes
a slot writes the order's number into it, and checks it when giving it back. An operation is one slot taken and
given back.

`take` returns -1 when no slot is free. `give_back` refuses a number that is no slot, and a slot that nobody has taken;
each is counted (`kernels.order_pool._told.Told`). `trusted` refuses neither. A slot given back twice after somebody
else has taken it again cannot be told from one given back rightly, nor can two threads that give back one slot at the
very same moment; `malloc` tells nothing at all.

`stack` and `simd` are for one thread, the others for any number at once. While threads use `aligned` or `trusted`, up
to 192 free slots may lie in the cache of each, where the others do not find them. `empty` is for a moment when nobody
else uses the pool. A snapshot of `baseline` has no content of slots: an order whose slot was given back since finds
nothing of its own.

`simd` looks at 8 words at once, a line of the bitmap. A probe stamps 64 steps together. `lines_touched` counts lines of
the pool and of the slot's mark, reckoned from what the code does.
"""


def _length(churn: Any) -> int:
    return len(churn.gives)


KERNEL = Kernel(
    name="order_pool",
    title="Order pool: memory for orders without an allocation",
    card=CARD,
    operations={"churn": "one slot taken, and one given back"},
    counters={
        "cas_retries": "exchanges of the shared top that another thread forestalled",
        "words_scanned": "words of the bitmap compared to find a free slot",
        "lines_touched": "cache lines of the pool and of marks that were read or written",
        "refills": "bundles fetched from or handed over to the shared stack",
        "refused": "slots that were not taken back",
    },
    invariants=(
        "No slot is handed out that somebody has.",
        "No slot is lost: those taken and those free are all slots, at every moment.",
        "A slot holds what its owner wrote until it is given back.",
        "A take fails when all slots are taken, and then is counted.",
        "A number that is no slot, and a slot that is free, are refused and change nothing; except by `trusted`.",
        "No memory is allocated, except by the baseline.",
    ),
    parameters=(
        Parameter("slots", DEFAULT_SLOTS, 1, 2**24, "how many orders have room at once"),
        Parameter("pattern", 0, 0, len(PATTERNS) - 1, "what a step is", choices=PATTERNS),
        Parameter("threads", 1, 1, 64, "threads that take and give back at the same time"),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=parameters_for,
    output=output,
    length=_length,
    count_operations=count_pairs,
    operations_per_sample=lambda parameters: GROUP,
    budget="order_pool.throughput",
    divide=divide,
)
