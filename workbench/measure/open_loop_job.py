"""What crosses between the driver and its processes when operations are begun at given moments."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from workbench import record
from workbench.errors import InputError
from workbench.measure.job import Setting

Arrivals = Literal["fixed", "poisson", "recorded", "burst"]


def check_arrivals(name: str) -> Arrivals:
    """Return `name`, known to be a way of arriving. Raises InputError for another one."""
    for known in get_args(Arrivals):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"there are no arrivals {name!r}: there are {', '.join(get_args(Arrivals))}")


class OpenJob(Setting):
    """What one replicate is asked to measure; its variants are all of one kernel."""

    replicate: int = 0
    seconds: float = Field(gt=0, description="how long all blocks may take in this replicate")
    arrivals: Arrivals = "poisson"
    loads: list[float] = Field(
        default_factory=list,
        description="operations a second, or speeds of the recording; none: a ladder up to what the variants can do",
    )
    burst_factor: float = Field(100.0, gt=1, description="how much closer together the operations of a burst are")
    outcome_file: str


class OpenOutcome(record.Frozen):
    """What one replicate reports. A side is one variant at one load; its place in `loads` is that of its block."""

    replicate: record.Replicate
    workload: record.Workload
    kernel: str
    parameters: dict[str, int]
    variants: list[str]
    loads: list[float]
    notes: list[str] = Field(default_factory=list)
