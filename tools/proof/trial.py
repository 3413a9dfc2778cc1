"""One trial: all arms measured in turns in fresh processes, then each candidate judged alone, by the gate's own rule.

A real gate measures three arms: base, base again, candidate. Here all candidates share the first two, which makes a
trial of many doses affordable. Nothing of one candidate enters the judgement of another: each is screened, looked at
again where it is open, and confirmed where it is flagged, as if it were the only one.
"""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proof import logs
from proof.arms import AGAIN, BASE, CANDIDATES, CONTROL, MODULES, SAME, SUBJECT, TOOLS
from workbench import policy
from workbench.gate import judge
from workbench.gate.conclude import thresholds, worst_of
from workbench.gate.evidence import Arms, Evidence, gather
from workbench.gate.margins import Margins
from workbench.measure.driver import Report, Request
from workbench.measure.plan import Plan
from workbench.measure.turns import Arm, measure_in_turns
from workbench.record import GateCell, Machine, Replicate

SCHEMA = "workbench/gate-proof/1"
SECONDS_PER_ARM = 2.0  # over six processes: what a gate spends by default on each of its three arms

Measure = Callable[..., Report]


@dataclass
class _Gate:
    """What the gate of one candidate has so far; the other candidates are none of its business."""

    label: str
    screening: judge.Screening
    controls: list[GateCell] = field(default_factory=list)
    other_load_cores: float | None = None  # the most of its measurements

    @property
    def moved(self) -> bool:
        """Return whether a control fired, or other programs were busy: such a gate ends at once."""
        return judge.is_busy(self.other_load_cores) or any(control.flagged for control in self.controls)

    def judge_environment(self, evidence: Sequence[Evidence], other_load_cores: float | None) -> None:
        """Take in what one measurement says of the machine."""
        self.controls += judge.judge_controls(evidence)
        loads = [load for load in (self.other_load_cores, other_load_cores) if load is not None]
        self.other_load_cores = max(loads, default=None)


