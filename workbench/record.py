"""The typed, versioned records: the only thing that crosses a process, a machine or a night.

Every record is one JSON object with a ``schema`` of the form ``workbench/<kind>/<version>``. Reading is strict (unknown
fields are refused), so that a file of another version is told and never half understood. The JSON Schemas that are
generated from these models lie in ``docs/schemas/``; a test holds them in step.
"""

from __future__ import annotations

import datetime
import json
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError


def _within_utc(moment: datetime.datetime) -> datetime.datetime:
    try:
        moment.astimezone(datetime.UTC)
    except OverflowError:
        raise ValueError("it lies outside the years 1 to 9999 in UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_within_utc)]
"""A moment with its offset, which every database and every sort can take."""

Count = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that a column of a database holds."""


class Frozen(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Verdict(StrEnum):
    """What a comparison says, and nothing between."""

    FASTER = "FASTER"
    SLOWER = "SLOWER"
    UNCHANGED = "UNCHANGED"
    UNRESOLVED = "UNRESOLVED"
    ENVIRONMENT_INVALID = "ENVIRONMENT INVALID"


class Clock(Frozen):
    """What one reading of the clock is worth."""

    source: Literal["tsc", "clock_gettime"]
    ns_per_tick: float = Field(gt=0)
    cost_ns: float = Field(ge=0, description="what one stamp costs")
    step_ns: float = Field(ge=0, description="the smallest advance that was seen")
    invariant: bool = Field(description="constant_tsc and nonstop_tsc both hold")

    @property
    def floor_ns(self) -> float:
        """Return the smallest latency that has an honest percentile: the clock's cost plus two steps."""
        return self.cost_ns + 2 * self.step_ns


class Machine(Frozen):
    """Where a record was made.

    `hardware_key` partitions history; versions are metadata, so that an upgrade shows as a step.
    """

    hardware_key: str = Field(description="stable hash of CPU model, core count, caches and hypervisor")
    host: str
    cpu_model: str
    microcode: str | None = None
    cores: int
    caches: dict[str, int] = Field(default_factory=dict, description="size in bytes by name, as L1d, L2, L3")
    hypervisor: str | None = None
    linux: str
    governor: str | None = None
    turbo: bool | None = None
    smt: bool | None = None
    memory_bytes: int
    cgroup_cpus: float | None = Field(None, description="the CPU limit of the control group, in cores")
    cgroup_memory_bytes: int | None = None
    load_1min: float
    temperature_c: float | None = None
    versions: dict[str, str] = Field(description="python, numpy, numba, llvmlite, llvm, workbench")
    target_cpu: str = Field(description="what LLVM compiles for")
    target_features_hash: str
    numba_settings: dict[str, str] = Field(default_factory=dict)
    git_revision: str | None = None
    git_dirty: bool | None = None


class Noise(Frozen):
    """What disturbed a timed run, read before and after it."""

    steal_ticks: int = 0
    involuntary_switches: int = 0
    migrations: int = 0
    major_faults: int = 0


class Side(Frozen):
    """One timed run of one variant: a place in a block."""

    variant: str = Field(description="kernel/variant")
    place: int = Field(description="where in the block's order it ran, from 0")
    operations: int = Field(gt=0)
    elapsed_ns: int = Field(ge=0, description="whole run without a probe")
    probed_elapsed_ns: int | None = Field(None, ge=0, description="the same run with the probe compiled in")
    histogram: str | None = Field(None, description="latencies of an instrumented run, HdrHistogram V2, base64")
    stages: dict[str, str] = Field(default_factory=dict, description="latencies of each stage, as `histogram`")
    rate_per_s: float | None = Field(
        default=None, description="of an open loop, as intended; `histogram` is of response times"
    )
    service: str | None = Field(default=None, description="of an open loop: times from the real start, as `histogram`")
    counters: dict[str, int] = Field(default_factory=dict)
    noise: Noise = Noise()


class Block(Frozen):
    """One order-balanced group of timed runs inside a replicate."""

    replicate: int
    index: int
    sides: list[Side]


class Replicate(Frozen):
    """One fresh process that compiled, warmed up, then measured."""

    index: int
    core: int | None = Field(description="the core it was pinned to; None where pinning is not possible")
    clock: Clock
    started: Moment
    compile_s: dict[str, float] = Field(default_factory=dict, description="by kernel/variant; 0 when from the cache")
    code_hash: dict[str, str] = Field(default_factory=dict, description="machine code by kernel/variant")
    peak_rss_bytes: int
    allocations: dict[str, int] = Field(default_factory=dict, description="NRT allocations of a timed run, by variant")
    blocks: list[Block]


class Result(Frozen):
    """One figure with its interval."""

    kernel: str
    variant: str
    metric: str = Field(description="service_time, throughput, peak_rss, state_rss, ...")
    statistic: str = Field(description="p50, p99, p999, mean, batch_mean, max, ...")
    unit: str
    value: float
    low: float | None
    high: float | None
    samples: Count
    bound: Literal["value", "upper"] = Field("value", description="upper: below the clock's floor, so only a bound")
    operations_per_sample: int = Field(
        default=1,
        ge=1,
        lt=2**63,
        description="above 1, a percentile is of the time that so many operations took together",
    )
    rate_per_s: float | None = Field(default=None, description="of an open loop, as intended")


class Comparison(Frozen):
    """B against A on one metric: `ratio` is B over A of the cost, so below 1 means that B is faster."""

    a: str
    b: str
    metric: str
    statistic: str
    ratio: float
    low: float
    high: float
    margin: float = Field(description="the relative change that counts, as 0.03")
    verdict: Verdict
    blocks: int
    replicates: int
    blocks_needed: int | None = Field(None, description="how many blocks would settle it, when UNRESOLVED")
    reason: str = ""


class Workload(Frozen):
    """What was fed in: enough to make it again."""

    name: str
    content: str = Field(description="lobster, itch, databento, recording or synthetic")
    events: int
    symbols: int
    sha256: str = Field(description="of the EVENT array's bytes")
    seed: int | None = None
    source: str | None = Field(None, description="file name, without its folder")


class Record(Frozen):
    """What is stored: a kind, a version, a machine, a time."""

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    schema_name: str = Field(default="", alias="schema")
    record_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    created: Moment = Field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    machine: Machine

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="null")

    def model_post_init(self, context: Any) -> None:
        """Fill the schema in, or refuse one of another kind or version."""
        expected = f"workbench/{self.kind}/{self.version}"
        older = [f"workbench/{self.kind}/{version}" for version in range(1, self.version)]
        if not self.schema_name or self.schema_name in older:  # what came later has a default for older records
            object.__setattr__(self, "schema_name", expected)
        elif self.schema_name != expected:
            raise ValueError(f"schema {self.schema_name!r} is not {expected!r}")

    def to_json(self) -> str:
        """Return the record as one line of JSON."""
        return self.model_dump_json(by_alias=True)


