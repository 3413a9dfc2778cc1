"""Two variants, measured side by side in blocks: how much slower is B than A, and is it sure?

A block gives one difference ``d = ln(stat_B) - ln(stat_A)``. Blocks of one process share its memory layout and are not
independent, so the interval is the wider of two: the sign-test interval over all blocks, and the interval over the
medians of the processes. With six processes or more the latter is a sign-test interval too; with two to five it is
Student's, which assumes that the medians are normal, and the judgement says so; one process alone cannot be judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.record import Verdict
from workbench.stats.median import Interval, median, process_interval, sign_interval, sign_rank

MOST_BLOCKS = 1_000_000  # a difference this close to the margin is not settled by measuring longer


@dataclass(frozen=True)
class Judgement:
    """The size of a difference and what is said of it. `estimate`, `low` and `high` are logarithms of B over A."""

    estimate: float
    low: float
    high: float
    verdict: Verdict
    blocks: int
    replicates: int
    blocks_needed: int | None = None
    reason: str = ""


def judge(differences: Sequence[Sequence[float]], margin: float, alpha: float = 0.05) -> Judgement:
    """Judge the log differences of blocks, grouped by process, against a relative `margin` (0.03 is 3 %).

    Raises ValueError without any block, or when a difference is not finite.
    """
    groups = [list(group) for group in differences if len(group)]
    blocks = [value for group in groups for value in group]
    if not blocks:
        raise ValueError("there is no block to judge")
    if not all(math.isfinite(value) for value in blocks):
        raise ValueError("a block's difference is not finite: one of its sides has no time")
    estimate = median(blocks)
    interval = _whole_interval(groups, blocks, alpha)
    if interval is None:
        reason = "one process says nothing of how the next is laid out: measure two replicates or more"
        if len(groups) > 1:
            reason = f"{len(blocks)} blocks are too few for an interval"
        low, high = min(blocks), max(blocks)
        return Judgement(estimate, low, high, Verdict.UNRESOLVED, len(blocks), len(groups), None, reason)
    interval = interval.union(Interval(estimate, estimate))
    verdict = decide(interval, margin)
    needed, reason = None, ""
    if verdict is Verdict.UNRESOLVED:
        needed = blocks_needed(estimate, interval, margin, len(blocks))
        reason = "the interval crosses the margin"
    if sign_rank(len(groups), alpha) == 0:
        note = f"{len(groups)} replicates: the interval assumes that their medians are normal"
        reason = f"{reason}; {note}" if reason else note
    return Judgement(estimate, interval.low, interval.high, verdict, len(blocks), len(groups), needed, reason)


def _whole_interval(groups: list[list[float]], blocks: list[float], alpha: float) -> Interval | None:
    """Return the wider of the intervals over blocks and over processes; None where either cannot be had."""
    over_processes = process_interval([median(group) for group in groups], alpha)
    over_blocks = sign_interval(blocks, alpha)
    if over_processes is None or over_blocks is None:
        return None
    return over_processes.union(over_blocks)


def decide(interval: Interval, margin: float) -> Verdict:
    """Return the verdict for an interval of ln(B / A) against a relative `margin`, alike on both sides of zero."""
    reach = math.log1p(margin)
    if interval.low > reach:
        return Verdict.SLOWER
    if interval.high < -reach:
        return Verdict.FASTER
    if -reach <= interval.low and interval.high <= reach:
        return Verdict.UNCHANGED
    return Verdict.UNRESOLVED


def blocks_needed(estimate: float, interval: Interval, margin: float, blocks: int) -> int | None:
    """Return how many blocks, in more processes of the same length, would settle an UNRESOLVED difference.

    An interval shrinks with the square root of the number of blocks, and has to clear the nearer edge of the margin.
    None where that would take more than `MOST_BLOCKS`.
    """
    reach = math.log1p(margin)
    room = abs(abs(estimate) - reach)
    side = max(interval.high - estimate, estimate - interval.low)
    if room <= 0 or side <= 0:
        return None
    needed = math.ceil(blocks * (side / room) ** 2)
    return max(needed, blocks + 1) if needed <= MOST_BLOCKS else None
