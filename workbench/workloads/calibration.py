"""What the synthetic market took over from a real hour: AAPL on NASDAQ, 2012-06-21, 9:30 to 10:30, LOBSTER's sample.

Only summary statistics, none of the data. In a table, ``18*28`` is the value 18 with 28 equal shares of probability;
distances are in ticks of one cent at a price of 585 dollars. ``tests/workloads/test_synthetic.py`` holds the result
against the hour, with its tolerances.
"""

from __future__ import annotations

import math

import numpy as np


def _spread_out(runs: str) -> np.ndarray:
    """Return the values of `runs`, each as often as it says: a uniform index then draws from the distribution."""
    pairs = [(*run.split("*"), "1")[:2] for run in runs.split()]
    return np.repeat([int(value) for value, _ in pairs], [int(count) for _, count in pairs]).astype(np.int64)


def _cumulative(shares: list[float]) -> np.ndarray:
    """Return running sums of `shares`, scaled to 2**31, for `workbench.workloads.arrivals.choose`."""
    sums = np.cumsum(np.array(shares) / sum(shares))
    return np.round(sums * 2**31).astype(np.int64)


REFERENCE_PRICE_TICKS = 58_500
EVENTS_PER_HOUR = 91_997

NEXT_KIND = np.stack(
    [
        _cumulative(row)
        for row in (
            [0.4162, 0.0070, 0.5213, 0.0376, 0.0178],
            [0.3838, 0.0021, 0.5778, 0.0171, 0.0192],
            [0.5676, 0.0035, 0.4003, 0.0172, 0.0114],
            [0.4133, 0.0020, 0.1888, 0.3088, 0.0870],
            [0.3185, 0.0023, 0.2185, 0.1963, 0.2644],
        )
    ]
)
"""Which kind follows which: row and column ADD, CANCEL, DELETE, EXECUTE, TRADE."""

REPLACE_SHARE = 0.096
"""Of the deletions, how many are followed by an addition at the same nanosecond: LOBSTER splits a replace in two."""

IMPROVING_SHARE = 0.202
"""Of the new orders, how many are priced better than the touch, so inside the spread."""

TYPICAL_SPREAD_TICKS = 19
"""At this spread the market draws `IMPROVING_SHARE`, at others in proportion: that keeps the spread bounded."""

TOUCH_DELETE_SHARE = 0.17
"""Of the deletions, how many take an order at the touch whatever its age: an order that improves is fleeting."""

IMPROVEMENT = _spread_out(
    "5 7 8 9 10 11 12 13 14 16 17 18 21 23 24 26 28 30 33 36 40 43 49 55 64 73 85 100 114 128 148 199"
)
"""By how much, in 1/256 of the spread."""

DISTANCE_TICKS = _spread_out(
    "0*13 1*8 2*7 3*5 4*3 5*3 6*4 7*4 8*4 9*4 10*4 11*4 12*4 13*4 14*3 15*3 16*2 17 18 19*2 20 21 22 23*2 24 25 "
    "26 27 28 29*2 31 32 34 36 38 40 43 46 48 50 52 55 57 59 62 66 70 74 78 82 84 89 96 110 118 124 129 134 141 "
    "150 161 170 185"
)
"""How far the others are from the touch of their side."""

ADDED_AGO = _spread_out(
    "1*7 2*6 3*5 4*3 5*3 6*3 7*2 8*2 9 10*2 11 12 13 14 15 16 17 19 20 22 24 26 29 32 35 39 44 49 55 62 71 83 97 "
    "117 142 173 229 322 522 1815"
)
"""How old a deleted order is, counted in orders added since, itself included."""

ORDER_SIZE = _spread_out(
    "1*5 2 4 5 6*2 8*4 10*3 11 12 13 14 16*2 17*3 18*28 19*7 20*4 21 22*10 23*4 25*2 29 31 35 44 50*2 70 98 "
    "100*135 145 200*19 262 400 600 1000*8"
)
TRADE_SIZE = _spread_out(
    "1*2 2*3 3*2 4*2 5 8 10 14 17 19 21 25 28 34 40 45 50*2 56 60 68 75 79 84 90 96 99 100*24 117 152 200*4 260 400"
)

MEAN_CHILDREN = 0.9025
"""How many events an event sets off, in the mean: nine in ten events are answers to other events."""

CHILDREN = _cumulative([MEAN_CHILDREN**n / math.factorial(n) for n in range(12)])
DELAY_NS = np.array(
    [0, 20_000, 70_000, 250_000, 10**6, 5 * 10**6, 3 * 10**7, 2 * 10**8, 15 * 10**8, 15 * 10**9, 9 * 10**10], np.int64
)
DELAY_SHARE = _cumulative([0.03, 0.1008, 0.0268, 0.3166, 0.0864, 0.1458, 0.1216, 0.0532, 0.0397, 0.0022, 0.0239])
"""After what mean delay, by component: fitted to the gaps' quantiles and to the counts' variance at 10 ms to 60 s."""

IMMIGRANT_GAP_NS = round(3600 * 10**9 / EVENTS_PER_HOUR / (1 - MEAN_CHILDREN))

FULL_EXECUTION_SHARE = 0.726
SAME_SIDE_SHARE = 0.845  # how often an execution hits the side that the one before it hit
