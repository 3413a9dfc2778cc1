"""What the notebook of all variants calls: what each costs besides time, and where each wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import plotly.graph_objects as go

from workbench import figures
from workbench.errors import InputError
from workbench.figures.text import number, percent_change, plain
from workbench.gate.outcome import Outcome
from workbench.record import Comparison, Result, Run, Verdict
from workbench.report.cell_progress import cell_progress
from workbench.report.findings import find
from workbench.report.leading import Leading, joined, leading
from workbench.report.notebook import Words, conclude, job_folder
from workbench.report.tables import Listing


@dataclass(frozen=True)
class Compared:
    """All variants at the settings that were asked for (`run`), and at each other point of the grid."""

    kernel: str
    run: Run
    points: tuple[tuple[str, Run], ...] = ()  # name of the point, and what was measured there
    left_out: tuple[str, ...] = ()


def measure(
    kernel: str,
    variants: Sequence[str] = (),
    *,
    workload: str = "",
    settings: Sequence[str] = (),
    seconds: float = 6.0,
    replicates: int = 6,
    code: bool = True,
) -> Compared:
    """Measure the variants with their memory, and with `code` compile each from nothing for its size and time."""
    from workbench.measure.job import read_setting

    given = dict(map(read_setting, settings))
    run = _run(kernel, variants, _source(workload), given, seconds, replicates, memory=True)
    rows: list[Result] = []
    if code:
        from workbench.measure.sizes import measure_sizes

        names = [f"{kernel}/{name}" for name in names_of(run, kernel) if _is_compiled(kernel, name)]
        rows = measure_sizes(names, given, cell_progress(job_folder())).rows()
    rows += counter_rows(run, kernel)
    kept = [row for row in run.results if not (code and row.metric == "compile_time")]
    return Compared(kernel, run.model_copy(update={"results": [*kept, *rows]}))


def over_grid(
    found: Compared,
    *,
    sizes: Sequence[int] = (),
    threads: Sequence[int] = (),
    workload: str = "",
    settings: Sequence[str] = (),
    seconds: float = 2.0,
    replicates: int = 6,
) -> Compared:
    """Return `found` with the variants measured at every size (events of the workload) and number of threads besides.

    A point that the kernel or all its variants refuse is left out, and the reason kept.
    """
    import kernels
    from workbench.measure.job import read_setting

    given = dict(map(read_setting, settings))
    known = {each.name for each in kernels.get(found.kernel).parameters}
    names = names_of(found.run, found.kernel)
    points, left_out = [], []
    for name, events, own in _points(sizes, threads):
        if "threads" in own and "threads" not in known:
            left_out.append(f"{name} was left out: {found.kernel} is a kernel for one thread.")
            continue
        try:
            source = _prefix(workload, events) if events else _source(workload)
            points.append((name, _run(found.kernel, names, source, {**given, **own}, seconds, replicates)))
        except InputError as error:
            left_out.append(f"{name} was left out: {str(error).rstrip('.')}.")
    return replace(found, points=tuple(points), left_out=tuple(left_out))


def _points(sizes: Sequence[int], threads: Sequence[int]) -> list[tuple[str, int, dict[str, int]]]:
    found: list[tuple[str, int, dict[str, int]]] = [(f"{size:,} events", size, {}) for size in sizes]
    return found + [(f"{count} threads", 0, {"threads": count}) for count in threads]


def _run(
    kernel: str, variants: Sequence[str], source: Any, given: dict[str, int | str], seconds: float, replicates: int,
    memory: bool = False,
) -> Run:  # fmt: skip
    from workbench.measure.api import measure as measure_run

    return measure_run(
        kernel, _able(kernel, variants, given), source, replicates=replicates, seconds=seconds, parameters=given,
        memory=memory, progress=cell_progress(job_folder()),
    )  # fmt: skip


def _able(kernel: str, variants: Sequence[str], given: dict[str, int | str]) -> list[str] | None:
    """Return those of `variants` that do these parameters; all that can where none is named. Raises InputError."""
    import kernels

    if not variants:
        return None
    found = kernels.get(kernel)
    try:
        checked = found.check_parameters(given)
    except ValueError as error:
        raise InputError(str(error)) from None
    able = [name for name in variants if found.variant(name).refuses(checked) is None]
    if not able:
        raise InputError(f"none of {', '.join(variants)} can do that")
    return able


def _source(workload: str) -> Any:
    from workbench.report.notebook import _source as source

    return source(workload)


def _prefix(workload: str, events: int) -> Any:
    from workbench import workloads

    loaded = workloads.parse(workload) if workload else workloads.default()
    if events > len(loaded.events):
        raise InputError(f"the workload has {len(loaded.events):,} events only")
    return loaded.events[:events]


def _is_compiled(kernel: str, variant: str) -> bool:
    from numba.core.dispatcher import Dispatcher

    import kernels

    found = kernels.get(kernel).variant(variant)
    return not found.peer and isinstance(found.replay_from, Dispatcher)


def names_of(run: Run, kernel: str) -> list[str]:
    """Return the variants of `kernel` that were measured, in their order."""
    return list(
        dict.fromkeys(row.variant for row in run.results if row.kernel == kernel and row.metric == "throughput")
    )


def counter_rows(run: Run, kernel: str) -> list[Result]:
    """Return what the probes counted, for an operation, as results."""
    sums: dict[tuple[str, str], int] = {}
    operations: dict[str, int] = {}
    for side in (side for each in run.replicates for block in each.blocks for side in block.sides):
        name = side.variant.partition("/")[2]
        if side.variant.startswith(f"{kernel}/") and side.counters:
            operations[name] = operations.get(name, 0) + side.operations
            for counter, value in side.counters.items():
                sums[name, counter] = sums.get((name, counter), 0) + value
    return [
        Result(
            kernel=kernel, variant=name, metric=f"counter.{counter}", statistic="mean", unit="per operation",
            value=value / operations[name], low=None, high=None, samples=operations[name], bound="value",
        )
        for (name, counter), value in sums.items()
    ]  # fmt: skip


_COLUMNS = (
    ("time of an operation", "service_time", "batch_mean"), ("p99", "service_time", "p99"),
    ("state in RAM", "state_rss", "max"), ("process at most", "peak_rss", "max"), ("machine code", "code_size", "sum"),
    ("compiling", "compile_time", "cold"),
)  # fmt: skip


def costs(found: Compared) -> Listing:
    """Return what each variant costs: time, tail, memory, machine code, compile time."""
    rows = []
    for name in names_of(found.run, found.kernel):
        rows.append((name, *(_told(find(found.run, found.kernel, name, metric, s)) for _, metric, s in _COLUMNS)))
    heads = ("variant", *(title for title, _, _ in _COLUMNS))
    return Listing(heads, tuple(rows), f"What each variant of {found.kernel} costs", tuple(range(1, len(heads))))


def counters(found: Compared) -> Listing:
    """Return what each variant's probe counted, for an operation."""
    kept = [row for row in found.run.results if row.kernel == found.kernel and row.metric.startswith("counter.")]
    names = list(dict.fromkeys(row.metric for row in kept))
    values = {(row.variant, row.metric): row.value for row in kept}
    rows = tuple(
        (variant, *("" if (variant, name) not in values else f"{values[variant, name]:.4g}" for name in names))
        for variant in dict.fromkeys(row.variant for row in kept)
    )
    heads = ("variant", *(name.removeprefix("counter.").replace("_", " ") for name in names))
    return Listing(heads, rows, "Counted for an operation, with the probe compiled in", tuple(range(1, len(heads))))


