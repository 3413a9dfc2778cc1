"""What the machine's notebook calls: its limits measured, the kernels under them, and what that says in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from workbench import figures
from workbench.errors import InputError, WorkbenchError
from workbench.figures.roofline import KERNEL, POINTS, limit
from workbench.figures.text import number, plain
from workbench.gate.outcome import Outcome
from workbench.measure.limits import MEMORY, Limits, measure_limits, run_of
from workbench.record import Result, Run
from workbench.report.cell_progress import cell_progress
from workbench.report.notebook import Words, conclude, job_folder
from workbench.report.tables import Listing

PLACED = (
    "order_book/combined", "signals/simd", "risk_check/combined", "order_codec/aligned", "message_queue/lock_free",
    "order_pool/stack", "positions/aligned", "tick_to_order/combined",
)  # fmt: skip
_EVENTS = 20_000  # simulated of each kernel: valgrind runs code some fifty times slower
_LINE_BYTES = 64  # as the simulated caches have them
_LEAST_BYTES = 0.001 * _LINE_BYTES  # of an operation: one line in a thousand, where nothing is fetched
_SIMULATED = ("instructions", "d1_misses", "ll_misses")


@dataclass(frozen=True)
class Placed:
    """Kernels that were measured and simulated: the record, and why there is no point for the others."""

    run: Run | None
    rows: tuple[Result, ...] = ()
    absent: tuple[str, ...] = ()


def measure(seconds: float = 10.0, most_mb: int = 256) -> Limits:
    """Measure the limits of this machine in about `seconds`, with working sets up to `most_mb` megabytes."""
    return measure_limits(seconds=seconds, most_bytes=most_mb * 2**20, progress=cell_progress(job_folder()))


def place(variants: Sequence[str], *, seconds: float = 1.0, replicates: int = 2, wanted: bool = True) -> Placed:
    """Measure each of `variants` (kernel/variant; none: one of each kernel) for `seconds`, and simulate it.

    Without valgrind, or where not `wanted`, nothing is placed and the reason is told.
    """
    from workbench.profile import callgrind

    reason = callgrind.missing() if wanted else "no kernel was to be placed"
    if reason:
        return Placed(None, absent=(f"No kernel is placed under the roofs: {reason}.",))
    names = list(variants) or list(PLACED)
    for name in names:
        if "/" not in name:
            raise InputError(f"{name} is not KERNEL/VARIANT: write it as order_book/combined")
    run = _measured(names, seconds, replicates)
    rows: list[Result] = []
    absent: list[str] = []
    progress = cell_progress(job_folder())
    for number_, name in enumerate(names):
        progress.advance(number_ / len(names), f"simulating {name}")
        try:
            rows += point(run, name, simulated(name))
        except WorkbenchError as error:
            absent.append(f"{name} is not placed: {str(error).rstrip('.')}.")
    progress.close()
    return Placed(run, tuple(rows), tuple(absent))


def _measured(names: Sequence[str], seconds: float, replicates: int) -> Run:
    from workbench.measure.driver import Measurement, Request
    from workbench.measure.runs import build_run

    request = Request(list(names), replicates=replicates, seconds=seconds)
    return build_run(Measurement(request, cell_progress(job_folder())).run(), [])


def simulated(name: str, events: int = _EVENTS) -> dict[str, float]:
    """Return what callgrind counts of one operation of `name` (kernel/variant), by metric."""
    import kernels
    from workbench import workloads
    from workbench.profile.cache import profile_cache

    kernel = kernels.get(name.partition("/")[0])
    given = workloads.default().events[:events]
    profile = profile_cache(kernel.name, name.partition("/")[2], workload=given)
    checked = kernel.check_parameters(kernel.parameters_for(given))
    operations = kernel.count_operations(kernel.prepare(given, checked))
    return {
        metric: sum(counters.get(metric, 0.0) for counters in profile.counters.values()) / operations
        for metric in _SIMULATED
    }


def point(run: Run, name: str, counts: dict[str, float]) -> list[Result]:
    """Return the rows that place `name`: instructions for a byte from behind the first cache, and a second.

    A kernel that fetches nothing is given one line in a thousand operations: a logarithm has no infinity.
    """
    kernel, _, variant = name.partition("/")
    wanted = (kernel, variant, "batch_mean")
    mean = next((row for row in run.results if (row.kernel, row.variant, row.statistic) == wanted), None)
    if mean is None:
        raise WorkbenchError(f"{name} was not measured")
    fetched = max(counts["d1_misses"] * _LINE_BYTES, _LEAST_BYTES)

    def row(metric: str, unit: str, value: float) -> Result:
        return Result(
            kernel=kernel, variant=variant, metric=metric, statistic=POINTS, unit=unit, value=value, low=None,
            high=None, samples=mean.samples, bound="value",
        )  # fmt: skip

    return [
        row("intensity", "instructions/byte", counts["instructions"] / fetched),
        row("instruction_rate", "instructions/s", counts["instructions"] / mean.value * 1e9),
        row("fetched", "bytes/operation", counts["d1_misses"] * _LINE_BYTES),
        row("ll_misses", "misses/operation", counts["ll_misses"]),
    ]


def join(limits: Limits, placed: Placed) -> Run:
    """Return one record of the limits and of the kernels under them."""
    run = run_of(limits, placed.run, placed.rows)
    return run.model_copy(update={"notes": [*run.notes, *placed.absent]})


def latency_figure(run: Run) -> go.Figure:
    """Return what a load waits, by working set."""
    sizes = [(name, size) for name, size in run.machine.caches.items() if name in ("L1d", "L2", "L3")]
    return figures.working_set_latency(run, sizes)


def levels_table(limits: Limits) -> Listing:
    """Return latency and bandwidths of each level of memory."""
    metrics = ("load_latency", "read_bandwidth", "write_bandwidth", "copy_bandwidth")
    rows = [
        (level, f"{size // 1024:,} KB", *(_told(limits, level, metric) for metric in metrics))
        for level, size in limits.levels.items()
    ]
    small = f"{MEMORY}, 4 KB pages"
    if limits.value(small, "load_latency") is not None:
        rows.append((small, rows[-1][1], _told(limits, small, "load_latency"), "", "", ""))
    columns = ("level", "working set", "load that waits", "read", "write", "copy")
    return Listing(columns, tuple(rows), "Each level of memory, one core", (1, 2, 3, 4, 5))


def core_table(limits: Limits) -> Listing:
    """Return the core, its clock, its atomics and the way to another core."""
    rows = tuple(
        (row.variant, row.metric.replace("_", " "), _value(row), *_ends(row))
        for row in limits.results
        if row.metric in ("cost", "step", "frequency", "instruction_rate", "round_trip")
    )
    return Listing(
        ("what", "", "median", "from", "to"), rows, "The core, its clock, atomics, and another core", (2, 3, 4)
    )


def _told(limits: Limits, variant: str, metric: str) -> str:
    row = next((each for each in limits.results if (each.variant, each.metric) == (variant, metric)), None)
    return "" if row is None else _value(row)


def _value(row: Result) -> str:
    if row.unit == "bytes/s":
        return f"{number(row.value, 'bytes')}/s"
    return f"{number(row.value)}Hz" if row.unit == "Hz" else number(row.value, row.unit)


def _ends(row: Result) -> tuple[str, str]:
    low, high = ("" if end is None else _value(row.model_copy(update={"value": end})) for end in (row.low, row.high))
    return low, high


def conclude_machine(run: Run) -> Words:
    """Write the results, and return what the limits mean, in words."""
    return conclude(run, machine_outcome(run))


def machine_outcome(run: Run) -> Outcome:
    """Return what the limits say: the price of a miss, a stamp, an atomic, another core; and who is bound by what."""
    memory = limit(run, MEMORY, "load_latency")
    frequency = limit(run, "core", "frequency")
    if memory is None or frequency is None:
        return Outcome(headline="The limits of this machine were not measured.")
    cycles = memory.value * frequency.value / 1e9
    headline = (
        f"A load from memory takes {number(memory.value, 'ns')} here, {cycles:.0f} cycles of a core that runs at "
        f"{_value(frequency)}."
    )
    findings = [*_levels_said(run), *_prices(run), *_bound(run), *run.notes]
    return Outcome(headline=headline, findings=findings)


def _levels_said(run: Run) -> list[str]:
    told = []
    found = [row for row in run.results if (row.kernel, row.metric) == (KERNEL, "load_latency")]
    if found:
        told.append(
            "A load that waits takes " + ", ".join(f"{number(r.value, 'ns')} in {r.variant}" for r in found) + "."
        )
    reads = [row for row in run.results if (row.kernel, row.metric) == (KERNEL, "read_bandwidth")]
    if reads:
        told.append("One core reads " + ", ".join(f"{_value(r)} from {r.variant}" for r in reads) + ".")
    huge, small = limit(run, MEMORY, "load_latency"), limit(run, f"{MEMORY}, 4 KB pages", "load_latency")
    if huge and small:
        told.append(f"On pages of 4 KB the load from memory takes {small.value / huge.value:.2f} times as long.")
    return told


def _prices(run: Run) -> list[str]:
    told = []
    clock, step = limit(run, "clock", "cost"), limit(run, "clock", "step")
    if clock and step:
        told.append(
            f"A stamp costs {number(clock.value, 'ns')} and the clock advances by {number(step.value, 'ns')}: no "
            f"single operation below {number(clock.value + 2 * step.value, 'ns')} has a percentile."
        )
    plain_add, atomic = limit(run, "plain add", "cost"), limit(run, "atomic add", "cost")
    if plain_add and atomic:
        told.append(
            f"An atomic addition takes {number(atomic.value, 'ns')} where nobody else wants its line, a plain one "
            f"{number(plain_add.value, 'ns')}."
        )
    trip, shared = limit(run, "two cores", "round_trip"), limit(run, "atomic add, two cores", "cost")
    if trip and shared and atomic:
        told.append(
            f"A line goes to another core and back in {number(trip.value, 'ns')}; where two cores add to one counter, "
            f"each waits {number(shared.value, 'ns')} for an addition, {shared.value / atomic.value:.3g} times as long."
        )
    return told


def _bound(run: Run) -> list[str]:
    """Return of each placed kernel how far it is from each roof, and what that means.

    What misses the last level comes from memory. The rest comes from the caches behind the first, the simulation does
    not say from which: it is held against the last of them, which brings least, so the share is at most that.
    """
    peak, memory = limit(run, "core", "instruction_rate"), limit(run, MEMORY, "read_bandwidth")
    found: dict[str, dict[str, float]] = {}
    for row in run.results:
        if row.statistic == POINTS:
            found.setdefault(f"{row.kernel}/{row.variant}", {})[row.metric] = row.value
    cache = limit(run, "L3", "read_bandwidth") or limit(run, "L2", "read_bandwidth")
    if peak is None or memory is None or not found:
        return []
    told = [
        f"Instructions and misses of a kernel are simulated: of the first {_EVENTS:,} events, and of a build that "
        "valgrind can run. Times are measured, of the build for this CPU and the whole workload."
    ]
    for name, own in found.items():
        core = own["instruction_rate"] / peak.value
        brought = _per_second(own, min(own["ll_misses"] * _LINE_BYTES, own["fetched"])) / memory.value
        near = own["fetched"] - own["ll_misses"] * _LINE_BYTES
        held = _per_second(own, max(near, 0.0)) / cache.value if cache else 0.0
        bound = "it is bound by the core" if core > 0.5 else "it waits, for loads one after the other or for branches"
        if max(brought, held) > 0.5:
            where = "memory" if brought >= held else "the caches behind the first"
            bound = f"it is bound by what {where} can bring"
        fetches = f"about {100 * brought:.1f} % of what memory could bring"
        if cache:
            fetches += f" and at most {100 * held:.1f} % of what {cache.variant} could"
        told.append(
            f"{plain(name)} does about {number(own['instruction_rate'], 'instructions/s')}, {100 * core:.0f} % of what "
            f"the core can do, and fetches {fetches}: {bound}."
        )
    return told


def _per_second(own: dict[str, float], size: float) -> float:
    """Return how many bytes a second a kernel brings that brings `size` bytes an operation."""
    operations_per_s = own["instruction_rate"] / own["intensity"] / max(own["fetched"], _LEAST_BYTES)
    return operations_per_s * size
