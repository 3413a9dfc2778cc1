"""The rule of the gate: screen all cells, look once more at what is open, confirm what is flagged. Pure.

A cell is a kernel, a variant and a metric. It is flagged by its p-value against the margin, at a false discovery rate
over all cells; it is SLOWER only when processes that were started afterwards, by themselves, say so too. Controls are
identical code: where one moves, nothing that was measured counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workbench import policy
from workbench.gate.evidence import Evidence, Groups
from workbench.record import GateCell, Verdict
from workbench.stats import paired
from workbench.stats.margin_test import moved_p, slower_p
from workbench.stats.median import Interval, median
from workbench.stats.multiplicity import findings

NO_CODE_CHANGE = "no code change: the machine code is the same on both sides, so environment or memory layout moved"
OPEN = (Verdict.UNRESOLVED, Verdict.SLOWER)  # SLOWER by its interval alone is a suspicion


@dataclass(frozen=True)
class Judged:
    """A cell after a look: its interval, its p-value against the margin, and whether it is a finding."""

    evidence: Evidence
    judgement: paired.Judgement
    p_value: float
    flagged: bool = False

    @property
    def is_open(self) -> bool:
        """Return whether more data could settle it."""
        return not self.flagged and self.judgement.verdict in OPEN


@dataclass(frozen=True)
class Screening:
    """All cells after the looks so far."""

    cells: tuple[Judged, ...]

    @property
    def open(self) -> list[str]:
        """Return the variants (kernel/variant) with a cell that more data could settle."""
        return list(dict.fromkeys(each.evidence.cell.name for each in self.cells if each.is_open))

    @property
    def flagged(self) -> list[str]:
        """Return the variants (kernel/variant) with a cell that has to be confirmed."""
        return list(dict.fromkeys(each.evidence.cell.name for each in self.cells if each.flagged))


def screen(evidence: Sequence[Evidence]) -> Screening:
    """Take the first look at all cells but the controls."""
    judged = [_look(each, policy.LOOK_ALPHAS[0]) for each in evidence if not each.is_control]
    return Screening(_flag(judged, policy.LOOK_ALPHAS[0]))


def escalate(first: Screening, pooled: Sequence[Evidence]) -> Screening:
    """Take the planned second look at the cells that were open, on all data there are of them.

    `pooled` holds the first look's blocks and the new ones. What was settled keeps its verdict; a flagged cell stays
    flagged. The two looks share `ALPHA` and `FALSE_DISCOVERY`, so that looking twice costs no false alarms.
    """
    fresh = {each.cell.key: each for each in pooled}
    cells = []
    for each in first.cells:
        more = fresh.get(each.evidence.cell.key)
        cells.append(_look(more, policy.LOOK_ALPHAS[1]) if each.is_open and more is not None else each)
    flagged = {each.evidence.cell.key for each in first.cells if each.flagged}
    again = _flag(cells, policy.LOOK_ALPHAS[1], {each.evidence.cell.key for each in first.cells if each.is_open})
    return Screening(tuple(replace(each, flagged=each.flagged or each.evidence.cell.key in flagged) for each in again))


def confirm(screening: Screening, fresh: Sequence[Evidence]) -> list[GateCell]:
    """Return the final verdicts. `fresh` is of processes that took no part in the looks; they alone decide."""
    found = {each.cell.key: each for each in fresh}
    return [_final(each, found) for each in screening.cells]


def _look(evidence: Evidence, alpha: float) -> Judged:
    judgement = paired.judge(evidence.differences, evidence.margin, alpha)
    return Judged(evidence, judgement, slower_p(_medians(evidence.differences), evidence.margin))


def _flag(
    cells: Sequence[Judged], alpha: float, only: set[tuple[str, str, str, str]] | None = None
) -> tuple[Judged, ...]:
    """Mark the findings: over all cells, though only those in `only` were looked at anew."""
    rate = policy.FALSE_DISCOVERY * alpha / policy.ALPHA
    found = findings([each.p_value for each in cells], rate)
    return tuple(
        replace(each, flagged=finding and (only is None or each.evidence.cell.key in only))
        for each, finding in zip(cells, found, strict=True)
    )


def _medians(groups: Groups) -> list[float]:
    return [median(group) for group in groups if group]


def _final(judged: Judged, fresh: Mapping[tuple[str, str, str, str], Evidence]) -> GateCell:
    if judged.flagged:
        return _confirmed(judged, fresh.get(judged.evidence.cell.key))
    verdict, reason = judged.judgement.verdict, judged.judgement.reason
    same = judged.evidence.same_code
    if verdict is Verdict.SLOWER:
        verdict = Verdict.UNRESOLVED
        reason = "its interval says slower, but among so many cells that is no finding"
    elif verdict is Verdict.FASTER and same:
        verdict, reason = Verdict.UNRESOLVED, NO_CODE_CHANGE
    return _cell(judged, judged.judgement, verdict, reason)


def _confirmed(judged: Judged, fresh: Evidence | None) -> GateCell:
    """Return the verdict on a flagged cell."""
    if fresh is None or not fresh.differences:
        reason = "flagged, and not measured in fresh processes: run the gate again"
        return _cell(judged, judged.judgement, Verdict.UNRESOLVED, reason, confirmed=False)
    again = paired.judge(fresh.differences, fresh.margin, policy.ALPHA)
    if again.verdict is not Verdict.SLOWER:
        first = f"flagged at {math.exp(judged.judgement.estimate) - 1:+.1%}".replace("%", " %")
        reason = f"{first}, not confirmed in {again.replicates} fresh processes"
        return _cell(judged, again, Verdict.UNRESOLVED, reason, confirmed=False)
    if judged.evidence.same_code:
        return _cell(judged, again, Verdict.ENVIRONMENT_INVALID, NO_CODE_CHANGE, confirmed=True)
    return _cell(judged, again, Verdict.SLOWER, f"confirmed in {again.replicates} fresh processes", confirmed=True)


def _cell(
    judged: Judged, judgement: paired.Judgement, verdict: Verdict, reason: str, confirmed: bool | None = None
) -> GateCell:
    needed = judgement.blocks_needed
    if verdict is Verdict.UNRESOLVED and needed is None and judgement.verdict in OPEN:
        interval = Interval(judgement.low, judgement.high)
        needed = paired.blocks_needed(judgement.estimate, interval, judged.evidence.margin, judgement.blocks)
    cell = judged.evidence.cell
    return GateCell(
        a=cell.base,
        b=cell.candidate,
        metric=cell.metric,
        statistic=cell.statistic,
        ratio=math.exp(judgement.estimate),
        low=math.exp(judgement.low),
        high=math.exp(judgement.high),
        margin=judged.evidence.margin,
        verdict=verdict,
        p_value=judged.p_value,
        flagged=judged.flagged,
        confirmed=confirmed,
        same_code=judged.evidence.same_code,
        blocks=judgement.blocks,
        replicates=judgement.replicates,
        blocks_needed=needed if verdict is Verdict.UNRESOLVED else None,
        reason=reason,
    )


def judge_controls(evidence: Sequence[Evidence]) -> list[GateCell]:
    """Judge the base against itself in every cell, and the control kernel, on the data of one measurement.

    Those that moved are ENVIRONMENT INVALID: beyond the margin either way, by findings at this measurement's part of
    `CONTROL_ALPHA`. On a healthy machine there is none with probability of at least one less that.
    """
    pairs = [(each, each.again, each.cell.again) for each in evidence if each.again]
    pairs += [(each, each.differences, each.cell.candidate) for each in evidence if each.is_control]
    p_values = [moved_p(_medians(groups), each.margin) for each, groups, _ in pairs]
    fired = findings(p_values, policy.CONTROL_ALPHA / policy.GATE_PHASES)
    return [
        _control(each, groups, side or "", p_value, finding)
        for (each, groups, side), p_value, finding in zip(pairs, p_values, fired, strict=True)
    ]


def _control(evidence: Evidence, groups: Groups, side: str, p_value: float, fired: bool) -> GateCell:
    judgement = paired.judge(groups, evidence.margin, policy.ALPHA)
    what = "the control kernel" if evidence.is_control else "the baseline against itself"
    healthy = Verdict.UNCHANGED if judgement.verdict is Verdict.UNCHANGED else Verdict.UNRESOLVED
    reason = f"{what} moved by {math.exp(judgement.estimate) - 1:+.1%}".replace("%", " %") if fired else ""
    return GateCell(
        a=evidence.cell.base,
        b=side,
        metric=evidence.cell.metric,
        statistic=evidence.cell.statistic,
        ratio=math.exp(judgement.estimate),
        low=math.exp(judgement.low),
        high=math.exp(judgement.high),
        margin=evidence.margin,
        verdict=Verdict.ENVIRONMENT_INVALID if fired else healthy,
        p_value=p_value,
        flagged=fired,
        same_code=True,
        blocks=judgement.blocks,
        replicates=judgement.replicates,
        reason=reason,
    )


def is_busy(other_load_cores: float | None) -> bool:
    """Return whether other programs kept too much of the machine busy for anything to be judged."""
    return other_load_cores is not None and other_load_cores > policy.BUSY_CORES


def invalidate(
    cells: Sequence[GateCell], controls: Sequence[GateCell], other_load_cores: float | None = None
) -> list[GateCell]:
    """Return `cells` as they count: all of them void where a control moved or other programs were busy."""
    moved = any(control.flagged for control in controls)
    if not moved and not is_busy(other_load_cores):
        return list(cells)
    reason = "a control moved: nothing counts" if moved else "other programs were busy: nothing counts"
    void = {"verdict": Verdict.ENVIRONMENT_INVALID, "blocks_needed": None, "reason": reason}
    return [cell.model_copy(update=void) for cell in cells]
