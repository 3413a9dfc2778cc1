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


# The gate: see docs/gate.md for how these work together.

FALSE_DISCOVERY = 0.05
"""Of the cells that a gate flags, at most this part is flagged wrongly on average (Benjamini, Hochberg 1995)."""

LOOK_ALPHAS = (0.035, 0.015)
"""How `ALPHA` and `FALSE_DISCOVERY` are split between the first look and the planned escalation. The first has to leave
room for the sign test over six processes, whose level is 2 / 2**6 = 0.03125; the second rests on twelve processes."""

ESCALATION_FACTOR = 1
"""The escalation measures as many processes again as the first look did: intervals become 1.4 times as narrow."""

CONFIRMING_REPLICATES = 9
"""From nine processes on, the sign interval may leave out the lowest and the highest process (level 0.039), so that one
process with an unlucky memory layout does not hide a slowdown. Six could not leave out any."""

CONTROL_ALPHA = 0.01
"""A gate run on a healthy machine is called invalid by chance at most once in a hundred. The controls test the same
margins as the cells, and a healthy control is far inside them, so that it is much rarer in truth. Below 0.01 a control
that moves would be missed too often; at 0.05 one run in twenty would be repeated for nothing."""

GATE_PHASES = 3
"""Measurements that a gate may take: first look, escalation, confirmation. Each gets this part of `CONTROL_ALPHA`."""

BUSY_CORES = 0.25
"""Other programs that keep more than a quarter of a core busy while a gate measures make it ENVIRONMENT INVALID. What a
system does by itself takes some hundredths of a core, a program that works takes a whole one."""

INSTRUCTION_MARGIN = 0.01
"""Instruction counts of the same code and input are the same to the last digit; below 1 % a change costs no time that
could be measured."""

INSTRUCTION_EVENTS = 20_000
"""Valgrind runs code some fifty times slower: so many events take seconds, and a count does not scatter."""

HISTORY_Q = 0.01
"""Of the series of one kernel on one kind of machine of which a history says that they changed, at most this part did
not (Benjamini, Hochberg). Stricter than a gate's 0.05, because the same question is asked every night."""

HISTORY_NIGHTS = 20
"""Nights on each side that size a step: a month of working days. More would bring in what was before something else."""

HISTORY_NEAR = 4
"""An accepted step is a found one that lies within so many nights of it: with every new night it may be placed anew.
Steps are five nights apart at least: a new one is out of reach as long as the other stays where it was accepted."""

OWN_BASELINES = ("history", "pytest")
"""Names under which the workbench itself keeps baselines: pinned nights, and those of tests. No person's `--baseline`
is one of them unless it is named, and no person saves under them: each would replace the other."""


def margin_for(statistic: str) -> float:
    """Return the relative change of `statistic` that counts."""
    return MARGINS.get(statistic, TAIL_MARGIN)
