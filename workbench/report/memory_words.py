"""What a memory profile says, in words computed from its counts: who allocates in the hot path, who never gives back.

Two findings have a line of source: a line that allocates at least once in a hundred operations, and a line whose
allocations of every call are still there at the end. What is kept once, as a cache is, is told but is no finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.figures.text import number, plain
from workbench.gate.budgets import BudgetOutcome
from workbench.gate.outcome import Outcome
from workbench.profile.counted import Line
from workbench.profile.memory import MemoryProfile
from workbench.profile.memory_facts import OFTEN

MOST_LINES = 3  # that are named for one subject and kind of finding
MAJOR_FAULTS = 10  # below, a file that another program threw out of the cache


def memory_outcome(
    profiles: Sequence[MemoryProfile], budgets: Sequence[BudgetOutcome] = (), absent: Sequence[str] = ()
) -> Outcome:
    """Return what was found in `profiles`: leaks first, then allocations in the hot path; `absent` is why some lack."""
    findings: list[str] = []
    for profile in profiles:
        findings += [*leak_sentences(profile), *hot_sentences(profile), *process_sentences(profile)]
    findings += [f"Budget {plain(each.title, 80)}: {number(each.value, each.unit)}, {each.words}." for each in budgets]
    findings += [plain(reason, 300) + "." for reason in absent]
    return Outcome(headline=_headline(profiles), findings=findings)


def leaks(profile: MemoryProfile) -> list[Line]:
    """Return the lines that keep an allocation of every call, most bytes first."""
    calls = profile.facts.tracked.calls
    found = [line for line, counters in profile.counters.items() if counters.get("leaked_calls", 0.0) >= calls]
    return sorted(found, key=lambda line: -profile.counters[line].get("leaked_bytes", 0.0))


def hot_lines(profile: MemoryProfile) -> list[Line]:
    """Return the lines that allocate in the hot path, most often first."""
    found = [line for line in profile.counters if profile.per_operation(line) >= OFTEN]
    return sorted(found, key=lambda line: (-profile.per_operation(line), line))


def leak_sentences(profile: MemoryProfile) -> list[str]:
    """Return a sentence for each line that leaks, and one for what is kept without being a leak by call."""
    tracked, told, leaking = profile.facts.tracked, [], leaks(profile)
    for line in leaking[:MOST_LINES]:
        counters = profile.counters[line]
        kept, size = counters["leaked"] / tracked.calls, counters["leaked_bytes"] / tracked.calls
        told.append(
            f"{_subject(profile)}: {place(line)} keeps {_count(kept)} allocation{_s(kept)} of every call, "
            f"{number(size, 'bytes')}, and never gives them back: {_source(profile, line)}."
        )
    told += _more(profile, len(leaking), "leak")
    once = sum(row.get("leaked_bytes", 0.0) for line, row in profile.counters.items() if line not in leaking)
    if once:
        told.append(
            f"{_subject(profile)}: further {number(once, 'bytes')} are still held at the end, of some calls and not "
            "of each: a cache or a buffer that grows."
        )
    return told


def hot_sentences(profile: MemoryProfile) -> list[str]:
    """Return a sentence for each line that allocates in the hot path, or that none does."""
    hot, tracked, unit = hot_lines(profile), profile.facts.tracked, profile.facts.unit
    if tracked.missing:
        counted = profile.facts.watched.nrt_allocations_per_call
        own = "" if counted is None else f"; Numba's own count is {counted:,} allocations in a call"
        why = plain(tracked.missing, 300)
        return [f"{_subject(profile)}: allocations by line and leaks were not recorded, as {why}{own}."]
    if not hot:
        rare = sum(row.get("allocations", 0.0) for row in profile.counters.values())
        over = f"{tracked.operations:,} {unit}s"
        extra = f" {rare:,.0f} allocations lie outside of what runs in each: none of them is by {unit}." if rare else ""
        return [f"{_subject(profile)}: no allocation per {unit}, in {over}.{extra}"]
    told = []
    for line in hot[:MOST_LINES]:
        often = profile.per_operation(line)
        counters = profile.counters[line]
        soon = counters.get("temporary", 0.0) / counters["allocations"]
        how = ", most of them given back at once" if soon >= 0.5 else ""
        told.append(
            f"{_subject(profile)}: {place(line)} allocates {_count(often)} time{_s(often)} per {unit}, "
            f"{number(profile.per_operation(line, 'allocated_bytes'), 'bytes')}{how}: {_source(profile, line)}."
        )
    return told + _more(profile, len(hot), "allocate")


def process_sentences(profile: MemoryProfile) -> list[str]:
    """Return what the process did as a whole: growth, peak, faults, and what was left out."""
    watched, tracked, title = profile.facts.watched, profile.facts.tracked, _subject(profile)
    if watched.growth_bytes:
        growth = (
            f"resident memory grew by {number(float(watched.growth_bytes), 'bytes')} over {watched.calls:,} calls, "
            f"{number(watched.growth_bytes_per_call, 'bytes')} a call"
        )
    elif watched.growth_is_known:
        growth = f"resident memory did not grow over {watched.calls:,} calls"
    else:
        growth = f"{watched.calls:,} calls are too few to tell whether resident memory grows"
    sampled = f" (sampled every {watched.sample_interval_ms:.3g} ms)" if watched.peak_is_sampled else ""
    peak = number(float(watched.peak_rss_bytes), "bytes")
    held = f", of which the calls themselves held {number(float(tracked.peak_bytes), 'bytes')} at once"
    told = [f"{title}: {growth}; it was {peak} at most{sampled}{'' if tracked.missing else held}."]
    calls = next((phase for phase in watched.phases if phase.name == "calls"), None)
    if calls is not None and calls.major_faults > MAJOR_FAULTS:
        told.append(f"{title}: {calls.major_faults:,} pages were read from disk while it was called (major faults).")
    if watched.stopped_early:
        told.append(f"{title}: it was called no further when it had grown by more than 256 MiB.")
    if tracked.events_left_out:
        told.append(f"{title}: {tracked.events_left_out:,} events were left out, since it allocates so often.")
    if profile.facts.native_heap:
        told.append(f"{title}: {plain(profile.facts.native_heap, 400)}.")
    return told


def place(line: Line) -> str:
    """Return ``file.py:line (function)`` as a person reads it."""
    where = f"{Path(line.file).name}:{line.line} ({line.function})" if line.line else line.function
    return plain(where, 120)


def _headline(profiles: Sequence[MemoryProfile]) -> str:
    leaking = [(profile, line) for profile in profiles for line in leaks(profile)[:1]]
    if leaking:
        profile, line = leaking[0]
        size = profile.counters[line]["leaked_bytes"] / profile.facts.tracked.calls
        more = f"; {len(leaking) - 1} more leak" if len(leaking) > 1 else ""
        return f"{_subject(profile)} leaks {number(size, 'bytes')} a call at {place(line)}{more}."
    hot = [(profile, hot_lines(profile)[0]) for profile in profiles if hot_lines(profile)]
    if hot:
        profile, line = max(hot, key=lambda pair: pair[0].per_operation(pair[1]))
        often = profile.per_operation(line)
        return (
            f"{_subject(profile)} allocates {_count(often)} time{_s(often)} per {profile.facts.unit} at {place(line)}."
        )
    growing = next((profile for profile in profiles if profile.facts.watched.growth_bytes), None)
    if growing is not None:
        grown = number(growing.facts.watched.growth_bytes_per_call, "bytes")
        return f"{_subject(growing)} grows by {grown} a call, and no line was seen that keeps them."
    unseen = [_subject(profile) for profile in profiles if profile.facts.tracked.missing]
    if unseen:
        return f"Allocations and leaks of {', '.join(unseen)} were not recorded: memray is missing."
    units = dict.fromkeys(profile.facts.unit for profile in profiles)
    return f"No allocation per {' or '.join(units)}, and no leak, in {', '.join(_subject(each) for each in profiles)}."


def _more(profile: MemoryProfile, count: int, verb: str) -> list[str]:
    left = count - MOST_LINES
    return [f"{_subject(profile)}: {left} more line{_s(left)} {verb}{'s' if left == 1 else ''}."] if left > 0 else []


def _subject(profile: MemoryProfile) -> str:
    return plain(profile.title, 80)


def _source(profile: MemoryProfile, line: Line) -> str:
    return plain(profile.source(line).strip() or "its source is not at hand", 100)


def _count(often: float) -> str:
    return f"{often:,.0f}" if often >= 100 else f"{often:.3g}"


def _s(amount: float) -> str:
    return "" if _count(amount) == "1" else "s"
