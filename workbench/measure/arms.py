"""The arms of a comparison in turns, and what of them can be compared. Pure: no process, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.measure.driver import Request

if TYPE_CHECKING:
    from workbench.measure.turns_job import Built, Ready


@dataclass(frozen=True)
class Arm:
    """One side of a comparison in turns."""

    label: str  # stands after @ in the names of what was measured
    paths: tuple[str, ...] = ()  # folders from which its kernels are imported before any other
    selectors: tuple[str, ...] = ()  # KERNEL/VARIANT that it runs for each of the request's; empty: the request's own
    environment: tuple[tuple[str, str | None], ...] = ()  # over the variables of this process; None takes one away
    parameters: tuple[tuple[str, int | str], ...] = ()  # of the kernels, beside and before those of the request

    def __post_init__(self) -> None:
        if not self.label or "/" in self.label or "@" in self.label:
            raise InputError(f"an arm cannot be called {self.label!r}: give it a name without / and @")


@dataclass(frozen=True)
class Cell:
    """What is compared: a variant, under one name, as each arm runs it."""

    kernel: str
    variant: str
    runs: tuple[str, ...]  # kernel/variant by arm
    peer: bool
    operations: int  # of one replay, in every arm

    @property
    def name(self) -> str:
        """Return ``kernel/variant``."""
        return f"{self.kernel}/{self.variant}"


def match_cells(request: Request, arms: Sequence[Arm], ready: Sequence[Ready]) -> tuple[list[Cell], list[str]]:
    """Return what can be compared between all arms, and notes on what cannot.

    Raises InputError where nothing can, or where the arms make other work of the same input.
    """
    notes = list(dict.fromkeys(note for each in ready for note in each.notes))
    if len({each.workload.sha256 for each in ready}) > 1:
        raise InputError("the arms were given other events under the same name: nothing can be compared")
    wanted, missed = _pairs(request, arms, ready)
    cells = []
    for name, runs in wanted:
        counts = [each.operations[run] for each, run in zip(ready, runs, strict=True)]
        if len(set(counts)) > 1:
            told = ", ".join(f"{count:,} in {arm.label}" for arm, count in zip(arms, counts, strict=True))
            raise InputError(f"{name} makes another number of operations of the same input ({told}): not comparable")
        peers = {each.name: each.peer for each in ready[0].chosen}
        kernel, _, variant = name.partition("/")
        cells.append(Cell(kernel, variant, runs, peers[runs[0]], counts[0]))
    return cells, notes + missed


def _pairs(
    request: Request, arms: Sequence[Arm], ready: Sequence[Ready]
) -> tuple[list[tuple[str, tuple[str, ...]]], list[str]]:
    """Return each cell's name with what every arm runs for it, and what is not in all arms."""
    if any(arm.selectors for arm in arms):
        columns = [arm.selectors or tuple(request.selectors) for arm in arms]
        if {len(column) for column in columns} != {len(request.selectors)}:
            raise InputError("every arm has to run one variant for each of the request's: give as many")
        if not all("/" in name for column in (request.selectors, *columns) for name in column):
            raise InputError("an arm with selectors of its own needs KERNEL/VARIANT in all of them")
        return [(name, tuple(column[i] for column in columns)) for i, name in enumerate(request.selectors)], []
    there = [[chosen.name for chosen in each.chosen] for each in ready]
    shared = [name for name in there[0] if all(name in names for names in there)]
    missed = [
        f"{name} is in {arm.label} alone: left out" if len(arms) == 2 else f"{name} is not in all arms: left out"
        for arm, names in zip(arms, there, strict=True)
        for name in names
        if name not in shared
    ]
    if not shared:
        raise InputError(f"{', '.join(arm.label for arm in arms)} share no variant of {' '.join(request.selectors)}")
    return [(name, (name,) * len(arms)) for name in shared], list(dict.fromkeys(missed))


def differing_parameters(cells: Sequence[Cell], arms: Sequence[Arm], built: Sequence[Built]) -> list[str]:
    """Return a note for each parameter that is not the same in all arms, as after a new default.

    What an arm was given is meant to differ, and is not told.
    """
    notes = []
    meant = {name for arm in arms for name, _ in arm.parameters}
    for cell in cells:
        by_arm = [each.parameters[kernel_of(run)] for each, run in zip(built, cell.runs, strict=True)]
        for name in dict.fromkeys(name for parameters in by_arm for name in parameters):
            values = [str(parameters.get(name, "absent")) for parameters in by_arm]
            if len(set(values)) > 1 and name not in meant:
                told = ", ".join(f"{value} in {arm.label}" for arm, value in zip(arms, values, strict=True))
                notes.append(f"{cell.kernel}: the parameter {name} is {told}")
    return list(dict.fromkeys(notes))


def kernel_of(name: str) -> str:
    """Return the kernel of ``kernel/variant``."""
    return name.split("/")[0]