def _told(row: Result | None) -> str:
    if row is None:
        return ""
    if row.bound == "upper":
        return f"< {number(row.value, row.unit)}"
    return number(row.value, row.unit)


def winners(found: Compared) -> Listing:
    """Return at every point the fastest variant, its cost, and how it stands to the first."""
    rows = []
    for point, run in (("as above", found.run), *found.points):
        lead = leading(run, found.kernel)
        row = _against_first(run, found.kernel, lead.best)
        told = f"{percent_change(row.ratio)} ({percent_change(row.low)} to {percent_change(row.high)})" if row else ""
        names = " or ".join(lead.names)
        rows.append((point, names, number(lead.means_ns[0], "ns"), told, row.verdict.value if row else ""))
    heads = ("where", "fastest", "time of an operation", "against the first", "verdict")
    return Listing(heads, tuple(rows), "Where each wins", (2,))


def _against_first(run: Run, kernel: str, variant: str) -> Comparison | None:
    first = names_of(run, kernel)[0]
    wanted = (f"{kernel}/{first}", f"{kernel}/{variant}", "throughput")
    return next((row for row in run.comparisons if (row.a, row.b, row.metric) == wanted), None)


def grid_figure(found: Compared) -> go.Figure:
    """Return the cost of each variant against the first, at every point of the grid: mean times."""
    rows = [
        row.model_copy(update={"a": row.a, "b": f"{row.b}, {point}"})
        for point, run in found.points
        for row in run.comparisons
        if row.metric == "throughput" and row.a == f"{found.kernel}/{names_of(run, found.kernel)[0]}"
    ]
    return figures.comparison_ratios(rows, f"Cost against {names_of(found.run, found.kernel)[0]} elsewhere")


