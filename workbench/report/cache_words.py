"""The conclusion of a simulation of caches, in words: which lines miss, what comes in vain, what a variant saves."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from workbench.figures.text import number, plain
from workbench.gate.outcome import Outcome
from workbench.profile.counted import Line
from workbench.profile.profile import Profile

COUNTERS = ("instructions", "d1_misses", "ll_misses", "d1_bytes_unused", "branch_misses", "atomics")
NAMES = {
    "instructions": "instructions",
    "d1_misses": "L1 misses",
    "ll_misses": "last-level misses",
    "d1_bytes_unused": "bytes brought into L1 unused",
    "branch_misses": "mispredicted branches",
    "atomics": "atomics",
}
TOP_LINES = 3
CONCENTRATED = 0.1  # of a variant's misses: a line with less is not what a person should look at
NOTABLE = 0.02  # a count that changes by less is called equal
FEW = 0.01  # misses an operation: one in a hundred operations is none that a person can save


@dataclass
class CacheStudy:
    """The profiles by variant, in the order asked for; `reason` says why no cache was simulated, if none was.

    `operations` is how many one replay has. Where there is a `reason` the profiles hold the instruction mix instead.
    """

    kernel: str
    operations: int
    found: dict[str, Profile] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def last(self) -> Profile | None:
        """Return the profile of the last variant; None where there is none."""
        return list(self.found.values())[-1] if self.found else None

    def total(self, variant: str, counter: str) -> float:
        """Return a counter of `variant` over all lines, for one operation."""
        lines = self.found[variant].counters.values()
        return sum(each.get(counter, 0.0) for each in lines) / max(1, self.operations)


def cache_outcome(study: CacheStudy) -> Outcome:
    """Return the finding: of the simulation, or of the code alone where nothing could be simulated."""
    left_out = [f"{plain(name)} is left out: {why}." for name, why in study.absent.items()]
    if not study.found:
        return Outcome(headline=f"No variant of {plain(study.kernel)} could be looked at.", findings=left_out)
    if study.reason:
        return _mix_outcome(study, left_out)
    variant = list(study.found)[-1]
    findings = [sentence for name in study.found for sentence in _lines(study, name)]
    for before, after in pairwise(study.found):
        findings += _changes(study, before, after)
    caches = [each for each in study.found[variant].notes if each.startswith("simulated caches")]
    findings += [f"These are counts of a simulation, not times: {each}." for each in caches]
    return Outcome(headline=_headline(study, variant), findings=[*findings, *left_out])


def ranked(profile: Profile, counter: str) -> list[tuple[Line, float]]:
    """Return the lines that have some of `counter`, most first, each place in the source once."""
    found: dict[tuple[str, int], tuple[Line, float]] = {}
    for line, counters in profile.counters.items():
        key = (line.file, line.line) if line.line else (line.function, 0)
        first, amount = found.get(key, (line, 0.0))
        found[key] = first, amount + counters.get(counter, 0.0)
    there = [each for each in found.values() if each[1] > 0]
    return sorted(there, key=lambda each: (-each[1], each[0]))


def told(profile: Profile, line: Line) -> str:
    """Return where a line stands and what it says."""
    source = profile.source(line).strip()
    place = f"{Path(line.file).name}:{line.line}" if line.line else line.function
    return f"{place}: {plain(source, 90)}" if source else place


def _headline(study: CacheStudy, variant: str) -> str:
    profile = study.found[variant]
    name, misses = f"{plain(study.kernel)}/{plain(variant)}", study.total(variant, "d1_misses")
    rows = ranked(profile, "d1_misses")
    if misses < FEW or not rows:
        return f"{name} finds its data in the first-level cache: {number(misses)} misses an operation, simulated."
    line, amount = rows[0]
    share = amount / study.operations / misses
    return (
        f"{name} misses the first-level cache {number(misses)} times an operation, simulated, "
        f"{100 * share:.0f} % of it on {told(profile, line)}"
    )


def _lines(study: CacheStudy, variant: str) -> list[str]:
    """Return what a person should know of one variant: the lines that miss, what they waste, atomics."""
    profile, sentences = study.found[variant], []
    counts = ", ".join(f"{number(study.total(variant, each))} {NAMES[each]}" for each in COUNTERS)
    sentences.append(f"{plain(variant)}, an operation: {counts}.")
    for counter in ("d1_misses", "ll_misses"):
        total = study.total(variant, counter)
        if total < FEW:
            continue
        rows = [(line, amount / study.operations) for line, amount in ranked(profile, counter)[:TOP_LINES]]
        lines = "; ".join(
            f"{100 * each / total:.0f} % {told(profile, line)}" for line, each in rows if each >= CONCENTRATED * total
        )
        if lines:
            sentences.append(f"{plain(variant)} has its {NAMES[counter]} on {lines}.")
    sentences += _unused(study, variant, profile)
    atomics = ranked(profile, "atomics")
    if atomics:
        line, amount = atomics[0]
        sentences.append(
            f"{plain(variant)} locks the bus most on {told(profile, line)}: {number(amount / study.operations)} times "
            "an operation."
        )
    return sentences


def _unused(study: CacheStudy, variant: str, profile: Profile) -> list[str]:
    """Return which line brings most bytes that nobody reads, where that is worth a thought about the layout."""
    total, misses = study.total(variant, "d1_bytes_unused"), study.total(variant, "d1_misses")
    rows = ranked(profile, "d1_bytes_unused")
    if not rows or misses < FEW:
        return []
    line, amount = rows[0]
    share = amount / study.operations / total
    return [
        f"{plain(variant)} throws out {number(total / misses)} bytes unread for each line that it brings in; "
        f"{100 * share:.0f} % of them come by {told(profile, line)}."
    ]


def _changes(study: CacheStudy, before: str, after: str) -> list[str]:
    less: list[str] = []
    more: list[str] = []
    for counter in COUNTERS:
        one, other = study.total(before, counter), study.total(after, counter)
        if max(one, other) >= FEW and abs(other - one) > NOTABLE * max(one, other):
            (less if other < one else more).append(f"{NAMES[counter]} ({number(one)} → {number(other)})")
    if not less and not more:
        return [f"From {plain(before)} to {plain(after)} no count changes by {100 * NOTABLE:.0f} % or more."]
    parts = [f"{word} {', '.join(names)}" for word, names in (("fewer", less), ("more", more)) if names]
    return [f"From {plain(before)} to {plain(after)} an operation has {' and '.join(parts)}."]


def _mix_outcome(study: CacheStudy, left_out: list[str]) -> Outcome:
    """Return what the machine code alone tells."""
    findings = [f"No cache was simulated: {study.reason}."]
    for variant, profile in study.found.items():
        sums: dict[str, float] = {}
        for counters in profile.counters.values():
            for name, amount in counters.items():
                sums[name] = sums.get(name, 0.0) + amount
        kinds = ", ".join(f"{sums[name]:.0f} {name}" for name in sorted(sums) if name != profile.main)
        findings.append(f"{plain(variant)} has {sums.get(profile.main, 0.0):,.0f} instructions in its code: {kinds}.")
    variant, profile = list(study.found.items())[-1]
    rows = ranked(profile, "loads") or ranked(profile, profile.main)
    most = f", most loads on {told(profile, rows[0][0])}" if rows else ""
    headline = f"The machine code of {plain(study.kernel)}/{plain(variant)} is read, no cache is simulated{most}"
    return Outcome(headline=headline, findings=[*findings, *left_out])
