"""A gate between two sides of the same kernels: measures, screens, looks once more, confirms, and concludes.

What is measured are three arms in turns: the base, the base again, the candidate, with the control kernel in each.
Every step after the first is planned here and happens at most once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workbench import policy, record
from workbench.errors import InputError, WorkbenchError
from workbench.gate.conclude import conclude
from workbench.gate.evidence import CONTROL, Arms, Evidence, gather
from workbench.gate.instructions import Counts, instruction_cells
from workbench.gate.judge import Screening, confirm, escalate, invalidate, is_busy, judge_controls, screen
from workbench.gate.margins import Margins
from workbench.measure.arms import Arm
from workbench.measure.driver import Report, Request
from workbench.record import Verdict

CONTROL_MODULE, CONTROL_VARIANT = "workbench.gate.control", f"{CONTROL}/baseline"
MOST_FUNCTIONS = 5  # that are named
MakeProgress = Callable[[], Any]  # a new workbench.measure.progress.Progress for each measurement
Look = Callable[[Request, Sequence[Arm], Any], tuple[Sequence[Any], list[str]]]  # VariantCode of each, and notes
Measure = Callable[[Request, Sequence[Arm], Any, Mapping[str, Any], int], Report]
Count = Callable[[Request, Sequence[Arm], Sequence[str]], Counts]


@dataclass(frozen=True)
class Options:
    """What a person may change of a gate."""

    margins: Margins = field(default_factory=Margins)
    every: bool = False  # also time variants whose machine code is the same on both sides
    timing: bool = True
    instructions: bool = False
    budgets: Sequence[Any] = ()  # of workbench.gate.budgets
    budgets_block: bool = False
    commits: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True)
class GateResult:
    """What a gate concluded, and the runs that it rests on, in their order."""

    gate: record.Gate
    runs: list[record.Run]


@dataclass
class _Measured:
    """What was measured so far."""

    reports: list[Report] = field(default_factory=list)
    controls: list[record.GateCell] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        return any(control.flagged for control in self.controls) or is_busy(self.other_load_cores)

    @property
    def other_load_cores(self) -> float | None:
        """The most that other programs kept busy in any measurement."""
        return max((load for each in self.reports if (load := each.other_load_cores) is not None), default=None)


class Gate:
    """One gate run. `run` blocks, and Ctrl-C ends it with nothing kept.

    `base` and `candidate` may be the same code, or run other variants under the request's names (`Arm.selectors`).
    `look`, `measure` and `count` are `codes.codes_in_arms`, `turns.measure_in_turns` and
    `instructions.count_instructions` unless others are given; `measure` takes the request, the arms, a progress, the
    shares of the measurement before, by variant, and how many replicates there were.
    """

    def __init__(
        self,
        request: Request,
        base: Arm,
        candidate: Arm,
        options: Options,
        make_progress: MakeProgress,
        *,
        look: Look | None = None,
        measure: Measure | None = None,
        count: Count | None = None,
    ):
        self._request, self._options, self._make_progress = request, options, make_progress
        self._sides = (base, candidate)
        label = f"{base.label} (again)"
        while label == candidate.label:  # which has the base's name where it is the same revision
            label += " (again)"
        again = replace(base, label=label)
        self._arms = (base, again, candidate)
        self._labels = Arms(base.label, candidate.label, again.label)
        self._look = look or _codes_in_arms
        self._measure, self._count = measure or _measure_in_turns, count or _count_instructions
        self._measured = _Measured()
        self._functions: dict[str, list[str]] = {}  # whose machine code changed, by kernel/variant
        self._states: set[str] = set()  # the kernel/variant with the same machine code and another state
        self._failing: list[str] = []  # kernel/variant

    def run(self) -> GateResult:
        """Return the conclusion. Raises InputError, WorkbenchError, CancelledError."""
        began = time.monotonic()
        changed, same = self._code_look()
        names = [*changed, *same] if self._options.every else changed
        cells = self._time(names) if names and self._options.timing else []
        if self._options.instructions and names:
            counts = self._counted(names)
            self._measured.notes += counts.notes
            cells += instruction_cells(counts, self._labels, self._options.margins)
        runs = [self._run_of(report) for report in self._measured.reports]
        gate = conclude(
            machine=runs[0].machine if runs else self._machine(),
            mode="revisions",
            labels=self._labels,
            commits=self._options.commits,
            cells=[self._with_functions(cell) for cell in cells],
            controls=self._measured.controls,
            other_load_cores=self._measured.other_load_cores,
            same_code=[] if self._options.every else same,
            unjudged=[
                *self._failing,
                *(name for name in names if not any(cell.a.startswith(f"{name}@") for cell in cells)),
            ],
            budgets=self._options.budgets,
            budgets_block=self._options.budgets_block,
            runs=runs,
            notes=self._measured.notes,
            duration_s=time.monotonic() - began,
        )
        return GateResult(gate, runs)

    def _code_look(self) -> tuple[list[str], list[str]]:
        """Return the variants that both sides have: those with changed code or state, and the others. No peers.

        One that neither side can build is not judged; one that both refuse, as they are asked to run it, is left out.
        Raises WorkbenchError for a variant that the candidate has broken.
        """
        codes, notes = self._look(self._request, self._sides, self._make_progress())
        self._measured.notes += notes
        changed: list[str] = []
        same: list[str] = []
        for code in codes:
            if not code.everywhere:
                here = next(arm.label for arm, own in zip(self._sides, code.codes, strict=True) if own is not None)
                self._measured.notes.append(f"{code.name} is in {here} alone: there is nothing to compare it with")
            elif code.failures[1] and not code.failures[0]:
                raise WorkbenchError(f"{code.name} is broken in {self._labels.candidate}: {code.failures[1]}")
            elif all(code.failures) and not all(each.unfit for each in code.codes):
                self._failing.append(code.name)
                self._measured.notes.append(f"{code.name} fails on both sides: {code.failures[1]}")
            elif all(code.failures):
                self._measured.notes.append(f"{code.name} was left out: {code.failures[1]}")
            elif code.failures[0]:
                self._measured.notes.append(f"{code.name} has no machine code in {self._labels.base}: left out")
            else:
                (same if code.same else changed).append(code.name)
                self._functions[code.name] = code.changed_functions()
                if code.state_alone:
                    self._states.add(code.name)
                    self._measured.notes.append(f"{code.name}: the same machine code, other parameters or state")
        if not changed and not same:
            told = "".join(f"; {note}" for note in self._measured.notes)
            raise InputError(f"{self._labels.base} and {self._labels.candidate} share nothing to gate{told}")
        return changed, same

    def _time(self, names: Sequence[str]) -> list[record.GateCell]:
        """Measure up to three times, and return the final cells."""
        first = self._measured_evidence(names, self._request.replicates)
        screening = screen(first)
        open_ = screening.open
        if open_ and not self._measured.moved:
            screening = self._escalate(screening, open_)
        fresh: list[Evidence] = []
        if screening.flagged and not self._measured.moved:
            fresh = self._measured_evidence(screening.flagged, policy.CONFIRMING_REPLICATES)
        return invalidate(confirm(screening, fresh), self._measured.controls, self._measured.other_load_cores)

    def _escalate(self, screening: Screening, names: Sequence[str]) -> Screening:
        self._measured_evidence(names, policy.ESCALATION_FACTOR * self._request.replicates)
        if self._measured.moved:
            return screening
        replicates = [outcome.replicate for report in self._measured.reports for outcome in report.outcomes]
        return escalate(screening, self._gathered(replicates, names))

    def _measured_evidence(self, names: Sequence[str], replicates: int) -> list[Evidence]:
        """Measure `names` and the control in turns, judge the controls of it, and return the evidence.

        Every measurement after the first does the same work in each block as the first one did.
        """
        request = replace(
            self._request,
            selectors=[*names, CONTROL_VARIANT],
            modules=[*self._request.modules, CONTROL_MODULE],
            replicates=replicates,
            seconds=self._request.seconds * replicates / self._request.replicates,
        )
        arms = [self._narrowed(arm, names) for arm in self._arms]
        before = self._measured.reports
        plans = before[0].outcomes[0].shares if before else {}
        done = sum(len(each.outcomes) for each in before)
        report = self._measure(request, arms, self._make_progress(), plans, done)
        self._measured.reports.append(report)
        self._measured.notes += [note for note in report.notes if note not in self._measured.notes]
        found = self._gathered([each.replicate for each in report.outcomes])
        self._measured.controls += judge_controls(found)
        return found

    def _gathered(self, replicates: Sequence[record.Replicate], names: Sequence[str] | None = None) -> list[Evidence]:
        """Return the evidence; where the state changed, the same machine code is no proof that nothing did."""
        found = gather(replicates, self._labels, self._options.margins, names)
        return [replace(each, same_code=False) if each.cell.name in self._states else each for each in found]

    def _with_functions(self, cell: record.GateCell) -> record.GateCell:
        """Return `cell`, which names what changed where it is SLOWER."""
        changed = self._functions.get(cell.b.partition("@")[0], [])
        if cell.verdict is not Verdict.SLOWER or not changed:
            return cell
        more = f" and {len(changed) - MOST_FUNCTIONS} more" if len(changed) > MOST_FUNCTIONS else ""
        told = f"changed machine code: {', '.join(changed[:MOST_FUNCTIONS])}{more}"
        return cell.model_copy(update={"reason": f"{cell.reason}; {told}" if cell.reason else told})

    def _narrowed(self, arm: Arm, names: Sequence[str]) -> Arm:
        """Return `arm` for `names` and the control only, where it runs other variants under these names."""
        if not any(each.selectors for each in self._arms):
            return arm
        runs = dict(zip(self._request.selectors, arm.selectors or self._request.selectors, strict=True))
        return replace(arm, selectors=(*(runs[name] for name in names), CONTROL_VARIANT))

    def _counted(self, names: Sequence[str]) -> Counts:
        progress = self._make_progress()
        try:
            progress.advance(0.0, f"count the instructions of {len(names)} variants on both sides")
            return self._count(self._request, self._sides, names)
        finally:
            progress.close()

    def _machine(self) -> record.Machine:
        from workbench.measure.machine import fingerprint

        return fingerprint()

    def _run_of(self, report: Report) -> record.Run:
        from workbench.measure.runs import build_run

        names = dict.fromkeys(f"{each.kernel}/{each.variant.partition('@')[0]}" for each in report.outcomes[0].chosen)
        others = (self._labels.again, self._labels.candidate)
        return build_run(
            report, [(f"{name}@{self._labels.base}", f"{name}@{label}") for name in names for label in others]
        )


def _codes_in_arms(request: Request, arms: Sequence[Arm], progress: Any) -> tuple[Sequence[Any], list[str]]:
    from workbench.measure.codes import codes_in_arms

    return codes_in_arms(request, arms, progress)


def _measure_in_turns(
    request: Request, arms: Sequence[Arm], progress: Any, shares: Mapping[str, Any], first_replicate: int
) -> Report:
    from workbench.measure.plan import Plan
    from workbench.measure.turns import measure_in_turns

    plans = {name: Plan(share.blocks, share.repeats) for name, share in shares.items()}
    return measure_in_turns(request, arms, progress, plans=plans, first_replicate=first_replicate)


def _count_instructions(request: Request, arms: Sequence[Arm], names: Sequence[str]) -> Counts:
    from workbench.gate.instructions import count_instructions

    return count_instructions(request, arms, names)
