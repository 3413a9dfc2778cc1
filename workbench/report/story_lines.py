"""Where the time of a variant goes, in ns per operation: by line and by function, so that two variants compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.record import Run
from workbench.report.findings import find
from workbench.report.story_profiles import Profiles

if TYPE_CHECKING:
    from workbench.profile.profile import Profile


@dataclass(frozen=True)
class LineCost:
    """One line: its share of the samples, that share of an operation's mean time, and its simulated misses."""

    place: str  # file:line
    source: str
    share: float
    ns: float
    misses: float | None  # L1 data misses per operation; None where nothing was simulated


def costly_lines(
    run: Run, kernel: str, variant: str, lines: Profiles, simulated: Profiles, count: int
) -> list[LineCost]:
    """Return the `count` lines of `variant` with most samples, most first; none where it was not sampled.

    The time of a line is its share of all samples in compiled code times the measured mean of an operation.
    """
    profile = lines.found.get(variant)
    mean = find(run, kernel, variant, "service_time", "batch_mean")
    if profile is None or mean is None:
        return []
    misses = _misses(simulated.found.get(variant), simulated.operations)
    shares = profile.shares_by_source()
    examples = {(line.file, line.line): line for line in profile.counters}
    ranked = sorted(shares, key=lambda key: (-shares[key], key))[:count]
    return [
        LineCost(
            f"{Path(key[0]).name}:{key[1]}" if key[1] else examples[key].function,
            profile.source(examples[key]).strip(),
            shares[key],
            shares[key] * mean.value,
            None if misses is None else misses.get(key, 0.0),
        )
        for key in ranked
        if shares[key] > 0
    ]


def _misses(profile: Profile | None, operations: int) -> dict[tuple[str, int], float] | None:
    """Return the L1 data misses per operation by (file, line); None where nothing was simulated."""
    if profile is None or not operations:
        return None
    return _summed(profile, lambda line: (line.file, line.line), "d1_misses", 1 / operations)


def functions_ns(run: Run, kernel: str, variant: str, lines: Profiles) -> dict[str, float]:
    """Return the ns per operation that fall on the lines of each function, inlined or not; empty if not sampled.

    Variants give the same part the same name, so that what a step changed shows by function where lines moved.
    """
    profile = lines.found.get(variant)
    mean = find(run, kernel, variant, "service_time", "batch_mean")
    if profile is None or mean is None or not profile.total:
        return {}
    return _summed(profile, lambda line: line.function, profile.main, mean.value / profile.total)


def _summed(profile: Profile, key: Callable[[Any], Any], counter: str, scale: float) -> dict[Any, float]:
    found: dict[Any, float] = {}
    for line, counters in profile.counters.items():
        found[key(line)] = found.get(key(line), 0.0) + scale * counters.get(counter, 0.0)
    return found
