"""What is measured in a trial, and what the gate has to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
MODULES = ["proof.dosed_kernel", "workbench.gate.control"]
SUBJECT = "dosed/base"
CONTROL = "gate_control/baseline"

BASE, AGAIN = "base", "again"  # the same code twice: the sides of every judgement, and the A/A arm
SAME = "same"  # the same code a third time, judged as a candidate: what fires here is a false alarm

STATISTICS = ("mean", "p50", "p99", "p999")  # mean: ns per operation of whole runs, which is throughput


@dataclass(frozen=True)
class Candidate:
    """One arm that is judged against the base: its variant, and where the gate has to fire and where it must not."""

    label: str
    words: str
    dose_percent: float | None = None  # of every call, where that is what it does
    must_fire: tuple[str, ...] = ()
    must_not_fire: tuple[str, ...] = ()

    @property
    def selector(self) -> str:
        """Return what this arm runs, as kernel/variant."""
        return SUBJECT if self.label == SAME else f"dosed/{self.label}"


def _dose(percent: int) -> Candidate:
    fires = ("mean", "p50") if percent > 3 else ()
    quiet = STATISTICS if percent < 3 else ("p99", "p999") if percent < 10 else ()
    words = f"{percent} % more rounds in every call"
    return Candidate(f"dose_{percent}", words, float(percent), must_fire=fires, must_not_fire=quiet)


CANDIDATES = {
    candidate.label: candidate
    for candidate in (
        Candidate(SAME, "identical code", 0.0, must_not_fire=STATISTICS),
        *map(_dose, (1, 2, 3, 5, 10)),
        Candidate("stalled_2_percent", "2 % of the calls stalled", None, ("p99",), ("p50",)),
        Candidate("stalled_half_percent", "0.5 % of the calls stalled", None, ("p999",), ("p50", "p99")),
        Candidate("longer_tail", "the long 3 % of the calls take 20 % longer", None, ("p99",), ("p50",)),
    )
}