class Run(Record):
    """Some variants measured, interleaved, on one workload."""

    kind: ClassVar[str] = "run"
    version: ClassVar[int] = 2  # 2: the latencies of stages, open loops, notes
    workload: Workload
    parameters: dict[str, dict[str, int]] = Field(default_factory=dict, description="by kernel")
    results: list[Result]
    comparisons: list[Comparison] = Field(default_factory=list)
    replicates: list[Replicate] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list, description="what was left out, and why; what to know")
    duration_s: float = Field(0.0, ge=0)


class ProfileRecord(Record):
    """Where one variant spends: counters by source line. Its artefacts are files, named here."""

    kind: ClassVar[str] = "profile"
    variant: str
    profile_kind: Literal["cpu", "memory", "cache", "system", "contention"]
    results: list[dict[str, Any]] = Field(default_factory=list, description="one row a source line")
    overhead: dict[str, float] = Field(default_factory=dict)
    artefacts: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


class GateCell(Frozen):
    """What a gate says of one metric of one variant; `ratio` is of the cost, candidate over base."""

    a: str = Field(description="kernel/variant@base")
    b: str = Field(description="kernel/variant@candidate, or of the base again")
    metric: str
    statistic: str
    ratio: float
    low: float
    high: float
    margin: float
    verdict: Verdict
    p_value: float | None = Field(default=None, description="of no change beyond the margin; None: not a test")
    flagged: bool = Field(default=False, description="a finding at the gate's false discovery rate")
    confirmed: bool | None = Field(default=None, description="in fresh processes; None where that was not looked at")
    same_code: bool | None = Field(default=None, description="whether the machine code of both sides is the same")
    blocks: int
    replicates: int
    blocks_needed: int | None = None
    reason: str = ""


