"""What the notebook of cache misses calls: each of its cells is a line or two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from workbench.errors import InputError, WorkbenchError
from workbench.figures.line_counts import counts_by_variant, line_counts
from workbench.figures.line_differences import line_differences
from workbench.figures.table import Table
from workbench.figures.theme import finish, note, row_height
from workbench.gate.outcome import Outcome
from workbench.measure.job import read_setting
from workbench.profile import callgrind, formats
from workbench.profile.cache import profile_cache
from workbench.profile.differences import Differences, differences
from workbench.profile.instruction_mix import KINDS, instruction_mix
from workbench.profile.profile import Profile
from workbench.report.cache_words import NAMES, CacheStudy, cache_outcome, ranked, told
from workbench.report.cell_progress import cell_progress
from workbench.report.defaults import known_kernel, two_ends
from workbench.report.notebook import Words, _source, job_folder
from workbench.report.profiling import conclude_profiles
from workbench.report.story_profiles import PROFILES

TOP = 12  # lines in a figure


def study_cache(
    kernel: str,
    variants: Sequence[str] = (),
    *,
    module: str = "",
    workload: str = "",
    settings: Sequence[str] = (),
) -> CacheStudy:
    """Simulate one replay of each variant, as many at once as there are cores; where that cannot be, read their code.

    `module` is a package with a kernel of the user's, in place of `kernel`. A variant that cannot be looked at is told
    and left out. Where none is named it takes `two_ends`. Raises InputError for a kernel or a variant that is not
    known.
    """
    from workbench import workloads
    from workbench.profile.users import know

    name = know(module) if module else kernel
    card = known_kernel(name)
    chosen = list(variants) or two_ends(card)
    try:
        for each in chosen:
            card.variant(each)
    except KeyError as error:
        raise InputError(str(error.args[0])) from None
    source = _source(workload)
    loaded = workloads.load(source) if isinstance(source, Path) else workloads.parse(source) if source else None
    events = (loaded or workloads.default()).events
    options = dict(map(read_setting, settings))
    parameters = card.check_parameters({**card.parameters_for(events), **options})
    operations = card.count_operations(card.prepare(events, parameters))
    reason = callgrind.missing() or ""
    study = CacheStudy(name, operations, reason=reason)
    _fill(study, chosen, {"workload": events, **options})
    return study


def _fill(study: CacheStudy, chosen: list[str], options: dict[str, Any]) -> None:
    """Take the profiles; several simulations at once disturb none, since they count and do not time."""
    folder, progress = job_folder(), cell_progress(job_folder())
    keep = folder / PROFILES if folder is not None else None

    def one(variant: str) -> Profile:
        if study.reason:
            return instruction_mix(study.kernel, variant, **options)
        return profile_cache(study.kernel, variant, keep=keep, **options)

    results: dict[str, Profile] = {}
    at_once = 1 if study.reason else len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        waiting = {pool.submit(one, variant): variant for variant in chosen}
        progress.advance(0.0, f"looking at {len(chosen)} variants")
        for done, future in enumerate(as_completed(waiting), 1):
            variant = waiting[future]
            try:
                results[variant] = future.result()
            except WorkbenchError as error:
                study.absent[variant] = str(error)
            progress.advance(done / len(chosen), f"looked at {variant}")
    progress.close()
    study.found = {variant: results[variant] for variant in chosen if variant in results}
    for profile in study.found.values() if keep is not None else ():
        assert keep is not None
        formats.write_all(profile, keep)


def counts_figure(study: CacheStudy) -> go.Figure:
    """Return each variant's counts against the first one's."""
    labels: dict[str, str] = {name: name.replace("_", " ") for name in KINDS} if study.reason else NAMES
    # What stands in the code is no amount of an operation: the division is taken back.
    scale = float(max(1, study.operations)) if study.reason else 1.0
    title = "Instructions in the code, by kind" if study.reason else "Counts of one operation, simulated"
    counts = [
        (variant, [(labels[name], scale * study.total(variant, name)) for name in labels]) for variant in study.found
    ]
    return counts_by_variant(counts, f"{title}: {study.kernel}")


def misses_figure(study: CacheStudy) -> go.Figure:
    """Return the lines of the last variant that miss the first level; where none is simulated, those that load."""
    return _lines_figure(study, "d1_misses")


def unused_figure(study: CacheStudy) -> go.Figure:
    """Return the lines of the last variant that bring bytes which nobody reads; stores, where none is simulated."""
    return _lines_figure(study, "d1_bytes_unused")


def _lines_figure(study: CacheStudy, counter: str) -> go.Figure:
    profile, scale = study.last, 1.0 / max(1, study.operations)
    what = f"{NAMES[counter]} an operation"
    if study.reason:
        counter, scale = ("loads" if counter == "d1_misses" else "stores"), 1.0
        what = f"{counter} in the code"
    rows = ranked(profile, counter)[:TOP] if profile is not None else []
    named = [(told(profile, line), amount * scale) for line, amount in rows] if profile is not None else []
    title = f"{profile.title if profile is not None else study.kernel}: {what}, by line"
    return line_counts(named, what, title)


def change(study: CacheStudy) -> Differences | Words:
    """Return the last variant against the first, line beside line; a sentence where there is one only."""
    if len(study.found) < 2:
        return Words(Outcome(headline=f"{_looked_at(study)}: name two to see what changed."))
    first, *_, last = study.found.values()
    return differences(first, last, "loads" if study.reason else "d1_misses")


def _looked_at(study: CacheStudy) -> str:
    return "Only one variant was looked at" if study.found else "No variant was looked at"


def change_figure(study: CacheStudy) -> go.Figure:
    """Return the lines whose L1 misses changed most from the first variant to the last; loads, where none is there."""
    profiles = list(study.found.values())
    if len(profiles) < 2:
        figure, why = go.Figure(), f"{_looked_at(study)}: there is nothing to compare"
        note(figure, why)
        return finish(figure, f"{study.kernel}: line by line", f"{why}.", Table((), ()), row_height(()))
    counter = "loads" if study.reason else "d1_misses"
    found = differences(profiles[0], profiles[-1])
    scale = 1.0 if study.reason else 1.0 / max(1, study.operations)
    rows = []
    for pair in found.pairs:
        before, after = pair.amounts(counter)
        rows.append((f"{pair.function}: {pair.label}", scale * before, scale * after))
    rows.sort(key=lambda row: -abs(row[2] - row[1]))
    changed = [row for row in rows[:TOP] if row[1] != row[2]]
    unit = "loads" if study.reason else "L1 misses an operation"
    return line_differences(changed, profiles[0].title, profiles[-1].title, unit)


def conclude_cache(study: CacheStudy) -> Words:
    """Write the profiles as records, and return the finding in words."""
    return conclude_profiles(list(study.found.values()), cache_outcome(study))
