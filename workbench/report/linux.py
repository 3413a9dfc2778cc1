"""What the notebooks about Linux and about threads call: each of their cells is a line or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.figures.contention import throughput_by_threads
from workbench.figures.jitter import jitter_percentiles
from workbench.figures.system import calls_per_operation
from workbench.measure.job import read_setting
from workbench.measure.progress import Silent
from workbench.measure.timing_lock import timing_lock
from workbench.profile.contention import ContentionProfile, profile_contention
from workbench.profile.measured import MeasuredProfile
from workbench.profile.system import profile_system
from workbench.profile.users import know
from workbench.report.cell_progress import cell_progress
from workbench.report.contention_words import contention_outcome
from workbench.report.defaults import first_variant, known_kernel
from workbench.report.notebook import Words, _source, job_folder
from workbench.report.profiling import conclude_profiles
from workbench.report.system_words import system_outcome


def watch_system(
    kernel: str,
    variant: str = "",
    *,
    module: str = "",
    workload: str = "",
    settings: Sequence[str] = (),
    seconds: float = 2.0,
    trace_seconds: float = 3.0,
    jitter_seconds: float = 1.0,
    trace: bool = True,
) -> MeasuredProfile:
    """Watch one variant of `kernel`, else of the kernel that a user's `module` defines; by default the first compiled.

    `settings` are parameters of the kernel, each ``NAME=VALUE``. strace's own file goes into the job's folder.
    """
    name = _kernel(kernel, module)
    progress = cell_progress(job_folder())
    try:
        with timing_lock(f"system profile of {name}", progress.note):
            return profile_system(
                name,
                variant or first_variant(known_kernel(name)),
                workload=_source(workload),
                seconds=seconds,
                trace_seconds=trace_seconds,
                jitter_seconds=jitter_seconds,
                trace=trace,
                keep=job_folder(),
                **_settings(settings),
            )
    finally:
        progress.close()


def measure_contention(
    kernel: str,
    variants: Sequence[str] = (),
    *,
    module: str = "",
    threads: Sequence[int] = (),
    workload: str = "",
    settings: Sequence[str] = (),
    seconds: float = 6.0,
    watch_seconds: float = 1.0,
    replicates: int = 6,
    trace: bool = True,
) -> ContentionProfile:
    """Measure variants of `kernel` (all that can run here when none is named) with one thread and with more.

    `threads` are the numbers of threads, 1 and each up to the cores when empty; `seconds` are spent on each.
    """
    return profile_contention(
        known_kernel(_kernel(kernel, module)),
        variants=tuple(variants),
        threads=tuple(threads),
        workload=_source(workload),
        seconds=seconds,
        watch_seconds=watch_seconds,
        replicates=replicates,
        trace=trace,
        progress=Silent(),
        **_settings(settings),
    )


def calls_figure(profile: MeasuredProfile) -> go.Figure:
    """Return the system calls of an operation."""
    return calls_per_operation(profile.title, profile.rows())


def jitter_figure(profile: MeasuredProfile) -> go.Figure:
    """Return what was taken from the cores, by percentile."""
    return jitter_percentiles(profile.title, profile.rows())


def threads_figure(profile: ContentionProfile) -> go.Figure:
    """Return throughput over the number of threads."""
    return throughput_by_threads(profile.title, profile.rows())


def conclude_system(profile: MeasuredProfile) -> Words:
    """Write the profile, and return in words what it found."""
    return conclude_profiles([profile], system_outcome(profile))


def conclude_contention(profile: ContentionProfile) -> Words:
    """Write the profile and the runs behind it, and return in words what threads cost each other."""
    return conclude_profiles([profile, *profile.runs], contention_outcome(profile))


def _kernel(kernel: str, module: str) -> str:
    """Return the name of the kernel that `module` defines, else `kernel`."""
    return know(module) if module else kernel


def _settings(settings: Sequence[str]) -> dict[str, Any]:
    return dict(map(read_setting, settings))
