"""The signals kernel: indicators of many price series, bar by bar."""

from __future__ import annotations

from typing import Any

from kernels.catalog import Kernel, Parameter
from kernels.signals._bars import output, parameters_for, prepare
from kernels.signals.reference import Reference

CARD = """
Takes in bars of prices, one price for each symbol, and gives after every bar the simple (SMA) and the exponential
moving average (EMA) of every symbol. The state goes on from one call to the next: bars that come in pieces give the
same numbers, bit for bit, as all at once.

- SMA: the mean of the last `window` prices. EMA: ``ema += 2 / (window + 1) * (price - ema)``, started with the SMA of
  the first `window` prices. Both are NaN for the first ``window - 1`` bars, as in TA-Lib.
- A price that is NaN or infinite gives NaN for its bar and starts its symbol anew: the next value comes after
  `window` good prices. The other symbols do not notice.
- Precision: the running sum is replaced, every `window` bars, by one that was added up afresh, so its error does not
  grow with time. The outputs differ from exact sums by less than 1e-12 of the largest price of the last two windows
  (the worst case is about two rounding errors, 4e-16, for each bar of two windows; fused multiply-add, where the target
  has it, rounds once less). Prices up to 1e300.

| variant | its idea |
| --- | --- |
| `baseline` | one record for each symbol, symbol by symbol, a branch for each case |
| `simd` | a lane is a symbol: structure of arrays, explicit vectors of the target's width, masks |

One bar of all symbols, a row, is timed as one group, since a single update is shorter than a clock's step: percentiles
are those of a whole row's time, and say so; a single bar has a mean only. Prices and outputs are streamed once, so
large markets end at the speed of memory.
"""


def _length(prices: Any) -> int:
    return int(prices.shape[0])


def _operations(prices: Any) -> int:
    return int(prices.size)


KERNEL = Kernel(
    name="signals",
    title="Signals: moving averages of many symbols, bar by bar",
    card=CARD,
    operations={"bar": "one bar of one symbol taken in, and its SMA and EMA written"},
    counters={},
    invariants=(
        "Every output equals the reference's within the variant's tolerance, relative to the largest recent price.",
        "Bars that come in pieces give the same outputs, bit for bit, as all at once.",
        "A bad price concerns its own symbol only, and is forgotten after `window` good ones.",
        "A state that was exported and imported into any variant goes on as the original.",
        "No memory is allocated while bars are taken in.",
    ),
    parameters=(
        Parameter("symbols", 64, 1, 65536, "how many price series there are"),
        Parameter("window", 20, 1, 4096, "how many bars an average reaches back"),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=parameters_for,
    output=output,
    length=_length,
    count_operations=_operations,
    operations_per_sample=lambda parameters: parameters["symbols"],
    budget="signal.generation",
)
