"""The logarithms of a trial, small enough to keep: whole numbers of ten-thousandths, against one origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from proof.arms import STATISTICS, SUBJECT
from workbench.measure.results import log_values, sides_of, statistic_of
from workbench.record import Replicate
from workbench.stats.median import median

UNIT = 1e-4  # a hundredth of a percent: far below what a block's statistic is worth

Packed = dict[str, Any]  # {"origin": number, "steps": [[...], ...]}: one list for each process


def pack(groups: Sequence[Sequence[float]]) -> Packed:
    """Return logarithms by process as whole steps from the first of them."""
    whole = [[round(value / UNIT) for value in group] for group in groups]
    origin = next((value for group in whole for value in group), 0)
    return {"origin": origin, "steps": [[value - origin for value in group] for group in whole]}


def unpack(packed: Mapping[str, Any]) -> list[list[float]]:
    """Return the logarithms that `pack` was given, to its precision."""
    return [[(packed["origin"] + step) * UNIT for step in group] for group in packed["steps"]]


def collect(replicates: Sequence[Replicate], labels: Sequence[str], *, whole: bool) -> dict[str, dict[str, Packed]]:
    """Return by arm the logarithm of each block's statistics, and under ``runs`` that of each timed run's mean.

    Without `whole` there are no runs, and one number a process, the median of its blocks: a quarter of a trial's size.
    """
    step_ns = max(replicate.clock.step_ns for replicate in replicates)
    found: dict[str, dict[str, Packed]] = {}
    for label in labels:
        name = f"{SUBJECT}@{label}"
        found[label] = {}
        for each in STATISTICS:
            metric = "throughput" if each == "mean" else "service_time"
            groups = log_values(replicates, name, statistic_of(metric, each, step_ns))
            found[label][each] = pack(groups if whole else [[median(group)] for group in groups])
        if whole:
            found[label]["runs"] = pack([_runs(replicate, name) for replicate in replicates])
    return found


def _runs(replicate: Replicate, name: str) -> list[float]:
    sides = [side for block in replicate.blocks for side in sides_of(block, name)]
    return [math.log(side.elapsed_ns / side.operations) for side in sides]


def samples(logs: Mapping[str, Mapping[str, Any]], label: str) -> list[list[float]]:
    """Return the ns per operation of each timed run of an arm, by process: what another tool would have sampled."""
    return [[math.exp(value) for value in group] for group in unpack(logs[label]["runs"])]
