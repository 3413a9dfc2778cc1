"""Every threshold of the workbench, with its reason. A plan may override one in TOML, per kernel and metric."""

from __future__ import annotations

ALPHA = 0.05
"""An interval misses the truth at most this often. The usual choice; with many cells, multiplicity is handled apart."""

MARGIN = 0.03
"""A change of the median or the throughput below 3 % does not count: memory layout alone moves a process that much."""

TAIL_MARGIN = 0.10
"""A change of p99 and beyond counts from 10 %: a tail rests on few samples and on what else the machine does."""

MARGINS = {"p50": MARGIN, "mean": MARGIN, "batch_mean": MARGIN, "p99": TAIL_MARGIN, "p999": TAIL_MARGIN}

REPLICATES = 6
"""The sign test needs six processes for a 95 % interval (1 - 2 / 2**6 = 96.9 %)."""

SECONDS = 6.0
"""Time spent measuring each kernel, over all replicates: one second a process after compiling and warming up."""

BLOCKS_PER_REPLICATE = 16
"""More blocks than this tell nothing new about a process: with more time its runs become longer instead."""

LEAST_BLOCKS = 2
"""Fewer blocks would leave one disturbed block in charge of its process."""

PERCENTILES = {"p50": 0.50, "p99": 0.99, "p999": 0.999}

STEPS_PER_RUN = 1_000
"""A timed run lasts at least so many steps of the clock: reading it is then worth 0.1 %."""

CALLS_PER_RUN = 100
"""A timed run lasts at least so many empty calls: the call from Python is then below 1 % of it."""


def margin_for(statistic: str) -> float:
    """Return the relative change of `statistic` that counts."""
    return MARGINS.get(statistic, TAIL_MARGIN)
