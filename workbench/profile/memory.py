"""``profile(..., kind="memory")``: who allocates, by line inside compiled code too; what is kept; RSS and page faults.

Two processes run the subject, never the caller's own. One has no profiler in it: its memory is sampled from outside,
its page faults are read by phase. In the other memray records every allocation of some calls, after a warm-up, so that
LLVM is no part of it. memray tells the line of Python; inside compiled code the code map tells the line from the native
address that memray keeps. memray's own file and its flame graph are kept where a folder is given.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench import abilities
from workbench.codemap.lines import Frame
from workbench.errors import InputError, WorkbenchError
from workbench.files import write_bytes, write_text
from workbench.measure.timing_lock import held_timing_lock
from workbench.profile import memory_native
from workbench.profile.attribute import read_sources
from workbench.profile.counted import Line
from workbench.profile.memory_facts import MemoryFacts, Tracked, Watched
from workbench.profile.memory_job import TRACE, Asked, asked_of
from workbench.profile.memory_watch import execute, watched_of
from workbench.profile.profile import Profile

COUNTERS = ("allocated_bytes", "allocations", "temporary", "leaked", "leaked_bytes", "leaked_calls", "peak_bytes")
REPORT_TIMEOUT_S = 300


class MemoryProfile(Profile):
    """A profile with `facts`: what is known of the process as a whole."""

    facts: MemoryFacts

    def per_operation(self, line: Line, counter: str = "allocations") -> float:
        """Return a counter of `line` for one operation (for a function: one call)."""
        return self.counters[line].get(counter, 0.0) / self.facts.tracked.operations


def profile_memory(
    subject: Any,
    *arguments: Any,
    workload: Any = None,
    setup: str = "",
    modules: Sequence[str] = (),
    keep: Path | None = None,
    seconds: float = 2.0,
    native: str = "",
    **parameters: int,
) -> MemoryProfile:
    """Return allocations, temporary ones, leaks and the peak by line, with RSS over time and page faults as facts.

    `subject` and `arguments` are a kernel and a variant's name, with a `workload` and parameters; a function, compiled
    or not, with its own arguments; or the text ``file.py:function``, whose arguments the function `setup` beside it
    returns. `modules` are import names of users' kernels. `keep` is a folder for memray's file, its flame graphs and
    the facts. `native` is ``heaptrack`` or ``massif``: the whole process under that tool too, in a further run.

    `seconds` is for how long it runs unprofiled; recording takes half a second and the reading of it as long again for
    each 100,000 allocations or so. Everything runs in processes of its own: a function that ends its process ends no
    other. Raises InputError with one sentence for what cannot be run, WorkbenchError when it ends or hangs.
    """
    if not 0 < seconds <= 3600:
        raise InputError(f"{seconds} s cannot be watched: give 0 .. 3600")
    memory_native.check(native)
    asked = asked_of(
        subject, *arguments, workload=workload, setup=setup, modules=modules, seconds=seconds, **parameters
    )
    with tempfile.TemporaryDirectory(prefix="workbench-memory-") as scratch:
        watch_folder, track_folder = Path(scratch) / "watch", Path(scratch) / "track"
        for folder in (watch_folder, track_folder):
            folder.mkdir()
            asked.write(folder)
        ability = abilities.memray()
        answer = {
            "tracked": {"missing": f"{ability.reason} ({ability.remedy})"},
            "sites": [],
            "badges": {},
            "notes": [],
        }
        if ability.works:
            answer, _ = execute(track_folder, "track", asked.job.title)  # first: what it compiles, the other finds
        with held_timing_lock(f"memory of {asked.job.title}"):
            seen = execute(watch_folder, "watch", asked.job.title, sampled=True, seconds=seconds)
        watched = watched_of(*seen, watch_folder)
        profile = _profile(asked, watched, answer)
        if keep is not None and ability.works:
            _keep(profile, track_folder / TRACE, keep)
        told = memory_native.run(native, asked, Path(scratch), keep, profile) if native else ""
    profile.facts = profile.facts.model_copy(update={"native_heap": told})
    if keep is not None:
        path = keep / f"{stem_of(profile)}.facts.json"
        write_text(path, profile.facts.model_dump_json(indent=1) + "\n")
        profile.artefacts.append(str(path))
    return profile


def _profile(asked: Asked, watched: Watched, answer: dict[str, Any]) -> MemoryProfile:
    tracked = Tracked.model_validate(answer["tracked"])
    profile = MemoryProfile(asked.job.title, "memory", main=COUNTERS[0])
    profile.facts = MemoryFacts(
        title=asked.job.title, is_variant=bool(asked.job.variant), watched=watched, tracked=tracked
    )
    for where, name, frames, totals in answer["sites"]:
        stack = tuple(Frame(*frame) for frame in frames)
        if totals["allocated_bytes"] and stack:
            profile.stacks[stack] = profile.stacks.get(stack, 0.0) + totals["allocated_bytes"]
        if where is None:
            profile.outside[name] = profile.outside.get(name, 0.0) + totals["allocated_bytes"]
            continue
        for counter in COUNTERS:
            if totals[counter]:
                profile.add(Line(*where), counter, float(totals[counter]))
    read_sources(profile)
    profile.badges = answer["badges"]
    profile.overhead = {
        "rss_sample_interval_ms": watched.sample_interval_ms,
        "rss_sample_cost_us": watched.sample_cost_us,
        "rss_sampler_core_share": watched.sampler_core_share,
    }
    if not tracked.missing:
        profile.overhead |= {
            "memray_slowdown_ratio": tracked.slowdown,
            "memray_records": float(answer["records"]),
            "counted_calls": float(tracked.calls),
            "counted_operations": float(tracked.operations),
        }
    profile.notes = [*_notes(profile.facts), *answer["notes"]]
    return profile


def _notes(facts: MemoryFacts) -> list[str]:
    tracked, watched = facts.tracked, facts.watched
    sampled = " (sampled)" if watched.peak_is_sampled else ""
    rss = (
        f"RSS at most {watched.peak_rss_bytes:,} bytes{sampled}, "
        f"{watched.after_rss_bytes - watched.before_rss_bytes:+,} over {watched.calls:,} calls without a profiler"
    )
    if tracked.missing:
        told = [f"allocations by line and leaks were not recorded: {tracked.missing}", rss]
    else:
        told = [
            f"counts are of {tracked.calls} calls, {tracked.operations:,} {facts.unit}s, after a warm-up; recording "
            f"them made a call {tracked.slowdown:.2g} times as long",
            f"the most that these calls held at once: {tracked.peak_bytes:,} bytes; {rss}",
        ]
    faults = ", ".join(f"{phase.name} {phase.minor_faults:,} + {phase.major_faults:,}" for phase in watched.phases)
    told.append(f"page faults by phase, minor + major: {faults}")
    if watched.nrt_allocations_per_call is not None:
        told.append(
            f"Numba's own count is {watched.nrt_allocations_per_call:,} allocations in a call, those that wrap the "
            "arguments of a call from Python included"
        )
    if tracked.events_left_out:
        told.append(f"the last {tracked.events_left_out:,} events were left out: recording all would be too much")
    if watched.stopped_early:
        told.append(f"calls ended after {watched.duration_s:.1f} s: the process had grown by more than 256 MiB")
    return told


def stem_of(profile: Profile) -> str:
    """Return a file name for `profile`: a title may hold anything."""
    safe = "".join(each if each.isalnum() or each in "._-" else "-" for each in profile.title.replace("/", "-"))
    return f"{safe[-80:].strip('-.') or 'subject'}-memory"


def _keep(profile: MemoryProfile, trace: Path, keep: Path) -> None:
    """Keep memray's file, and make its flame graphs: of the peak, and of leaks where there are any."""
    stem = stem_of(profile)
    kept = keep / f"{stem}.memray.bin"
    write_bytes(kept, trace.read_bytes())
    profile.artefacts.append(str(kept))
    pages: dict[str, list[str]] = {"peak": [], **({"leaks": ["--leaks"]} if profile.facts.tracked.leaked else {})}
    for name, options in pages.items():
        page = keep / f"{stem}.memray-{name}.html"
        try:
            flame_graph(kept, page, *options)
            profile.artefacts.append(str(page))
        except WorkbenchError as error:
            profile.notes.append(str(error))


def flame_graph(trace: Path, page: Path, *options: str) -> None:
    """Let memray make its flame graph of `trace`: one HTML file that asks for no other. Raises WorkbenchError."""
    command = [sys.executable, "-m", "memray", "flamegraph", "--no-web", "--force", "--output", str(page), *options]
    try:
        done = subprocess.run(
            [*command, str(trace)], check=False, capture_output=True, text=True, timeout=REPORT_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise WorkbenchError(f"memray's flame graph took more than {REPORT_TIMEOUT_S} s and was left out") from None
    if done.returncode or not page.is_file():
        told = next(iter((done.stderr or done.stdout).strip().splitlines()[-1:]), "no word")
        raise WorkbenchError(f"memray made no flame graph ({told})")
