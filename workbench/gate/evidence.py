"""What a gate judges: for each cell the log differences of its blocks, by process, between the arms. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from workbench.gate.margins import Margins
from workbench.measure.results import compare, differences, statistic_of
from workbench.record import Replicate

Groups = list[list[float]]  # one list a process, one number a block

CONTROL = "gate_control"  # the name of the control kernel


@dataclass(frozen=True)
class Arms:
    """The labels of the three sides: `again` is the code of `base` a second time, None where there is no such arm."""

    base: str
    candidate: str
    again: str | None = None


@dataclass(frozen=True)
class Cell:
    """One metric of one variant; `base`, `candidate` and `again` are the names of its sides in the blocks."""

    kernel: str
    variant: str
    metric: str
    statistic: str
    base: str
    candidate: str
    again: str | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what the cell is of, whichever the arms."""
        return (self.kernel, self.variant, self.metric, self.statistic)

    @property
    def name(self) -> str:
        """Return ``kernel/variant``."""
        return f"{self.kernel}/{self.variant}"


@dataclass(frozen=True)
class Evidence:
    """A cell with what was measured of it, as natural logarithms: candidate less base, base again less base."""

    cell: Cell
    margin: float
    differences: Groups
    again: Groups
    same_code: bool | None = None  # None where the machine code of a side is not known

    @property
    def is_control(self) -> bool:
        """Return whether this is the kernel that nobody changes."""
        return self.cell.kernel == CONTROL


def gather(
    replicates: Sequence[Replicate], arms: Arms, margins: Margins, names: Collection[str] | None = None
) -> list[Evidence]:
    """Return the evidence of every variant that base and candidate share: of those in `names`, and the control.

    A percentile with too few samples in a block, or below the clock's floor, is no cell.
    """
    sides = dict.fromkeys(side.variant for each in replicates for block in each.blocks for side in block.sides)
    found = []
    for side in sides:
        name, _, label = side.partition("@")
        candidate, again = f"{name}@{arms.candidate}", f"{name}@{arms.again}" if arms.again else None
        kernel = name.split("/")[0]
        wanted = names is None or name in names or kernel == CONTROL
        if label == arms.base and candidate in sides and wanted:
            found += _of_variant(replicates, side, candidate, again if again in sides else None, margins)
    return found


def _of_variant(
    replicates: Sequence[Replicate], base: str, candidate: str, again: str | None, margins: Margins
) -> list[Evidence]:
    kernel, variant = base.partition("@")[0].split("/")
    step_ns = max(replicate.clock.step_ns for replicate in replicates)
    found = []
    for row in compare(replicates, base, candidate):
        statistic = statistic_of(row.metric, row.statistic, step_ns)
        found.append(
            Evidence(
                cell=Cell(kernel, variant, row.metric, row.statistic, base, candidate, again),
                margin=margins.of(kernel, row.metric, row.statistic),
                differences=differences(replicates, base, candidate, statistic),
                again=differences(replicates, base, again, statistic) if again else [],
                same_code=same_code(replicates, base, candidate),
            )
        )
    return found


def same_code(replicates: Sequence[Replicate], base: str, candidate: str) -> bool | None:
    """Return whether both sides had the same machine code in all processes; None where a hash is missing."""
    first = {replicate.code_hash.get(base) for replicate in replicates if _has(replicate, base)}
    second = {replicate.code_hash.get(candidate) for replicate in replicates if _has(replicate, candidate)}
    if not first or not second or {None, ""} & (first | second):
        return None
    return len(first) == 1 and first == second


def _has(replicate: Replicate, variant: str) -> bool:
    return any(side.variant == variant for block in replicate.blocks for side in block.sides)