@dataclass
class Trial:
    """One trial: its candidates, and how they are measured."""

    candidates: tuple[str, ...]
    recording: Path  # the market events that make the input
    make_progress: Callable[[], Any]
    measure: Measure = measure_in_turns
    seconds_per_arm: float = SECONDS_PER_ARM
    phases: list[dict[str, Any]] = field(default_factory=list)
    report: Report | None = None  # of the first look
    other_load_cores: float | None = None  # of the last measurement

    def run(self) -> dict[str, Any]:
        """Measure and judge; return the record of the trial as it is stored."""
        began, created = time.monotonic(), datetime.datetime.now(datetime.UTC)
        first = self._measure("first look", self.candidates, policy.REPLICATES)
        gates = []
        for label in self.candidates:
            evidence = evidence_of(first, label)
            gates.append(_Gate(label, judge.screen(evidence)))
            gates[-1].judge_environment(evidence, self.other_load_cores)
        self._look_again(first, [gate for gate in gates if gate.screening.open and not gate.moved])
        fresh = self._confirm([gate for gate in gates if gate.screening.flagged and not gate.moved])
        cells = {
            gate.label: judge.invalidate(
                judge.confirm(gate.screening, fresh.get(gate.label, [])), gate.controls, gate.other_load_cores
            )
            for gate in gates
        }
        return self._record(created, time.monotonic() - began, gates, cells)

    def _look_again(self, first: Sequence[Replicate], gates: Sequence[_Gate]) -> None:
        """Take the second look of those that have a cell open."""
        if not gates:
            return
        replicates = policy.REPLICATES * policy.ESCALATION_FACTOR
        more = self._measure("second look", [gate.label for gate in gates], replicates)
        for gate in gates:
            gate.judge_environment(evidence_of(more, gate.label), self.other_load_cores)
            if not gate.moved:
                gate.screening = judge.escalate(gate.screening, evidence_of([*first, *more], gate.label))

    def _confirm(self, gates: Sequence[_Gate]) -> dict[str, list[Evidence]]:
        """Return by candidate what fresh processes say of those that are flagged."""
        if not gates:
            return {}
        fresh = self._measure("confirmation", [gate.label for gate in gates], policy.CONFIRMING_REPLICATES)
        found = {gate.label: evidence_of(fresh, gate.label) for gate in gates}
        for gate in gates:
            gate.judge_environment(found[gate.label], self.other_load_cores)
        return found

    def _measure(self, what: str, candidates: Sequence[str], replicates: int) -> list[Replicate]:
        """Measure base, base again and `candidates` in so many fresh processes each."""
        began = time.monotonic()
        labels = (BASE, AGAIN, *candidates)
        arms = [Arm(BASE), Arm(AGAIN)]
        arms += [Arm(label, selectors=(CANDIDATES[label].selector, CONTROL)) for label in candidates]
        request = Request(
            [SUBJECT, CONTROL],
            replicates=replicates,
            seconds=self.seconds_per_arm * len(labels) * replicates / policy.REPLICATES,
            modules=MODULES,
            paths=[str(TOOLS)],
            input_file=str(self.recording),
        )
        shares = self.report.outcomes[0].shares if self.report else {}
        plans = {name: Plan(share.blocks, share.repeats) for name, share in shares.items()}
        done = sum(phase["replicates"] for phase in self.phases)
        report = self.measure(request, arms, self.make_progress(), plans=plans, first_replicate=done)
        self.report = self.report or report
        self.other_load_cores = report.other_load_cores
        found = [outcome.replicate for outcome in report.outcomes]
        phase = {"what": what, "replicates": replicates, "seconds": round(time.monotonic() - began, 2)}
        self.phases.append({**phase, "logs": logs.collect(found, labels, whole=not self.phases)})
        return found

    def _record(
        self, created: datetime.datetime, took_s: float, gates: Sequence[_Gate], cells: dict[str, list[GateCell]]
    ) -> dict[str, Any]:
        assert self.report is not None
        machine, clock = self.report.machine, self.report.outcomes[0].replicate.clock
        return {
            "schema": SCHEMA,
            "trial": uuid.uuid4().hex[:12],
            "created": created.isoformat(timespec="seconds"),
            "duration_s": round(took_s, 1),
            **machine_of(machine),
            "revision": machine.git_revision,
            "dirty": machine.git_dirty,
            "clock": {"source": clock.source, "cost_ns": round(clock.cost_ns, 2), "step_ns": round(clock.step_ns, 2)},
            "thresholds": thresholds(),
            "gates": {
                gate.label: {
                    "verdict": str(worst_of(cells[gate.label], gate.controls, gate.other_load_cores)),
                    "other_load_cores": gate.other_load_cores,
                    "cells": {each.statistic: _told(each) for each in cells[gate.label]},
                    "fired": [_told(control) for control in gate.controls if control.flagged],
                }
                for gate in gates
            },
            "phases": self.phases,
        }


def evidence_of(replicates: Sequence[Replicate], label: str) -> list[Evidence]:
    """Return the evidence on one candidate. Of identical code the gate must not know that it is identical.

    A gate that sees the same machine code on both sides does not time it at all, and then it cannot be wrong.
    """
    known = [each.model_copy(update={"code_hash": {}}) for each in replicates] if label == SAME else replicates
    return gather(known, Arms(BASE, label, AGAIN), Margins())


def machine_of(machine: Machine) -> dict[str, Any]:
    """Return what a stored record tells of the machine."""
    told = {"cpu_model": machine.cpu_model, "cores": machine.cores, "hypervisor": machine.hypervisor}
    told |= {"linux": machine.linux, "load_1min": round(machine.load_1min, 2), "versions": machine.versions}
    return {"hardware_key": machine.hardware_key, "machine": told}


def _told(cell: GateCell) -> dict[str, Any]:
    told = {"verdict": str(cell.verdict), "ratio": round(cell.ratio, 5), "low": round(cell.low, 5)}
    told |= {"high": round(cell.high, 5), "flagged": cell.flagged, "confirmed": cell.confirmed}
    if cell.a.split("@")[0] != SUBJECT:
        told["of"] = cell.a
    return told | ({"reason": cell.reason} if cell.reason else {})
