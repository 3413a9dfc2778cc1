"""What crosses between the driver and its processes when a writer is measured with readers beside it."""

from __future__ import annotations

from pydantic import Field

from workbench import record
from workbench.measure.job import Setting, Share

BESIDE = "+readers"  # after the name of a variant: the same variant with readers beside its writer


class ReadersJob(Setting):
    """What one replicate is asked to measure; its variants are all of one kernel and offer `read`."""

    replicate: int = 0
    seconds: float = Field(gt=0, description="how long the blocks may take in this replicate")
    readers: int = Field(1, ge=1, description="threads that read")
    read_rate_per_s: float | None = Field(None, gt=0, description="of each reader; None: as fast as it goes")
    share: Share | None = Field(None, description="what the first replicate chose; None in the first")
    outcome_file: str


class ReadersOutcome(record.Frozen):
    """What one replicate reports. A side with readers carries their counts among its counters."""

    replicate: record.Replicate
    workload: record.Workload
    kernel: str
    parameters: dict[str, int]
    variants: list[str]
    operations_per_sample: int
    share: Share
    cores: list[int] = Field(description="of the writer, then of each reader")
    notes: list[str] = Field(default_factory=list)
