"""What crosses between the driver and its processes: a job goes in, an outcome comes back."""

from __future__ import annotations

from pydantic import Field

from workbench import record
from workbench.errors import InputError

TOGETHER = "+together"  # after the name of a variant that is measured on shards: all of them at once, a thread each


def read_setting(text: str) -> tuple[str, int | str]:
    """Return what ``NAME=VALUE`` says: a whole number, or the name of one. Raises InputError where it is neither."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InputError(f"{text} is not NAME=VALUE: write it as symbols=64")
    try:
        return name, int(value)
    except ValueError:
        return name, value


class Share(record.Frozen):
    """How much a block of one kernel does; set by the first replicate, so that all do the same work."""

    blocks: int = Field(gt=0)
    repeats: int = Field(gt=0)


class Setting(record.Frozen):
    """Which variants are run, on which data, with which parameters."""

    selectors: list[str] = Field(min_length=1, description="KERNEL or KERNEL/VARIANT")
    modules: list[str] = Field(default_factory=list, description="import names of users' kernels")
    paths: list[str] = Field(default_factory=list, description="folders those are imported from")
    workload: str | None = Field(None, description="a named workload; neither this nor a file: the default one")
    input_file: str | None = None
    description: record.Workload | None = Field(None, description="of an input file that holds an array in memory")
    parameters: dict[str, int | str] = Field(default_factory=dict, description="a name for what has names")
    peers: bool = Field(False, description="also every peer of those kernels that can run here")
    shards: int = Field(1, ge=1, description="above 1: the symbols are dealt to so many states of each variant")


class Job(Setting):
    """What one replicate is asked to measure."""

    replicate: int = 0
    seconds: float = Field(gt=0, description="how long the blocks of each kernel may take in this replicate")
    shares: dict[str, Share] = Field(default_factory=dict, description="by kernel; empty in the first replicate")
    outcome_file: str


class Errand(Setting):
    """What a helper is asked to do with one variant: to compile one build of it, or to see how much memory it takes."""

    instrumented: bool = Field(False, description="compile the build with a probe")


class Chosen(record.Frozen):
    """A variant that was measured."""

    kernel: str
    variant: str
    parent: str | None
    peer: bool

    @property
    def name(self) -> str:
        """Return ``kernel/variant``."""
        return f"{self.kernel}/{self.variant}"


class Outcome(record.Frozen):
    """What one replicate reports."""

    replicate: record.Replicate
    workload: record.Workload
    parameters: dict[str, dict[str, int]]
    chosen: list[Chosen]
    operations_per_sample: dict[str, int] = Field(description="by kernel: how many operations one latency covers")
    shares: dict[str, Share]
    notes: list[str] = Field(default_factory=list)


class Memory(record.Frozen):
    """What a fresh process that runs one variant takes, in bytes."""

    peak_rss: int = Field(description="the most that the whole process held while it replayed the workload")
    loading_rss: int = Field(description="the most that it ever held: it loads a kernel through the compiler's code")
    baseline_rss: int = Field(description="before the state was built: Python, Numba and workload")
    state_rss: int = Field(description="what building the state, loading its code and a replay added to that")
    state_arrays: int | None = Field(description="the bytes of the state's arrays after the replay; None for a peer's")
