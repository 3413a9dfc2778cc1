"""``profile(..., kind="contention")``: what threads cost each other, and why: a lock, a shared line, a lost exchange.

Each variant is run with one thread and with more, and watched three ways: the interleaved measurement gives throughput,
percentiles and the probes' counters; a process that is watched as in a system profile gives context switches and the
futex calls of its locks; and each thread's share run alone tells who writes which cache line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernels.catalog import Kernel, Variant
from workbench import policy, record
from workbench.errors import InputError, WorkbenchError
from workbench.measure.timing_lock import held_timing_lock
from workbench.profile import c2c
from workbench.profile.contention_findings import Finding, judge, lines_name, point_name
from workbench.profile.measured import MeasuredProfile
from workbench.profile.system import variant_fields
from workbench.profile.system_calls import SLEEPING, Called, calls_of, run_figures, wait_shares, whole_runs
from workbench.profile.system_running import Found, watch
from workbench.profile.target import _events, _variant
from workbench.profile.waits import INTERVAL_S
from workbench.profile.written_lines import Written
from workbench.stats.median import median

RELATED = 3  # variants measured beside the one that was named: its parent and its children
_PAUSES = SLEEPING | {"sched_yield"}  # which gives the core away: how a spinning thread waits


@dataclass
class ContentionProfile(MeasuredProfile):
    """What was measured at each number of threads, and what follows from it."""

    runs: list[record.Run] = field(default_factory=list)  # one for each number of threads
    findings: list[Finding] = field(default_factory=list)

    def judge(self) -> None:
        """Work the findings out from what was measured, anew."""
        comparisons = {self.threads_of(run): run.comparisons for run in self.runs}
        self.findings = judge(self.measured, comparisons, self.details)

    @staticmethod
    def threads_of(run: record.Run) -> int:
        """Return with how many threads `run` was measured."""
        return next((int(parameters.get("threads", 1)) for parameters in run.parameters.values()), 1)


def profile_contention(
    subject: Any,
    *arguments: Any,
    variants: Sequence[str] = (),
    threads: Sequence[int] = (),
    seconds: float = 6.0,
    watch_seconds: float = 1.0,
    replicates: int = policy.REPLICATES,
    trace: bool = True,
    workload: Any = None,
    progress: Any = None,
    **parameters: int,
) -> ContentionProfile:
    """Return what the threads of a kernel cost each other, by variant and number of threads, with what it comes from.

    `subject` and `arguments` are a kernel and perhaps a variant, which is then measured beside its parent and children;
    `variants` names others. `threads` are the numbers of threads, 1 and each up to the cores by default. `seconds` are
    spent on each number's timed blocks, `watch_seconds` on watching each variant at each. Raises InputError for a
    kernel that threads cannot share; on one core the profile says that nothing can be measured.
    """
    kernel, chosen = _chosen(subject, arguments, variants)
    if kernel.divide is None or "threads" not in {parameter.name for parameter in kernel.parameters}:
        raise InputError(f"threads cannot share {kernel.name}: it has no divide and no parameter `threads`")
    profile = ContentionProfile(kernel.name, "contention", main="system_calls")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if cores < 2:
        profile.notes.append(
            "contention cannot be measured on one core: threads take turns and never meet; allow this process two cores"
        )
        return profile
    events = _events(workload)
    levels = _levels(kernel, events, threads or range(1, cores + 1), parameters, profile)
    if any(level > cores for level in levels):
        profile.notes.append(f"more threads than the {cores} cores take turns on them: such points mix both effects")
    _say_c2c(profile)
    for level in levels:
        able = _able(chosen, level, events, parameters, profile)
        for variant in able:
            _watch(profile, variant, level, events, parameters, watch_seconds, trace and level > 1)
        if able:
            _measure(profile, kernel, able, level, workload, parameters, seconds, replicates, progress)
    _say_cost(profile)
    profile.judge()
    return profile


def _chosen(subject: Any, arguments: tuple[Any, ...], variants: Sequence[str]) -> tuple[Kernel, list[Variant]]:
    """Return the kernel and the variants to look at: those named, or the one named and its relatives, or all."""
    import kernels

    if isinstance(subject, str) and "/" not in subject and not arguments:
        try:
            subject = kernels.get(subject)
        except KeyError as error:
            raise InputError(str(error.args[0])) from None
    if isinstance(subject, Kernel) and not arguments:
        kernel = subject
        try:
            chosen = [kernel.variant(name) for name in variants] or [v for v in kernel.variants.values() if not v.peer]
        except KeyError as error:
            raise InputError(str(error.args[0])) from None
        return kernel, chosen
    named = _variant(subject, arguments)
    kernel = named.kernel
    related = [kernel.variants[named.parent]] if named.parent is not None else []
    related += [each for each in kernel.variants.values() if each.parent == named.name and not each.peer]
    return kernel, [named, *related[:RELATED]]


def _levels(
    kernel: Kernel, events: Any, asked: Sequence[int], parameters: Mapping[str, int], profile: ContentionProfile
) -> list[int]:
    """Return the numbers of threads that the kernel takes, ascending."""
    found = []
    for level in sorted(set(asked)):
        try:
            checked = kernel.check_parameters({**kernel.parameters_for(events), **parameters, "threads": level})
            kernel.prepare(events[:64], checked)
            found.append(level)
        except ValueError as error:
            profile.notes.append(f"{level} threads were left out: {error}")
    return found


def _able(
    chosen: Sequence[Variant], level: int, events: Any, parameters: Mapping[str, int], profile: ContentionProfile
) -> list[Variant]:
    """Return the variants that can run with so many threads; say which cannot."""
    found = []
    for variant in chosen:
        all_of = {**variant.kernel.parameters_for(events), **parameters, "threads": level}
        reason = variant.missing() or variant.refuses(variant.kernel.check_parameters(all_of))
        if reason:
            profile.notes.append(f"{variant.full_name} was left out at {level} threads: {reason}")
        else:
            found.append(variant)
    return found


def _watch(
    profile: ContentionProfile,
    variant: Variant,
    level: int,
    events: Any,
    parameters: Mapping[str, int],
    seconds: float,
    trace: bool,
) -> None:
    """Run the variant in a watched process, and note its switches, its waiting calls and the lines it writes."""
    title = variant.full_name
    try:
        _, fields, files = variant_fields(variant, (), events, {**parameters, "threads": level})
        fields |= {"jitter_seconds": 0, "written": level > 1}
        with held_timing_lock(f"contention of {title}"):
            found = watch(title, fields, files, seconds=seconds, trace_seconds=seconds, trace=trace, count=False)
    except WorkbenchError as error:
        profile.notes.append(f"{title} with {level} threads was not watched: {error}")
        return
    figures = run_figures(found.told["plain"]["sizes"])
    names = ("ns_per_operation", "voluntary_switches_per_operation", "involuntary_switches_per_operation")
    here = profile.measured.setdefault(point_name(variant.name, level), {"threads": float(level)})
    here |= {f"watched_{name}": figures[name] for name in names}
    here |= wait_shares(found.told["waits"])
    profile.badges.update(found.told["badges"])
    if trace:
        _add_waits(profile, here, found, variant, level)
    _add_lines(profile, variant, level, found.told.get("written", []))


def _add_waits(profile: ContentionProfile, here: dict[str, float], found: Found, variant: Variant, level: int) -> None:
    """Add how often an operation waits inside Linux, and from which line."""
    if found.log is None:
        profile.notes.append(f"waiting calls were not counted: {found.not_traced}; context switches are shown")
        profile.notes = list(dict.fromkeys(profile.notes))
        return
    operations = {str(int(row["size"])): row["operations"] for row in found.told.get("traced", ())}
    called = calls_of(found.log, operations, found.code_map, threads=level)
    is_told = whole_runs(found.log, operations) > 0 and all(each.per_operation is not None for each in called)
    if not found.broken_off and is_told:
        often = [(each.name, each.per_operation or 0.0) for each in called]
        here["futex_calls_per_operation"] = sum(amount for name, amount in often if name == "futex")
        here["sleeping_calls_per_operation"] = sum(amount for name, amount in often if name in _PAUSES)
    elif not found.broken_off:
        profile.notes.append(f"{variant.full_name} with {level} threads: how often it waits could not be told")
    for each in called:
        if each.name == "futex":
            _add_lock_lines(profile, each, variant, level)
    profile.overhead["strace_call_us"] = found.log.call_cost_s * 1e6
    if found.broken_off:
        profile.notes.append(
            f"strace was taken off {variant.full_name} in the middle of a run: how often it waits was not counted"
        )


def _add_lock_lines(profile: ContentionProfile, called: Called, variant: Variant, level: int) -> None:
    for line, amount in called.by_line.items():
        profile.add(line, "system_calls", float(amount))
        profile.add(line, "futex", float(amount))
    if called.by_line:
        line = max(called.by_line, key=lambda each: called.by_line[each])
        place = f"{line.function}, line {line.line} of {line.file.rpartition('/')[2]}"
        profile.details[point_name(variant.name, level)] = place


def _add_lines(profile: ContentionProfile, variant: Variant, level: int, rows: Sequence[Any]) -> None:
    """Add how the threads share the lines that they write."""
    if rows == [None]:
        profile.notes.append(
            f"{variant.full_name} with {level} threads: a thread's share does not end without the others, so who "
            "writes which line was not seen; parameters that let each end alone (as a longer queue) show it"
        )
        return
    if level == 1:
        return
    total = {"known": float(bool(rows)), "lines": 0.0, "false_lines": 0.0, "true_lines": 0.0}
    for row in rows:
        written = Written(*row)
        total["lines"] += written.lines
        total["true_lines"] += written.true_lines
        if written.is_false:
            total["false_lines"] += written.false_lines
            profile.details.setdefault(lines_name(variant.name, level), written.where())
    profile.measured[lines_name(variant.name, level)] = total


def _measure(
    profile: ContentionProfile,
    kernel: Kernel,
    able: Sequence[Variant],
    level: int,
    workload: Any,
    parameters: Mapping[str, int],
    seconds: float,
    replicates: int,
    progress: Any,
) -> None:
    """Measure all variants at this number of threads, interleaved, each pair of which may tell something compared."""
    from workbench.measure.api import measure

    names = [variant.name for variant in able]
    pairs = [(a, b) for a in names for b in names if a != b] if len(names) <= RELATED + 1 else None
    run = measure(
        kernel,
        names,
        workload,
        replicates=replicates,
        seconds=seconds,
        parameters={**parameters, "threads": level},
        pairs=pairs,
        memory=False,
        progress=progress,
    )
    profile.runs.append(run)
    for name in names:
        here = profile.measured.setdefault(point_name(name, level), {"threads": float(level)})
        here |= _point(run, name)


def _point(run: record.Run, variant: str) -> dict[str, float]:
    """Return throughput with its interval, percentiles, and the counters of one operation."""
    found: dict[str, float] = {}
    for row in run.results:
        if row.variant == variant and (row.metric, row.statistic) == ("throughput", "mean"):
            found |= {"throughput_per_s": row.value}
            found |= {"throughput_low_per_s": row.low} if row.low is not None else {}
            found |= {"throughput_high_per_s": row.high} if row.high is not None else {}
        elif row.variant == variant and row.metric == "service_time" and row.statistic in policy.PERCENTILES:
            found[f"service_{row.statistic}_ns"] = row.value
            found["operations_per_sample"] = float(row.operations_per_sample)
    counted: dict[str, float] = {}
    operations = 0
    for side in (side for replicate in run.replicates for block in replicate.blocks for side in block.sides):
        if side.variant.partition("/")[2] == variant and side.counters:
            operations += side.operations
            for name, amount in side.counters.items():
                counted[name] = counted.get(name, 0.0) + amount
    return found | {f"{name}_per_operation": amount / operations for name, amount in counted.items() if operations}


def _say_cost(profile: ContentionProfile) -> None:
    """State what the probes cost that count and stamp: the time of runs with them against that of runs without."""
    sides = [
        side
        for run in profile.runs
        for replicate in run.replicates
        for block in replicate.blocks
        for side in block.sides
        if side.probed_elapsed_ns and side.elapsed_ns
    ]
    if sides:
        profile.overhead["probe_slowdown_ratio"] = median([(s.probed_elapsed_ns or 0) / s.elapsed_ns for s in sides])
    if any("looks" in figures for figures in profile.measured.values()):
        profile.overhead["looking_interval_ms"] = INTERVAL_S * 1e3


def _say_c2c(profile: ContentionProfile) -> None:
    reason = c2c.missing()
    profile.notes.append(
        f"cache lines that cores pass to each other cannot be counted by hardware ({reason}): who writes which line is "
        "found by running each thread's share alone"
        if reason
        else "perf c2c works here: `perf c2c record` around `workbench run` counts the lines that cores pass on"
    )
