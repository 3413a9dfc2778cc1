"""What the memory notebook calls: profile variants of a kernel or a function of one's own, show, and conclude."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from workbench import figures
from workbench.errors import InputError, WorkbenchError
from workbench.figures.flame import flame
from workbench.figures.memory import MemoryLife, MemoryPhase, allocation_sites, rss_over_time
from workbench.figures.theme import note
from workbench.files import cache_folder, write_text
from workbench.gate.budgets import BudgetOutcome, judge_budgets
from workbench.gate.rules import read_rules
from workbench.measure.machine import fingerprint
from workbench.profile.annotated import page
from workbench.profile.memory import MemoryProfile, profile_memory, stem_of
from workbench.record import Result
from workbench.report.cell_progress import cell_progress
from workbench.report.memory_words import memory_outcome
from workbench.report.notebook import Words, job_folder
from workbench.report.profiling import conclude_profiles

PROFILES = "profiles"  # the folder of a job's profiles and of the tools' own files


class MemoryStudy:
    """The memory profiles of one notebook, and why some are absent. Displays them as annotated source."""

    def __init__(self, profiles: list[MemoryProfile], absent: list[str]):
        self.profiles = profiles
        self.absent = absent

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.profiles))

    def _repr_html_(self) -> str:
        return "".join(profile._repr_mimebundle_()["text/html"] for profile in self.profiles)


def study_memory(
    kernel: str,
    variants: Sequence[str] = (),
    *,
    function: str = "",
    setup: str = "",
    modules: Sequence[str] = (),
    workload: str = "",
    settings: Sequence[str] = (),
    seconds: float = 2.0,
    native: str = "",
) -> MemoryStudy:
    """Profile `variants` of `kernel` (all of ours when none is named), or `function` (``file.py:name``) instead.

    `modules` are packages of users' kernels, by import name or folder; `settings` are parameters, ``NAME=VALUE``. A
    variant that cannot run is left out by name. Raises InputError or WorkbenchError when nothing could be profiled.
    """
    from workbench.measure.job import read_setting
    from workbench.profile.users import know

    for module in modules:
        know(module)
    keep = (job_folder() or cache_folder() / "memory") / PROFILES
    chosen = [function] if function else _selected(kernel, variants)
    options: dict[str, Any] = {} if function else {"workload": workload or None, **dict(map(read_setting, settings))}
    profiles, absent, last = [], [], None
    progress = cell_progress(job_folder())
    for place, subject in enumerate(chosen):
        progress.advance(place / len(chosen), f"memory of {subject}")
        try:
            own = profile_memory(subject, setup=setup, keep=keep, seconds=seconds, native=native, **options)
            profiles.append(_kept(own, keep))
        except WorkbenchError as error:
            last = error
            absent.append(str(error) if subject in str(error) else f"{subject} was left out: {error}")
    progress.close()
    if last is not None and not profiles:
        raise last
    return MemoryStudy(profiles, absent)


def _selected(kernel: str, variants: Sequence[str]) -> list[str]:
    import kernels

    try:
        known = kernels.get(kernel)
    except KeyError as error:
        raise InputError(str(error.args[0])) from None
    ours = [name for name, variant in known.variants.items() if not variant.peer]
    return [f"{kernel}/{name}" for name in (variants or ours)]


def _kept(profile: MemoryProfile, keep: Path) -> MemoryProfile:
    """Write the page of `profile` beside the tools' files, and name all of them as the job's folder has them."""
    path = keep / f"{stem_of(profile)}.html"
    write_text(path, page(profile))
    profile.artefacts.append(str(path))
    folder = job_folder()
    if folder is not None:  # which is moved when the job is done
        profile.artefacts = [os.path.relpath(each, folder) for each in profile.artefacts]
    return profile


def sites_figure(study: MemoryStudy) -> go.Figure:
    """Return what each line allocates."""
    machine = fingerprint()
    return allocation_sites([profile.to_record(machine) for profile in study.profiles])


def flame_figure(study: MemoryStudy) -> go.Figure:
    """Return the flame graph of the profile that allocates most: bytes by chain of calls, compiled lines included."""
    profile = max(study.profiles, key=lambda each: sum(each.stacks.values()))
    figure = flame(profile, f"{profile.title}: allocated bytes by call and line")
    figure.layout.meta = {
        **figure.layout.meta,
        "description": "Each box is as wide as its share of the bytes that were allocated, whether or not they were "
        "given back: a function in a strong colour, its lines below in a pale one, below a line what it calls.",
    }
    if not profile.stacks:
        figure.layout.annotations = []
        missing = profile.facts.tracked.missing
        note(figure, "allocations were not recorded: memray is missing" if missing else "nothing was allocated")
    return figure


def rss_figure(study: MemoryStudy) -> go.Figure:
    """Return the resident memory of each process over time."""
    lives = []
    for profile in study.profiles:
        watched = profile.facts.watched
        phases = [MemoryPhase(**phase.model_dump()) for phase in watched.phases]
        lives.append(MemoryLife(profile.title, watched.rss_over_time, phases))
    return rss_over_time(lives)


def budgets_figure(study: MemoryStudy) -> go.Figure:
    """Return the budgets of memory that there are for these variants."""
    return figures.budget_bullets(_judged(study))


def _judged(study: MemoryStudy) -> list[BudgetOutcome]:
    """Judge the peak of the process by the budgets of the plan that the notebook runs in, else by the shipped ones."""
    rows = []
    for profile in study.profiles:
        if profile.facts.is_variant:
            kernel, _, variant = profile.title.partition("/")
            peak = Result(
                kernel=kernel,
                variant=variant,
                metric="peak_rss",
                statistic="max",
                unit="bytes",
                value=float(profile.facts.watched.peak_rss_bytes),
                low=None,
                high=None,
                bound="value",
                samples=1,
            )
            rows.append(peak)
    return judge_budgets(read_rules(job_folder()).chosen_budgets(), rows)


def conclude_memory(study: MemoryStudy) -> Words:
    """Write the profiles and the conclusion into the job's folder, and return the words."""
    return conclude_profiles(study.profiles, memory_outcome(study.profiles, _judged(study), study.absent))
