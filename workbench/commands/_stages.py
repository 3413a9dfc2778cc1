"""Where an operation's time goes, stage by stage: what `workbench run` prints of a kernel with stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.commands._measuring import amount, figure

if TYPE_CHECKING:
    from workbench.gate.budgets import BudgetOutcome
    from workbench.record import Result

PREFIX = "stage."


def stage_rows(results: Sequence[Result], variant: str, judged: Sequence[BudgetOutcome]) -> list[tuple[str, ...]]:
    """Return a row for each stage of `variant`: name, p50, p99, and the limits of its budget; the whole comes last.

    `results` are those of one kernel. Empty for a variant without stages. Percentiles of stages do not add up to that
    of the whole, which is why the whole stands beside them; the limits do add up.
    """
    own = {(row.metric, row.statistic): row for row in results if row.variant == variant}
    stages = list(dict.fromkeys(metric for metric, _ in own if metric.startswith(PREFIX)))
    if not stages:
        return []
    limits = {outcome.budget.metric: outcome for outcome in judged if outcome.budget.statistic == "p99"}
    rows = []
    for metric in [*stages, "service_time"]:
        told = [figure(own.get((metric, statistic)), interval=False) for statistic in ("p50", "p99")]
        outcome = limits.get(metric)
        allowed = [_limit(outcome, name) for name in ("must", "stretch")]
        rows.append((metric.removeprefix(PREFIX).replace("service_time", "end to end"), *told, *allowed))
    return rows


def _limit(outcome: BudgetOutcome | None, name: str) -> str:
    value = getattr(outcome, name) if outcome else None
    return "" if value is None or outcome is None else amount(value, outcome.unit)
