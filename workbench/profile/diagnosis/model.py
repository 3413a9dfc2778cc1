"""What a diagnosis is made of: a suspicion with its evidence, the fix that is tried, its measured effect."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Rewrite = Callable[[ast.FunctionDef], bool]  # changes the function in place; False when it found nothing to change

PAYS_FROM = 1.05
"""A fix counts as paying when the whole interval of its speed-up lies above this. Two builds lie at other addresses,
and that alone makes code some percent faster or slower (Mytkowicz et al., "Producing wrong data without doing anything
obviously wrong", ASPLOS 2009); an interval from one process does not know of it.
"""


@dataclass(frozen=True)
class Fix:
    """A change that can be tried: other options, another source, other arguments, or several of them."""

    label: str  # what a person would write, as ``error_model='numpy'``
    options: dict[str, Any] = field(default_factory=dict)
    rewrite: Rewrite | None = None
    arguments: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None
    tolerance: float = 0.0  # how far floats may move, relative to the largest
    guard: bool = False  # run once with bounds checks before it is run for real: it could read out of bounds
    any_signature: bool = False  # drop the signatures given to ``njit``, so that the arguments decide


@dataclass(frozen=True)
class Effect:
    """What a fix did, measured: `speedup` is old time over new time, so above 1 means that the fix is faster."""

    fix: str
    speedup: float
    low: float
    high: float
    blocks: int
    difference: float  # largest difference of the results, relative to the largest value
    agrees: bool  # the results are the same, within the fix's tolerance
    unit: str = "time of a call"
    refused: str = ""  # why it was not timed, as one sentence; the figures are then 1

    @property
    def pays(self) -> bool:
        """Whether the fix is faster beyond doubt and changes no result."""
        return self.agrees and not self.refused and self.low > PAYS_FROM

    def __str__(self) -> str:
        if self.refused:
            return self.refused
        if self.low <= 1.0 <= self.high and self.low < self.high:
            told = f"no gain that the timing can tell ({self.speedup:.2f}× [{self.low:.2f}, {self.high:.2f}])"
        elif self.speedup >= 1.0:
            told = f"{self.speedup:.2f}× faster [{self.low:.2f}, {self.high:.2f}]"
        else:
            told = f"{1 / self.speedup:.2f}× slower [{1 / self.high:.2f}, {1 / self.low:.2f}]"
        if not self.agrees:
            return f"{told}, but the results differ by {self.difference:.2g} of the largest value"
        return told if self.difference == 0 else f"{told}; results move by {self.difference:.1g} of the largest value"


@dataclass(frozen=True)
class Suspicion:
    """What the typed IR, the LLVM IR or the machine code shows, and what could be done about it."""

    check: str  # the name of the check: its file
    lines: tuple[int, ...]  # of the function's source file
    what: str  # one sentence for a person
    evidence: str  # what was read, and where
    fix: str  # what to write instead
    tries: tuple[Fix, ...] = ()  # smallest change first
    measured: Callable[[], Effect] | None = None  # where timing two builds is not how its effect shows
    stands: bool = False  # reported whatever the fix gains: it is wrong, not only slow


@dataclass(frozen=True)
class Finding:
    """A suspicion that was confirmed or dismissed, with every effect that was measured; the best stands first."""

    suspicion: Suspicion
    effects: tuple[Effect, ...]
    confirmed: bool

    @property
    def check(self) -> str:
        """Return the name of the check."""
        return self.suspicion.check

    @property
    def lines(self) -> tuple[int, ...]:
        """Return the source lines."""
        return self.suspicion.lines

    @property
    def best(self) -> Effect | None:
        """Return the effect of the smallest change that pays, else of the one that came closest; None if none tried."""
        return self.effects[0] if self.effects else None

    @property
    def speedup(self) -> float:
        """Return the measured speed-up of the best fix; 1 where none could be tried."""
        return self.best.speedup if self.best else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return what a record stores."""
        best = self.best
        return {
            "check": self.check,
            "lines": list(self.lines),
            "what": self.suspicion.what,
            "evidence": self.suspicion.evidence,
            "fix": self.suspicion.fix,
            "confirmed": self.confirmed,
            "tried": best.fix if best else None,
            "speedup": best.speedup if best else None,
            "low": best.low if best else None,
            "high": best.high if best else None,
            "difference": best.difference if best else None,
            "unit": best.unit if best else None,
            "told": str(best) if best else None,
        }


@dataclass(frozen=True)
class Findings:
    """The findings for one function and one set of arguments."""

    name: str
    file: str
    first_line: int
    source_lines: tuple[str, ...]
    signature: str
    findings: tuple[Finding, ...]  # confirmed: by a fix that pays, or by evidence that needs none
    dismissed: tuple[Finding, ...]  # seen in the code, but the fix gains nothing here, or changes the result
    seconds: float

    def on_line(self, line: int) -> list[Finding]:
        """Return the confirmed findings that concern a line."""
        return [finding for finding in self.findings if line in finding.lines]

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        return {
            "function": self.name,
            "signature": self.signature,
            "findings": [finding.as_dict() for finding in self.findings],
            "dismissed": [finding.as_dict() for finding in self.dismissed],
        }
