"""The profiles of a chain of variants: time by line, and what a simulation counts; or why there are none."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import write_text
from workbench.report.cell_progress import cell_progress
from workbench.report.chain import Chain
from workbench.report.notebook import job_folder

if TYPE_CHECKING:
    from workbench.profile.profile import Profile

PROFILES = "profiles"  # the folder of a job's profiles: a record and a page for each


@dataclass(frozen=True)
class Profiles:
    """Profiles of one kind by variant. `absent` says of each other variant why there is none; `reason` why of all."""

    kind: str
    found: dict[str, Profile] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    operations: int = 0  # in one replay of the workload


def sample_lines(chain: Chain, *, workload: str = "", seconds: float = 1.5, wanted: bool = True) -> Profiles:
    """Sample each step for `seconds`, one after the other; nothing where it is not `wanted`."""
    if not wanted:
        return Profiles("cpu", reason="no lines were asked for")
    from workbench.measure.timing_lock import timing_lock
    from workbench.profile.cpu import profile_cpu

    events = _events(workload)
    progress = cell_progress(job_folder())
    found: dict[str, Profile] = {}
    absent: dict[str, str] = {}
    with timing_lock(f"lines of {chain.kernel}", progress.note):
        for place, step in enumerate(chain.steps):
            progress.advance(place / len(chain.steps), f"sampling {chain.kernel}/{step.variant}")
            try:
                found[step.variant] = profile_cpu(chain.kernel, step.variant, seconds=seconds, workload=events)
            except WorkbenchError as error:
                absent[step.variant] = str(error)
    progress.close()
    return _kept(Profiles("cpu", found, absent, _common(found, absent), _operations(chain, events)))


def simulate(chain: Chain, *, workload: str = "", wanted: bool = True) -> Profiles:
    """Simulate one replay of each step under callgrind, as many at once as there are cores; nothing where not `wanted`.

    The counts do not depend on what else runs, so nothing has to wait.
    """
    if not wanted:
        return Profiles("cache", reason="no misses were asked for")
    from workbench.profile import callgrind
    from workbench.profile.cache import profile_cache

    reason = callgrind.missing()
    if reason:
        return Profiles("cache", reason=reason)
    events = _events(workload)
    progress = cell_progress(job_folder())

    def one(variant: str) -> Profile:
        return profile_cache(chain.kernel, variant, workload=events)

    found, absent = _at_once(one, [step.variant for step in chain.steps], progress)
    progress.close()
    return _kept(Profiles("cache", found, absent, _common(found, absent), _operations(chain, events)))


def _at_once(
    work: Callable[[str], Profile], names: list[str], progress: Any
) -> tuple[dict[str, Profile], dict[str, str]]:
    """Do `work` for each name in as many threads as there are cores; return what came and why the rest did not."""
    results: dict[str, Profile] = {}
    absent: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        waiting = {pool.submit(work, name): name for name in names}
        progress.advance(0.0, f"simulating {len(names)} variants")
        for done, future in enumerate(as_completed(waiting), 1):
            name = waiting[future]
            try:
                results[name] = future.result()
            except WorkbenchError as error:
                absent[name] = str(error)
            progress.advance(done / len(names), f"simulated {name}")
    return {name: results[name] for name in names if name in results}, absent


def _common(found: dict[str, Profile], absent: dict[str, str]) -> str:
    """Return the reason why there is no profile at all; empty where there is one."""
    return "" if found else "; ".join(dict.fromkeys(absent.values()))


def _events(workload: str) -> Any:
    from workbench import workloads

    return (workloads.parse(workload) if workload else workloads.default()).events


def _operations(chain: Chain, events: Any) -> int:
    import kernels

    kernel = kernels.get(chain.kernel)
    return kernel.count_operations(kernel.prepare(events, kernel.check_parameters(kernel.parameters_for(events))))


def _kept(profiles: Profiles) -> Profiles:
    """Write a record and a page of each profile into the job's folder, where there is one."""
    folder = job_folder()
    if folder is not None:
        from workbench.measure.machine import fingerprint
        from workbench.profile.annotated import page

        machine = fingerprint()
        for variant, profile in profiles.found.items():
            stem = folder / PROFILES / f"{variant}-{profiles.kind}"
            write_text(stem.with_name(stem.name + ".json"), profile.to_record(machine).to_json() + "\n")
            write_text(stem.with_name(stem.name + ".html"), page(profile))
    return profiles
