"""The conclusion of a profile of time, in words: which lines, what changed between variants, what the tools cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.figures.flame import tree_of
from workbench.figures.tool_costs import ToolCost
from workbench.gate.outcome import Outcome
from workbench.profile.cpu_tools import OWN
from workbench.profile.profile import Profile

TOP_LINES = 3
_SLOWDOWNS = {
    OWN: ("slowdown", "estimated_slowdown"),
    "py-spy": ("wall_slowdown",),
    "perf": ("cpu_slowdown",),
    "scalene": ("cpu_slowdown",),
}
"""What tells a tool's cost: CPU time, which other programs do not change; py-spy stops its target, and only the wall's
time shows that."""

WORTH_TELLING = 0.02  # a change of a function's share below two percentage points is the noise of sampling


@dataclass(frozen=True)
class CpuProfiles:
    """The profiles by (variant, tool), in the order in which they were asked for, and why the others are absent."""

    kernel: str
    found: dict[tuple[str, str], Profile] = field(default_factory=dict)
    absent: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def variants(self) -> list[str]:
        """Return the variants that have a profile by any tool."""
        return list(dict.fromkeys(variant for variant, _ in self.found))

    def best(self, variant: str) -> Profile:
        """Return the sampler's profile of `variant`, else that of the first tool that took one."""
        return next(profile for (name, _), profile in self._own_first() if name == variant)

    def _own_first(self) -> list[tuple[tuple[str, str], Profile]]:
        return sorted(self.found.items(), key=lambda item: item[0][1] != OWN)


def agreement(one: Profile, other: Profile) -> float:
    """Return how far two profiles tell the same: the sum over lines of the smaller of both shares, 0 .. 1."""
    ours, theirs = one.shares_by_source(), other.shares_by_source()
    return sum(min(share, theirs.get(line, 0.0)) for line, share in ours.items())


def costs_of(profiles: CpuProfiles) -> list[ToolCost]:
    """Return what each tool cost, those that are absent last."""
    costs = []
    for (variant, tool), profile in profiles.found.items():
        own = profiles.found.get((variant, OWN))
        over = profile.overhead
        costs.append(
            ToolCost(
                tool,
                variant,
                next((over[name] for name in _SLOWDOWNS.get(tool, ()) if name in over), None),
                over.get("samples"),
                agreement(own, profile) if own is not None and tool != OWN and own.total else None,
                over.get("tool_cpu_s") or None,
            )
        )
    return costs + [ToolCost(tool, variant, absent=why) for (variant, tool), why in profiles.absent.items()]


def cpu_outcome(profiles: CpuProfiles) -> Outcome:
    """Return the conclusion: the line that takes most, each variant's lines, what changed, the tools and their cost."""
    findings = [sentence for variant in profiles.variants for sentence in _lines(variant, profiles.best(variant))]
    for before, after in zip(profiles.variants, profiles.variants[1:], strict=False):
        findings += _changes(before, after, profiles.best(before), profiles.best(after))
    findings += [_cost_words(cost) for cost in costs_of(profiles) if not cost.absent]
    findings += _missing(profiles.absent)
    if not profiles.variants:
        return Outcome(headline=f"No line of {profiles.kernel} could be timed.", findings=findings)
    variant = profiles.variants[-1]
    return Outcome(headline=_headline(f"{profiles.kernel}/{variant}", profiles.best(variant)), findings=findings)


def _headline(name: str, profile: Profile) -> str:
    ranked = _ranked(profile)
    if not ranked:
        return f"No sample of {name} fell on compiled code."
    place, share, source, function = ranked[0]
    return f"{name} spends {100 * share:.0f} % of its time on {place} in {function}{_quoted(source)}"


def _lines(variant: str, profile: Profile) -> list[str]:
    ranked = _ranked(profile)[:TOP_LINES]
    if not ranked:
        return []
    return [f"{variant}: {100 * share:.0f} % {place}{_quoted(source)}" for place, share, source, _ in ranked]


def _ranked(profile: Profile) -> list[tuple[str, float, str, str]]:
    """Return (place, share, source, function) by line, most first."""
    examples = {(line.file, line.line): line for line in profile.counters}
    shares = profile.shares_by_source()
    ranked = sorted((key for key in shares if shares[key] > 0), key=lambda key: (-shares[key], key))
    return [
        (
            f"{Path(key[0]).name}:{key[1]}" if key[1] else "code without lines",
            shares[key],
            profile.source(examples[key]).strip(),
            examples[key].function,
        )
        for key in ranked
    ]


def _quoted(source: str) -> str:
    return f": {source if len(source) <= 90 else source[:89] + '…'}" if source else ""


def _changes(before: str, after: str, one: Profile, other: Profile) -> list[str]:
    """Return what changed most in the functions' own shares from one variant to the next."""
    ours, theirs = _own_by_function(one), _own_by_function(other)
    changes = {name: theirs.get(name, 0.0) - ours.get(name, 0.0) for name in {*ours, *theirs}}
    ranked = sorted((name for name in changes if abs(changes[name]) >= WORTH_TELLING), key=lambda n: -abs(changes[n]))
    if not ranked:
        return [f"From {before} to {after} no function's share changes by {100 * WORTH_TELLING:.0f} points or more."]
    told = ", ".join(
        f"{name} {100 * ours.get(name, 0.0):.0f} → {100 * theirs.get(name, 0.0):.0f} %" for name in ranked[:TOP_LINES]
    )
    return [f"From {before} to {after} the shares of the functions themselves change most in {told}."]


def _own_by_function(profile: Profile) -> dict[str, float]:
    root = tree_of(profile, lines=False)
    own: dict[str, float] = {}
    waiting = list(root.below.values())
    while waiting:
        box = waiting.pop()
        waiting += box.below.values()
        own[box.name] = own.get(box.name, 0.0) + box.own / root.amount
    return own


def _cost_words(cost: ToolCost) -> str:
    told = []
    if cost.slowdown is not None:
        change = 100 * (cost.slowdown - 1)
        told.append(f"a call took {change:+.1f} % while it watched".replace("-", "\N{MINUS SIGN}"))
    if cost.own_cpu_s is not None:
        told.append(f"it used {cost.own_cpu_s:.2g} s of CPU itself")
    if cost.samples is not None:
        told.append(f"{cost.samples:,.0f} samples")
    if cost.agreement is not None:
        told.append(f"its lines' shares are {100 * cost.agreement:.0f} % those of the sampler")
    return f"{cost.tool} on {cost.variant}: {', '.join(told) or 'it tells nothing of its cost'}."


def _missing(absent: Mapping[tuple[str, str], str]) -> Sequence[str]:
    """Return a sentence for each reason why something is missing; one reason of several variants is told once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for (variant, tool), why in absent.items():
        reasons.setdefault((tool, why), []).append(variant)
    return [f"Missing: {tool} ({', '.join(variants)}), since {why}." for (tool, why), variants in reasons.items()]
