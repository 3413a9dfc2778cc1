"""From the cells to the conclusion: the verdict of the whole gate, its reason, and its exit code. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from workbench import policy, record
from workbench.errors import Exit, InputError
from workbench.gate.budgets import Budget, judge_budgets
from workbench.gate.evidence import CONTROL, Arms
from workbench.gate.judge import is_busy
from workbench.gate.outcome import Outcome, worst_verdict
from workbench.record import Verdict


def conclude(
    *,
    machine: record.Machine,
    mode: Literal["revisions", "baseline"],
    labels: Arms,
    commits: tuple[str | None, str | None],
    cells: Sequence[record.GateCell],
    controls: Sequence[record.GateCell],
    other_load_cores: float | None,
    same_code: Sequence[str],
    unjudged: Sequence[str],
    budgets: Sequence[Budget],
    budgets_block: bool,
    runs: Sequence[record.Run],
    notes: Sequence[str],
    duration_s: float,
    selectors: Sequence[str] = (),
) -> record.Gate:
    """Return the record of a gate. Raises InputError where there is nothing to judge.

    A variant in `unjudged` has changed, and no metric of it could be judged: the gate is UNRESOLVED then at best.
    Budgets are judged on what is in `selectors`; empty: on all that `runs` hold.
    """
    if not cells and not same_code:
        told = "; ".join(notes)
        raise InputError(f"no metric could be judged{f' ({told})' if told else ''}: measure longer, or other variants")
    verdict = worst_of(cells, controls, other_load_cores)
    if unjudged and verdict in (Verdict.UNCHANGED, Verdict.FASTER):
        verdict = Verdict.UNRESOLVED
    return record.Gate(
        machine=machine,
        mode=mode,
        base=labels.base,
        candidate=labels.candidate,
        base_commit=commits[0],
        candidate_commit=commits[1],
        verdict=verdict,
        reason=_busy_reason(other_load_cores) or _reason(verdict, cells, controls, same_code, unjudged),
        cells=list(cells),
        controls=list(controls),
        other_load_cores=other_load_cores,
        same_code=list(same_code),
        unjudged=list(unjudged),
        budgets=_judged(budgets, runs, labels.candidate if mode == "revisions" else None, selectors),
        budgets_block=budgets_block,
        thresholds=thresholds(),
        run_ids=[run.record_id for run in runs],
        notes=list(notes),
        duration_s=duration_s,
    )


def worst_of(
    cells: Sequence[record.GateCell], controls: Sequence[record.GateCell], other_load_cores: float | None = None
) -> Verdict:
    """Return what all cells come to; a control that moved, and busy other programs, outweigh them all."""
    if any(control.flagged for control in controls) or is_busy(other_load_cores):
        return Verdict.ENVIRONMENT_INVALID
    return worst_verdict(cells) or Verdict.UNCHANGED


def is_selected(variant: str, selectors: Sequence[str]) -> bool:
    """Return whether ``kernel/variant`` is named by one of `selectors`, by itself or by its kernel."""
    return variant in selectors or variant.partition("/")[0] in selectors


def exit_code(gate: record.Gate, allow_unresolved: bool = False) -> Exit:
    """Return the exit code: 5 before 3 before 4, as everywhere."""
    code = Outcome(headline="", verdict=gate.verdict).exit_code
    if missed_budgets(gate):
        return Exit.REGRESSION
    return Exit.FINE if code is Exit.UNRESOLVED and allow_unresolved else code


def missed_budgets(gate: record.Gate) -> list[record.GateBudget]:
    """Return the budgets that fail the gate: surely missed, where the person asked for them to count.

    None where the gate is ENVIRONMENT INVALID: nothing that was measured counts then.
    """
    if gate.verdict is Verdict.ENVIRONMENT_INVALID:
        return []
    return [budget for budget in gate.budgets if gate.budgets_block and budget.sure and not budget.met]


def thresholds() -> dict[str, float]:
    """Return the numbers that decided, for the record."""
    return {
        "alpha": policy.ALPHA,
        "false_discovery": policy.FALSE_DISCOVERY,
        "first_look_alpha": policy.LOOK_ALPHAS[0],
        "escalation_alpha": policy.LOOK_ALPHAS[1],
        "control_alpha": policy.CONTROL_ALPHA,
        "busy_cores": policy.BUSY_CORES,
        "confirming_replicates": float(policy.CONFIRMING_REPLICATES),
    }


def _busy_reason(other_load_cores: float | None) -> str:
    if other_load_cores is None or not is_busy(other_load_cores):
        return ""
    return (
        f"other programs kept {other_load_cores:.2g} cores busy while it was measured (at most {policy.BUSY_CORES} may "
        "be): nothing that was measured counts; end them and run it again, or count with --instructions --no-timing"
    )


def _reason(
    verdict: Verdict,
    cells: Sequence[record.GateCell],
    controls: Sequence[record.GateCell],
    same_code: Sequence[str],
    unjudged: Sequence[str],
) -> str:
    fired = [control for control in controls if control.flagged]
    if fired:
        told = ", ".join(
            f"{each.b} {each.metric.replace('_', ' ')} {each.statistic}: {each.reason}" for each in fired[:5]
        )
        more = f" and {len(fired) - 5} more" if len(fired) > 5 else ""
        return f"identical code was not equally fast ({told}{more}): nothing that was measured counts"
    if verdict is Verdict.UNRESOLVED and unjudged:
        return f"no metric of {', '.join(unjudged[:5])} could be judged"
    if not cells:
        several = len(same_code) != 1
        return f"the machine code of {len(same_code)} variant{'s are' if several else ' is'} the same on both sides"
    count = sum(cell.verdict is verdict for cell in cells)
    return f"{count} of {len(cells)} cells"


def _judged(
    budgets: Sequence[Budget], runs: Sequence[record.Run], label: str | None, selectors: Sequence[str]
) -> list[record.GateBudget]:
    """Judge the budgets on the candidate's figures: those of the last run that has them."""
    results: dict[Any, record.Result] = {}
    for run in runs:
        for result in run.results:
            name, _, side = result.variant.partition("@")
            wanted = not selectors or is_selected(f"{result.kernel}/{name}", selectors)
            if wanted and result.kernel != CONTROL and (label is None or side == label):
                results[(result.kernel, name, result.metric, result.statistic)] = result.model_copy(
                    update={"variant": name}
                )
    return [
        record.GateBudget(title=each.title, words=each.words, met=each.must_met, sure=each.sure)
        for each in judge_budgets(budgets, list(results.values()))
    ]