class GateBudget(Frozen):
    """A budget of the candidate: `met` is about what must hold, `sure` when the whole interval is on that side."""

    title: str
    words: str
    met: bool
    sure: bool


class Gate(Record):
    """What a gate concluded, with all that it rests on; the measurements are runs of their own."""

    kind: ClassVar[str] = "gate"
    mode: Literal["revisions", "baseline"]
    base: str = Field(description="a revision, or the name of a baseline")
    candidate: str
    base_commit: str | None = None
    candidate_commit: str | None = None
    verdict: Verdict
    reason: str = ""
    cells: list[GateCell]
    controls: list[GateCell] = Field(default_factory=list, description="identical code on both sides")
    same_code: list[str] = Field(default_factory=list, description="kernel/variant, not timed: their code is the same")
    other_load_cores: float | None = Field(
        default=None, description="the most that other programs kept busy during one of the measurements"
    )
    unjudged: list[str] = Field(default_factory=list, description="kernel/variant: changed, and nothing can be said")
    budgets: list[GateBudget] = Field(default_factory=list)
    budgets_block: bool = Field(default=False, description="whether a budget that is surely missed fails the gate")
    thresholds: dict[str, float] = Field(default_factory=dict)
    run_ids: list[str] = Field(default_factory=list, description="the runs that were judged, in their order")
    notes: list[str] = Field(default_factory=list)
    duration_s: float = Field(default=0.0, ge=0)


RECORDS: dict[str, type[Record]] = {record.kind: record for record in (Run, ProfileRecord, Gate)}


class RecordError(ValueError):
    """A record could not be read: one sentence that says which file, where in it, and what is wrong."""


def _is_unicode(text: str | bytes, raw: Any) -> bool:
    """Return whether `raw`, parsed from `text`, holds no half of a pair of surrogates, which no file or database takes.

    JSON's own reader lets them pass, as an escape and as bytes.
    """
    try:
        data = text.encode() if isinstance(text, str) else bytes(text)
        data.decode()
        if b"\\ud" in data or b"\\uD" in data:  # whole pairs too: looked at closely
            json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeError:
        return False
    return True


def from_json(text: str | bytes, where: str = "record") -> Record:
    """Parse a record of any kind. Raises RecordError with one sentence that names `where` and the field."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise RecordError(f"{where} is not JSON ({error}): make it again or restore it from a copy") from None
    except RecursionError:
        raise RecordError(
            f"{where} is nested deeper than any record: make it again or restore it from a copy"
        ) from None
    if not _is_unicode(text, raw):
        raise RecordError(f"{where} holds text that is no Unicode: make it again or restore it from a copy")
    schema = raw.get("schema") if isinstance(raw, dict) else None
    parts = schema.split("/") if isinstance(schema, str) else []
    if len(parts) != 3 or parts[0] != "workbench" or parts[1] not in RECORDS:
        kinds = ", ".join(RECORDS)
        raise RecordError(f"{where} has schema {schema!r}: expected workbench/KIND/VERSION with KIND of {kinds}")
    newest = RECORDS[parts[1]].version
    if parts[2] not in map(str, range(1, newest + 1)):
        raise RecordError(f"{where} has version {parts[2]} of {parts[1]}, this program reads {newest}: update it")
    try:
        return RECORDS[parts[1]].model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"{where}: field {field or '(all)'} is wrong: {first['msg']}") from None


def read(path: Path) -> Record:
    """Read the record in the file `path`. Raises RecordError; OSError where the file cannot be opened."""
    return from_json(path.read_bytes(), str(path))
