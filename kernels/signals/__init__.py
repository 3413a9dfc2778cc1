"""The signals kernel: indicators of many price series and of their order books, bar by bar."""

from __future__ import annotations

from typing import Any

from kernels.catalog import Kernel, Parameter
from kernels.signals._bars import Bars, divide, make_bars, output, parameters_for, prepare
from kernels.signals._state import INDICATORS, NAMES
from kernels.signals.reference import Reference

__all__ = ["INDICATORS", "KERNEL", "NAMES", "Bars", "make_bars"]

CARD = """
Takes in bars of many symbols and gives after every bar one indicator of every symbol. The state goes on from one call
to the next: bars may come in pieces, rows of all symbols at once (`replay`) or one tick of one symbol (`update`, for
compiled code). `kernels.signals.make_bars(close)` makes bars of your own arrays, also of a single series.

| `indicator` | its lines; w is `window`, f the first bar with a value, counted from 0 |
| --- | --- |
| `sma` | mean of the last w closes; f = w - 1 |
| `ema` | ``ema += 2 / (w + 1) * (close - ema)``, started with the SMA of the first w closes; f = w - 1 |
| `rsi` | ``100 * gain / (gain + loss)``, Wilder's averages of rises and falls; 0 where both are 0; f = w |
| `macd` | EMA of 12 less EMA of 26, both started on bar 25; its EMA of 9, the signal; their difference; f = 33 |
| `bollinger` | upper, middle, lower: SMA and 2 standard deviations around it; f = w - 1 |
| `atr` | Wilder's average of the true range; f = w |
| `vwap` | sum of ``(high + low + close) / 3 * volume`` over that of volume, NaN where that is 0; f = w - 1 |
| `std` | standard deviation of the population of the last w closes; f = w - 1 |
| `min`, `max` | of the last w closes; f = w - 1 |
| `imbalance` | ``(bid_size - ask_size) / (bid_size + ask_size)`` of the best; 0 where both are 0; f = 0 |
| `microprice` | ``(bid_price * ask_size + ask_price * bid_size) / (bid_size + ask_size)``; f = 0 |
| `flow` | what the bid's queue gained since the bar before, less what the ask's gained; f = 1 |

Wilder's averages have the weight 1 / w and start with the mean of the first w. `flow` is the order-flow imbalance of
Cont, Kukanov and Stoikov (The Price Impact of Order Book Events, 2014) between the ends of two bars: the bid's size
counts where its price has not fallen, its size before is taken off where it has not risen, and the ask's likewise with
the signs turned. Where TA-Lib has the indicator, the definition, its start and its NaNs are TA-Lib's.

- A bar is bad for its symbol when something that the indicator reads is NaN or infinite: it gives NaN, and the symbol
  starts anew. The other symbols do not notice.
- Precision: running sums are replaced, every `window` bars, by sums added up afresh, so errors do not grow with time.
  With t the variant's tolerance, an output differs from the exact value by less than t times the largest value of what
  it averages in the last two windows; a *variance* by less than t times the square of the range of the closes in the
  last two windows, so that a standard deviation near 0 is known less well than a large one. Prices up to 1e100.
  Volumes are whole numbers: then "nothing was traded" is exact.
- The rings of a window keep its bars: `min` and `max` cost up to w steps a bar in a market that only falls or rises.

| variant | its idea |
| --- | --- |
| `baseline` | one record for each symbol, symbol by symbol, a branch for each case |
| `simd` | a lane is a symbol, or a bar of a single series; running numbers in registers, explicit vectors, no ring |
| `aligned` | `simd`, its output written past the caches, in whole cache lines |
| `lock_free` | `simd`; threads take symbols by one atomic counter and publish how far they have come |
| `peer_talib`, `peer_tulipy`, `peer_bottleneck`, `peer_polars` | other people's libraries |

The peers compute whole series: they get each symbol's columns contiguous, made outside the timed part, and allocate
what they return inside it, since they cannot be called otherwise; ours write into an array that is there. A peer
without an indicator refuses it. `docs/decisions/0014-signals-peers.md` tells whose definitions differ, and what
allocating costs.

One bar of all symbols, a row, is timed as one group, since a single update is shorter than a clock's step: percentiles
are those of a whole row's time, and say so; a single bar has a mean only. Prices and outputs are streamed once, so
large markets end at the speed of memory.

With `threads` above 1 the threads take eight symbols at a time and go down all their rows; a sample is then one bar of
those eight.
"""


def _length(bars: Any) -> int:
    return int(bars.close.shape[0])


def _operations(bars: Any) -> int:
    return int(bars.close.size)


def _per_sample(parameters: Any) -> int:
    return int(parameters["symbols"] if parameters["threads"] == 1 else min(8, parameters["symbols"]))


KERNEL = Kernel(
    name="signals",
    title="Signals: indicators of many symbols, bar by bar",
    card=CARD,
    operations={"bar": "one bar of one symbol taken in, and its indicator written"},
    counters={},
    invariants=(
        "Every output equals the reference's within the variant's tolerance.",
        "Bars that come in pieces give the same outputs as all at once.",
        "A bad bar concerns its own symbol only, and is forgotten when the indicator has started anew.",
        "A state that was exported and imported into any variant goes on as the original.",
        "No memory is allocated while bars are taken in.",
    ),
    parameters=(
        Parameter("symbols", 64, 1, 65536, "how many price series there are"),
        Parameter("window", 20, 1, 4096, "how many bars an indicator reaches back"),
        Parameter("indicator", NAMES.index("ema"), 0, len(NAMES) - 1, "what is computed", choices=NAMES),
        Parameter("threads", 1, 1, 64, "how many threads share the symbols"),
    ),
    package=__name__,
    reference=Reference,
    prepare=prepare,
    parameters_for=parameters_for,
    output=output,
    length=_length,
    count_operations=_operations,
    operations_per_sample=_per_sample,
    budget="signal.generation",
    divide=divide,
)
