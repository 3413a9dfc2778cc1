"""A history as words and as JSON: the same for the terminal and the page."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from typing import Any

from workbench.figures.text import number, percent_change
from workbench.gate.history import LEAST_NIGHTS, SeriesHistory, Step, drifted
from workbench.record import Verdict
from workbench.stats.paired import Judgement


def change_of(size: float) -> str:
    """Return a difference of logarithms of cost as a person reads it: 0.05 is ``+5.1 %``, slower."""
    return percent_change(math.exp(size))


def judged(judgement: Judgement | None) -> str:
    """Return a judgement as ``+5.1 % (+4.0 % .. +6.2 %) SLOWER``; "" without one."""
    if judgement is None:
        return ""
    low, high = change_of(judgement.low), change_of(judgement.high)
    return f"{change_of(judgement.estimate)} ({low} .. {high}) {judgement.verdict}"


def commits(step: Step) -> str:
    """Return the commits between the two levels: ``1a2b3c4d..5e6f7a8b``."""
    if step.before is None or step.after is None:
        return "commits not recorded"
    if step.before == step.after:
        return f"both at {step.before[:10]}"
    return f"{step.before[:10]}..{step.after[:10]}"


def step_words(history: SeriesHistory, step: Step) -> str:
    """Return a step in one line: when, how much, how sure, which commits, what went along, who accepted it."""
    date = history.series.nights[step.change.index].date
    told = f"{date} {change_of(step.change.size)} (p {step.change.p:.2g}), {commits(step)}, {step.cause}"
    if step.accepted:
        told += f"; accepted by {step.accepted.accepted_by}: {step.accepted.reason}"
    elif history.base is not None and step.change.index <= history.base:
        told += "; before the base"
    return told


def drift_words(history: SeriesHistory) -> str:
    """Return the drift over its nights with its interval; "" without one."""
    total = drifted(history)
    if total is None:
        return ""
    since = history.series.nights[history.drift_from].date
    return f"{change_of(total.estimate)} ({change_of(total.low)} .. {change_of(total.high)}) since {since}"


def newest_value(history: SeriesHistory) -> str:
    """Return the newest night's value; "" without a night."""
    nights = history.series.nights
    return number(nights[-1].value, history.series.key.unit) if nights else ""


def to_the_last(history: SeriesHistory) -> str:
    """Return how the newest night stands to the one before; "" without two."""
    costs = history.series.costs()[-2:]
    return change_of(costs[1] - costs[0]) if len(costs) == 2 else ""


def about(history: SeriesHistory) -> str:
    """Return what a series is never mixed with another for: machine, input, parameters."""
    key = history.series.key
    told = f"machine {key.hardware_key}, input {key.workload} ({key.workload_sha256[:8]})"
    return f"{told}, {key.parameters}" if key.parameters else told


def details(history: SeriesHistory) -> list[str]:
    """Return what a table has no room for: steps, drift, judgements, remarks, the next step. Nothing if calm."""
    lines = [f"step {step_words(history, step)}" for step in history.steps]
    if history.drift is not None:
        lines.append(f"drift {drift_words(history)}")
    if history.against_previous is not None:
        lines.append(f"against the level before: {judged(history.against_previous)}")
    if history.against_base is not None and history.base is not None:
        base = history.series.nights[history.base].date
        lines.append(f"against {base} ({history.base_is}): {judged(history.against_base)}")
    lines += [f"note: {remark}" for remark in history.remarks]
    following = next_step(history)
    return [*lines, f"next: {following}"] if following else lines


def state(history: SeriesHistory) -> str:
    """Return in one or two words how the newest level stands."""
    if history.verdict is not None:
        return str(history.verdict)
    return "too few nights" if len(history.series.nights) < LEAST_NIGHTS else "no step"


BISECTED = {("throughput", "mean"): "", ("service_time", "p50"): " --on p50", ("service_time", "p99"): " --on p99"}
"""What `workbench bisect` can be asked, each with the option that asks it."""


def next_step(history: SeriesHistory) -> str | None:
    """Return the command to run when the newest level is too slow; None otherwise.

    A bisection is proposed only where it can answer: for a statistic that it times under no fixed load, and for a
    variant that commits change, which a peer's code and several variants run together are not.
    """
    if history.verdict is not Verdict.SLOWER:
        return None
    key = history.series.key
    step = history.open_steps[-1] if history.open_steps else None
    if step and (bisection := _bisection(history, step)):
        return bisection
    if step and not history.creeping:
        date = history.series.nights[step.change.index].date
        only = f"--metric {key.metric} --statistic {key.statistic}"
        return f'workbench history {key.kernel}/{key.variant} {only} --accept {date} --because "..." if it is wanted'
    return f"workbench history {key.kernel} --pin {history.series.nights[-1].date} if it is wanted"


def _bisection(history: SeriesHistory, step: Step) -> str | None:
    """Return the bisection that finds the commit of `step`; None where no commit did it or none can be asked for."""
    key = history.series.key
    on = BISECTED.get((key.metric, key.statistic)) if key.rate_per_s is None else None
    own = "+" not in key.variant and not key.variant.startswith("peer_")
    if on is None or not own or step.before is None or step.after is None:
        return None
    if step.before == step.after or step.cause.startswith("no code"):
        return None
    return f"workbench bisect {step.before[:12]} {step.after[:12]} {key.kernel}/{key.variant}{on}"


def document(histories: Sequence[SeriesHistory]) -> dict[str, Any]:
    """Return the JSON object of `histories`."""
    return {"schema": "workbench/history/1", "results": [_result(history) for history in histories]}


def _result(history: SeriesHistory) -> dict[str, Any]:
    key, nights = history.series.key, history.series.nights
    newest = nights[-1] if nights else None
    total = drifted(history)
    return {
        **{name: getattr(key, name) for name in key.__dataclass_fields__},
        "nights": len(nights),
        "value": newest.value if newest else None,
        "low": newest.low if newest else None,
        "high": newest.high if newest else None,
        "newest": _time(newest.moment) if newest else None,
        "p": history.p,
        "steps": [_step(history, step) for step in history.steps],
        "drift": None
        if total is None or history.drift is None
        else {
            "ratio": math.exp(total.estimate),
            "low": math.exp(total.low),
            "high": math.exp(total.high),
            "p": history.drift.p,
            "since": str(nights[history.drift_from].date),
            "explains_steps": history.creeping,
        },
        "base": None if history.base is None else {"is": history.base_is, "date": str(nights[history.base].date)},
        "against_previous": _judgement(history.against_previous),
        "against_base": _judgement(history.against_base),
        "verdict": history.verdict,
        "remarks": list(history.remarks),
        "next": next_step(history),
    }


def _step(history: SeriesHistory, step: Step) -> dict[str, Any]:
    accepted = step.accepted
    return {
        "date": str(history.series.nights[step.change.index].date),
        "index": step.change.index,
        "ratio": math.exp(step.change.size),
        "p": step.change.p,
        "before": step.before,
        "after": step.after,
        "cause": step.cause,
        "accepted": accepted
        and {"by": accepted.accepted_by, "when": _time(accepted.accepted), "because": accepted.reason},
    }


def _judgement(judgement: Judgement | None) -> dict[str, Any] | None:
    if judgement is None:
        return None
    values = {name: math.exp(getattr(judgement, name)) for name in ("estimate", "low", "high")}
    return {"ratio": values["estimate"], "low": values["low"], "high": values["high"], "verdict": judgement.verdict}


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")
