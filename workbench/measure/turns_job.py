"""What crosses between the driver and the processes that take turns: one setting goes in, then question and answer."""

from __future__ import annotations

from pydantic import Field

from workbench import record
from workbench.measure.job import Chosen, Setting

EVERYTHING = "*"  # the selector of every kernel in the modules, or of every built-in one: for the code alone


class TurnsJob(Setting):
    """What the process of one arm is to prepare."""

    front: list[str] = Field(default_factory=list, description="folders that stand first on its path")


class Ready(record.Frozen):
    """What an arm has prepared."""

    chosen: list[Chosen]
    operations: dict[str, int] = Field(description="by kernel/variant: how many operations one replay holds")
    workload: record.Workload
    notes: list[str]


class Calibrated(record.Frozen):
    """Where an arm is pinned, and its clock."""

    core: int | None
    clock: record.Clock


class Built(record.Frozen):
    """What an arm has built, and what it would have to compile."""

    missing: list[tuple[str, bool]] = Field(description="kernel/variant, and whether with a probe")
    parameters: dict[str, dict[str, int]]
    operations_per_sample: dict[str, int]


class Tried(record.Frozen):
    """What one trial run of one variant took, in ns."""

    fastest: int
    whole: float
    call: int


class Closing(record.Frozen):
    """What an arm knows at its end, by kernel/variant."""

    peak_rss_bytes: int
    allocations: dict[str, int]
    code_hash: dict[str, str]


class Code(record.Frozen):
    """The machine code of a variant in one arm, or why there is none."""

    source: str = Field(default="", description="hash of the source that decides it; empty where that is not known")
    hash: str = Field(default="", description="empty where it was not compiled")
    functions: dict[str, str] = Field(default_factory=dict, description="hash of each function's bytes, by its name")
    state: str = Field(default="", description="hash of the parameters, and of how the arrays of the state lie")
    failure: str = ""
    unfit: bool = Field(
        default=False, description="its failure is no defect: it refuses the parameters or the machine, or is no Numba"
    )