def whole_run(found: Compared) -> Run:
    """Return one record: a point's rows stand under the name of the variant, an @ and the name of the point."""
    rows, judged = list(found.run.results), list(found.run.comparisons)
    for point, run in found.points:
        rows += [
            row.model_copy(update={"variant": f"{row.variant}@{point}"})
            for row in run.results
            if row.metric == "throughput" or row.statistic == "batch_mean"
        ]
        judged += [
            row.model_copy(update={"a": f"{row.a}@{point}", "b": f"{row.b}@{point}"})
            for row in run.comparisons
            if row.metric == "throughput"
        ]
    notes = [*found.run.notes, *found.left_out]
    return found.run.model_copy(update={"results": rows, "comparisons": judged, "notes": notes})


def conclude_variants(found: Compared) -> Words:
    """Write the results, and return in words which variant to take where, and what it costs besides."""
    return conclude(whole_run(found), variants_outcome(found))


def variants_outcome(found: Compared) -> Outcome:
    """Return who is the fastest, what that costs in memory, code and compile time, and where another one wins."""
    kernel = found.kernel
    lead = leading(found.run, kernel)
    best = lead.best
    row = _against_first(found.run, kernel, best)
    against = ""
    if row is not None:
        times = (
            f"{1 / row.ratio:.3g} times as fast as" if row.verdict is Verdict.FASTER else f"{row.verdict.value} against"
        )
        against = f", {plain(best) + ' ' if lead.names[1:] else ''}{times} {plain(row.a.rpartition('/')[2])}"
    findings = [sentence for sentence in (_besides(found, best), *_extremes(found)) if sentence]
    findings += _elsewhere(found, lead)
    findings += list(found.left_out)
    who = (
        f"{joined(list(map(plain, lead.names)))} cannot be told apart as the fastest variants of"
        if lead.names[1:]
        else f"{plain(best)} is the fastest variant of"
    )
    return Outcome(headline=f"{who} {plain(kernel)}: {lead.told()}{against}.", findings=findings)


def _besides(found: Compared, best: str) -> str:
    """Return what the one with the shortest mean costs besides time, against the first."""
    first = names_of(found.run, found.kernel)[0]
    told = []
    for title, metric, statistic in _COLUMNS[2:]:
        own, other = (find(found.run, found.kernel, name, metric, statistic) for name in (best, first))
        if own and other and other.value and best != first:
            told.append(
                f"{title} {number(own.value, own.unit)} ({own.value / other.value:.2f} times that of {plain(first)})"
            )
    return f"What {plain(best)} costs besides time: {'; '.join(told)}." if told else ""


def _extremes(found: Compared) -> list[str]:
    told = []
    for title, metric, statistic in _COLUMNS[1:]:
        rows = [
            row for row in found.run.results
            if (row.kernel, row.metric, row.statistic, row.bound) == (found.kernel, metric, statistic, "value")
        ]  # fmt: skip
        if len(rows) > 1:
            least, most = min(rows, key=lambda row: row.value), max(rows, key=lambda row: row.value)
            told.append(
                f"{title[0].upper()}{title[1:]}: least with {plain(least.variant)} ({_told(least)}), most with "
                f"{plain(most.variant)} ({_told(most)})."
            )
    return told


def _elsewhere(found: Compared, lead: Leading) -> list[str]:
    """Return who is the fastest at the other points, where that is not as at the first."""
    others = [(point, leading(run, found.kernel)) for point, run in found.points]
    differing = [(point, other) for point, other in others if set(other.names) != set(lead.names)]
    names = joined(list(map(plain, lead.names)))
    if others and not differing:
        told = "cannot be told apart" if lead.names[1:] else "is the fastest"
        where = f"all {len(others)} other points" if others[1:] else "the other point"
        return [f"{names} {told} at {where} too."]
    return [
        f"At {plain(point)} {joined(list(map(plain, other.names)))} "
        f"{'cannot be told apart' if other.names[1:] else 'is faster'}: {other.told()}."
        for point, other in differing
    ]
