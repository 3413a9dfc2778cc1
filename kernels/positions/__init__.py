"""The positions kernel: what every account holds of every symbol, and what it has earned."""

from __future__ import annotations

from kernels.catalog import Kernel, Parameter
from kernels.positions._fills import divide, length, output, parameters_for, prepare
from kernels.positions.reference import Reference

CARD = """
Keeps a position for each account and symbol: shares held, what they cost, booked profit, by the average-cost method in
whole numbers, exact to the last tick (`kernels.positions._rules` says how, and that nothing overflows). A mark sets the
price at which all positions of a symbol are valued; unrealised profit is reckoned when it is read. Positions come with
their first fill and stay; when the table is full it grows, with one thread only: a divided run needs `positions` for
all that come.

A bad fill or mark (unknown account or symbol, price or size out of range, more than 2**31 - 1 shares, more than 2**62
of profit) is counted under its reason and changes nothing.

| variant | its idea |
| --- | --- |
| `baseline` | a chained hash map behind one pthread mutex |
| `lock_free` | open addressing, slots claimed by compare-exchange, a sequence number for each position |
| `aligned` | shards of accounts with one writer each, a position on one cache line, no locked instruction |
| `simd` | `aligned` with 16 slots probed by one wide compare (Swiss table) |
| `peer_std_map` | C++: 16 shards of `std::unordered_map`, each behind a `std::mutex` |

`apply_fill(state, account, symbol, side, price_ticks, size)`, `mark(state, symbol, price_ticks)`, `read(state, account,
symbol)` and `snapshot(state, rows)` of a variant's module are its single operations, for compiled callers and for
Python. Other threads may read while one writes: `baseline` by the mutex, the others without holding the writer up.

With `threads` > 1 each thread has accounts of its own, since the profit of an account depends on the order of its
fills. With a probe each operation is timed by itself, which costs more than the operation: percentiles of an
instrumented run are upper bounds, in steps of the clock (10 ns on some machines), and throughput is measured without.
`lines_touched` counts lines of the table and the control block, by address.
"""

KERNEL = Kernel(
    name="positions",
    title="Positions: fills in, quantity, cost and profit of every account and symbol",
    card=CARD,
    operations={"fill": "one fill applied and the position after it written, or one mark"},
    counters={
        "cas_retries": "claims of a slot that met another thread",
        "spins": "turns of waiting for another writer of the same position",
        "probes": "slots, nodes or groups of slots looked at",
        "lines_touched": "cache lines of the table and the control block that operations used",
        "refused": "bad fills and marks",
    },
    invariants=(
        "The position after every fill equals the reference's, to the last tick.",
        "Booked profit and cost always add up to the cash that the fills moved.",
        "A bad fill or mark is counted under the first check that it fails, and changes nothing else.",
        "What another thread reads of a position is what it was between two fills.",
        "A table that was exported and imported into any variant goes on as the original.",
        "No memory is allocated while fills are applied, except to grow.",
    ),
    parameters=(
        Parameter("symbols", 1, 1, 65536, "how many symbols there are, numbered from 0"),
        Parameter("accounts", 64, 1, 2**24, "how many accounts there are, numbered from 0"),
        Parameter("positions", 4096, 1, 2**28, "positions that fit before the table grows"),
        Parameter("mark_every", 8, 0, 2**20, "fills between two marks; 0: no marks"),
        Parameter("threads", 1, 1, 64, "threads that apply fills at the same time, each those of its own accounts"),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=parameters_for,
    output=output,
    length=length,
    count_operations=length,
    divide=divide,
)
