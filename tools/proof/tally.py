"""What the stored trials come to: counts, shares and their bounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import beta

from proof import logs, rivals
from proof.arms import BASE, SAME, STATISTICS

Record = Mapping[str, Any]

INVALID, SLOWER, FASTER, UNCHANGED = "ENVIRONMENT INVALID", "SLOWER", "FASTER", "UNCHANGED"
UNRESOLVED = "UNRESOLVED"


@dataclass(frozen=True)
class Share:
    """`hits` of `count`, with bounds of Clopper and Pearson (Biometrika 26, 1934), which never promise too much."""

    hits: int
    count: int

    @property
    def upper(self) -> float:
        """Return the one-sided 95 % upper bound of the true share; 1 without a trial."""
        return 1.0 if self.hits >= self.count else float(beta.ppf(0.95, self.hits + 1, self.count - self.hits))

    @property
    def lower(self) -> float:
        """Return the one-sided 95 % lower bound of the true share; 0 without a trial."""
        return 0.0 if self.hits == 0 else float(beta.ppf(0.05, self.hits, self.count - self.hits + 1))

    def __str__(self) -> str:
        return f"{self.hits} of {self.count}"


def gates_of(trials: Sequence[Record], label: str) -> list[Record]:
    """Return what the gate of one candidate said in each trial that has it."""
    return [trial["gates"][label] for trial in trials if label in trial["gates"]]


def share(gates: Sequence[Record], verdict: str, statistics: Sequence[str] = STATISTICS) -> Share:
    """Return in how many gates any cell of `statistics` has `verdict`."""
    hits = sum(
        any(gate["cells"][each]["verdict"] == verdict for each in statistics if each in gate["cells"]) for gate in gates
    )
    return Share(hits, len(gates))


def decided(gates: Sequence[Record]) -> dict[str, int]:
    """Return how many gates came to each verdict as a whole, in the order of the exit codes."""
    order = (UNCHANGED, FASTER, UNRESOLVED, SLOWER, INVALID)
    return {verdict: sum(gate["verdict"] == verdict for gate in gates) for verdict in order}


def judged_by_rivals(trials: Sequence[Record], label: str) -> dict[str, Share]:
    """Return by rival in how many trials its rule reports one candidate as slower, on the samples of the first look."""
    hits = dict.fromkeys(rivals.RULES, 0)
    count = 0
    for trial in trials:
        kept = trial["phases"][0]["logs"]
        if label not in kept:
            continue
        count += 1
        base, candidate = logs.samples(kept, BASE), logs.samples(kept, label)
        for name, rule in rivals.RULES.items():
            hits[name] += rule(base, candidate)
    return {name: Share(each, count) for name, each in hits.items()}


def seconds_alone(trials: Sequence[Record]) -> tuple[list[float], list[float]]:
    """Return how long gates took that had one candidate, of identical code: all of it, and the first look alone."""
    alone = [trial for trial in trials if list(trial["gates"]) == [SAME]]
    return sorted(t["duration_s"] for t in alone), sorted(t["phases"][0]["seconds"] for t in alone)
