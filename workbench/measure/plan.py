"""How much each block does, and in which order: chosen from trial runs, balanced against drift. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How much each side of a block does: whole replays of the input, the same number for every side."""

    blocks: int
    repeats: int


@dataclass(frozen=True)
class Trial:
    """What one trial run of one side took, in ns."""

    fastest: int  # the replay alone, without a probe
    whole: float  # all that it costs a block: forward and backward, with resets, with and without a probe


def choose_plan(trials: Sequence[Trial], seconds: float, least_ns: float, most_blocks: int, least_blocks: int) -> Plan:
    """Choose repeats and blocks from one trial run of each side, so that all blocks take about `seconds`.

    A side lasts at least `least_ns` for the fastest. Time that is left over makes sides longer, once there are
    `most_blocks`; where time is short there are fewer blocks, down to `least_blocks`.
    """
    fastest = min(trial.fastest for trial in trials)
    whole = sum(trial.whole for trial in trials)
    needed = max(1, math.ceil(least_ns / max(fastest, 1)))
    affordable = int(seconds * 1e9 / (whole * most_blocks))
    repeats = max(needed, affordable)
    blocks = int(seconds * 1e9 / (whole * repeats))
    return Plan(blocks=min(max(blocks, least_blocks), most_blocks), repeats=repeats)


def balanced_order(count: int, block: int) -> list[int]:
    """Return the order of a block: all forward, starting from another one in each block, then all backward."""
    forward = [(block + i) % count for i in range(count)]
    return forward + forward[::-1]
