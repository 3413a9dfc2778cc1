"""What the notebook of time by line calls: each of its cells is a line or two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from workbench.errors import InputError, WorkbenchError
from workbench.figures.flame import differential_flame, flame
from workbench.figures.line_differences import line_differences
from workbench.figures.table import Table
from workbench.figures.theme import finish, note, row_height
from workbench.figures.tool_costs import tool_costs
from workbench.gate.outcome import Outcome
from workbench.measure.job import read_setting
from workbench.measure.timing_lock import timing_lock
from workbench.profile import formats
from workbench.profile.cpu_tools import OWN, TOOLS, profile_with
from workbench.profile.differences import SHARE, TIME, differences
from workbench.profile.profile import Profile
from workbench.report.cell_progress import cell_progress
from workbench.report.cpu_words import CpuProfiles, costs_of, cpu_outcome
from workbench.report.defaults import known_kernel, two_ends
from workbench.report.notebook import Words, job_folder
from workbench.report.profiling import conclude_profiles
from workbench.report.story_profiles import PROFILES

UNITS = {TIME: "ns", SHARE: "%"}
NOTHING = "no variant was profiled: the finding says why"
ALONE = "one profile only: name two variants, or two tools, to see what changed"


def profile_time(
    kernel: str,
    variants: Sequence[str] = (),
    *,
    module: str = "",
    workload: str = "",
    settings: Sequence[str] = (),
    seconds: float = 4.0,
    tools: Sequence[str] = tuple(TOOLS),
) -> CpuProfiles:
    """Profile variants of `kernel`, or of the kernel that a user's `module` defines, with each of `tools`.

    Where no variant is named it takes `two_ends`. `settings` are parameters of the kernel, each ``NAME=VALUE``. A tool
    that is absent or fails is told and left out. Profiles in other tools' formats and the tools' own files go into the
    job's folder. Raises InputError for a tool or a variant that is not known.
    """
    from workbench.profile.users import know

    unknown = [tool for tool in tools if tool not in TOOLS]
    if unknown or not tools:
        raise InputError(f"tools are {', '.join(TOOLS)}; asked for was {', '.join(unknown) or 'none'}")
    name = know(module) if module else kernel
    chosen = list(variants) or two_ends(known_kernel(name))
    options: dict[str, Any] = {"seconds": seconds, **dict(map(read_setting, settings))}
    if workload:
        options["workload"] = _events(workload)
    folder = job_folder()
    keep = folder / PROFILES if folder else None
    progress = cell_progress(job_folder())
    profiles = CpuProfiles(name)
    plan = [(variant, tool) for tool in sorted(tools, key=lambda tool: tool != OWN) for variant in chosen]
    try:
        with timing_lock(f"time by line of {name}", progress.note):
            for place, (variant, tool) in enumerate(plan):
                progress.advance(place / len(plan), f"{tool} on {name}/{variant}")
                _take(profiles, variant, tool, keep, options)
    finally:
        progress.close()
    return profiles


def _take(profiles: CpuProfiles, variant: str, tool: str, keep: Path | None, options: dict[str, Any]) -> None:
    """Take one profile, or note why there is none."""
    own = profiles.found.get((variant, OWN))
    given = {**options, "lines": own} if tool == "scalene" and own is not None else options
    try:
        profile = profile_with(tool, profiles.kernel, variant, keep=keep, **given)
    except WorkbenchError as error:
        if isinstance(error, InputError) and tool == OWN and not profiles.found and not _peer(error):
            raise
        profiles.absent[variant, tool] = str(error)
        return
    if keep is not None:
        formats.write_all(profile, keep, tool=tool)
    profiles.found[variant, tool] = profile


def _peer(error: InputError) -> bool:
    """Return whether the sampler refused a variant that other tools can watch."""
    return "not compiled by Numba" in str(error)


def _events(workload: str) -> Any:
    from workbench import workloads

    if Path(workload).is_file():
        return workloads.load(Path(workload)).events
    return workloads.parse(workload).events


def main_flame(profiles: CpuProfiles, tool: str = OWN) -> go.Figure:
    """Return the flame graph of the last variant by `tool`, or by the first tool that took one where that is absent."""
    if not profiles.found:
        return _empty(f"{profiles.kernel}: time by call and line", NOTHING)
    variant = profiles.variants[-1]
    found = profiles.found.get((variant, tool))
    taken = next(name for (_, name), each in profiles.found.items() if each is (found or profiles.best(variant)))
    return flame(found or profiles.best(variant), f"{profiles.kernel}/{variant}: time by call and line, by {taken}")


def change_flame(profiles: CpuProfiles) -> go.Figure:
    """Return the flame graph of what changed from the first variant to the last; of one variant, between two tools."""
    two = _two(profiles)
    if two is None:
        return _empty(f"{profiles.kernel}: change of share", ALONE if profiles.found else NOTHING)
    before, after, name = two
    return differential_flame(before, after, name)


def change_lines(profiles: CpuProfiles) -> go.Figure:
    """Return what changed from the first variant to the last, line against line; of one variant, between two tools."""
    two = _two(profiles)
    if two is None:
        return _empty(f"{profiles.kernel}: line by line", ALONE if profiles.found else NOTHING)
    before, after, _ = two
    try:
        told = differences(before, after)
    except InputError as error:
        return _empty(f"{profiles.kernel}: line by line", str(error))
    return line_differences(told.rows(), before.title, after.title, UNITS.get(told.main, told.main))


def _two(profiles: CpuProfiles) -> tuple[Profile, Profile, str] | None:
    """Return the two profiles that are compared, and what the figure is called, empty for its own name.

    None where there are no two: a profile is not compared with itself.
    """
    if len(profiles.variants) > 1:
        return profiles.best(profiles.variants[0]), profiles.best(profiles.variants[-1]), ""
    taken = [(tool, profile) for (_, tool), profile in profiles.found.items()]
    if len(taken) < 2:
        return None
    first, before = taken[0]
    last, after = next((each for each in reversed(taken[1:]) if each[1].main == before.main), taken[-1])
    return before, after, f"{before.title}: change of share from {first} to {last}"


def _empty(name: str, why: str) -> go.Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = go.Figure()
    note(figure, why)
    return finish(figure, name, f"Nothing is drawn: {why}.", Table((), ()), row_height(()))


def cost_figure(profiles: CpuProfiles) -> go.Figure:
    """Return what each tool cost, and its agreement with the sampler."""
    return tool_costs(costs_of(profiles))


def last_profile(profiles: CpuProfiles) -> Profile | Words:
    """Return the annotated source of the last variant, which displays itself; words where there is no profile."""
    if not profiles.found:
        return Words(Outcome(headline=f"There is no annotated source: {NOTHING}."))
    return profiles.best(profiles.variants[-1])


def conclude_cpu(profiles: CpuProfiles) -> Words:
    """Write the profiles as records, and return the finding in words."""
    return conclude_profiles(list(profiles.found.values()), cpu_outcome(profiles))
