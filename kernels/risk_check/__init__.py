"""The risk check kernel: what stands between an order and the market."""

from __future__ import annotations

from kernels.catalog import Kernel, Parameter
from kernels.risk_check._orders import divide, length, output, parameters_for, prepare
from kernels.risk_check._rules import Reason
from kernels.risk_check.reference import Reference

CARD = """
Checks every order before it is sent, and reserves what it may come to: kill switch (of all accounts, of one), price
collar around a reference price, size, worst-case position, notional and number of the open orders, message rate. The
answer is a `Reason`: the first check that fails, in one order for all variants. A fill or a cancel releases what the
order had reserved. Limits are of an account; who wants them by symbol gives each pair a number of its own.

Exposure is the worst that can come: position plus open buys, open sells minus position (`kernels.risk_check._rules`).
All of it is whole numbers: shares, ticks, ticks times shares, ns. Positions up to 2**30 shares, notional up to
2**43 - 1, 2**20 - 1 open orders, timestamps up to 2**62: within these nothing overflows, and limits beyond are refused.
A bad request (unknown account, size 0, ...) and a release of more than is open are counted under their reason and
change nothing. The number of accounts is fixed when the state is built; nothing is allocated afterwards.

| variant | its idea |
| --- | --- |
| `baseline` | an array of structs behind one pthread mutex |
| `lock_free` | each limit by compare-exchange, given back when a later one refuses |
| `aligned` | an account, its limits and its lock are one cache line, taken once |
| `simd` | an account's limits are the lanes of a vector; orders and releases without a branch; for one thread |
| `combined` | the lanes of `simd` under a lock as that of `aligned`; for any thread |

`peer_atomic` is what is often written in C++: a struct on lines of its own for each account behind a spin lock.

`check(state, account, side, price_ticks, size, reference_ticks, timestamp_ns)`, `release(state, account, side,
price_ticks, size, filled, closed)`, `exposure(state, account)` and `kill(state, account, on)` of a variant's module are
its single operations, for compiled callers and for Python.

With `threads` > 1 each thread works through the requests of its own accounts (the answers are then those of one
thread), or with `shared` through every n-th request, whosever it is. A request is timed by itself with a probe, which
costs more than the request: percentiles of an instrumented run are upper bounds, in steps of the clock (10 ns on some
machines), and throughput is measured without. A batch of `simd` is timed as one: the time
until the last of its 64 requests has its answer. `lines_touched` counts lines of accounts, locks and the control block,
by address.
"""

_REFUSALS = {
    f"refused_{reason.name.lower()}": f"requests refused: {reason.name.lower().replace('_', ' ')}" for reason in Reason
}


KERNEL = Kernel(
    name="risk_check",
    title="Risk check: may this order be sent, and reserve its exposure",
    card=CARD,
    operations={"request": "one order checked and reserved or refused, or one release"},
    counters={
        "cas_retries": "compare-exchanges that met another thread",
        "rollbacks": "orders that gave back a limit because a later one refused them",
        "spins": "turns of waiting for an account that another thread was in",
        "lines_touched": "cache lines of accounts, locks and control block that requests used",
        **_REFUSALS,
    },
    invariants=(
        "Every answer equals the reference's: the first check that fails.",
        "No exposure is ever above its limit, whatever the threads do.",
        "A refused request changes nothing but its count.",
        "Without other threads on the account, what is released is exactly what was reserved.",
        "A state that was exported and imported into any variant goes on as the original.",
        "No memory is allocated while requests are worked through.",
    ),
    parameters=(
        Parameter("accounts", 64, 1, 2**20, "how many accounts there are, numbered from 0"),
        Parameter("collar", 20, 1, 1023, "how far a price may be from the reference price, in 1/1024 of it"),
        Parameter("order_size", 2_000, 1, 2**24 - 1, "most shares of one order"),
        Parameter("position", 1_500, 1, 2**30, "largest worst-case position of an account, shares"),
        Parameter("notional", 80_000_000, 1, 2**43 - 1, "most that an account's open orders are worth, ticks * shares"),
        Parameter("open_orders", 9, 1, 2**20 - 1, "most open orders of an account"),
        Parameter("interval_ns", 400_000_000, 1, 2**40, "time between an account's messages at its steady rate"),
        Parameter("burst", 3, 1, 2**20, "messages that an account may send at once"),
        Parameter("violating", 20, 0, 1000, "of a thousand orders so many are made to break a rule"),
        Parameter("batches", 1, 0, 1, "0: also `simd` takes the requests one by one"),
        Parameter("threads", 1, 1, 64, "threads that work through the requests at the same time"),
        Parameter("shared", 0, 0, 1, "1: every thread works on all accounts; 0: each account is of one thread"),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=parameters_for,
    output=output,
    length=length,
    count_operations=length,
    divide=divide,
    budget="execution.risk_check",
)
