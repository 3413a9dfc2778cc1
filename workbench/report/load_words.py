"""What variants hold under load, in words computed from the data."""

from __future__ import annotations

from workbench.figures.text import number, plain
from workbench.gate.outcome import Outcome
from workbench.record import Result, Run


def load_outcome(run: Run, kernel: str) -> Outcome:
    """Return what was learned of the variants of `kernel` under load: who holds most, and where waiting begins."""
    knees = [row for row in run.results if row.kernel == kernel and row.metric == "knee"]
    variants = list(dict.fromkeys(row.variant for row in run.results if row.rate_per_s is not None))
    if not variants:
        return Outcome(headline=f"No response time of {plain(kernel)} was measured.")
    findings = [_knee_sentence(row) for row in knees]
    findings += [sentence for variant in variants for sentence in _waiting_sentences(run, kernel, variant)]
    findings += [f"{plain(note, 200)}." for note in run.notes if "was left out" in note]
    best = max(knees, key=lambda row: row.value, default=None)
    if best is None:
        headline = f"Response times of {plain(kernel)} were measured at {len(_rates(run, kernel, variants[0]))} loads."
    elif best.value:
        headline = f"{plain(best.variant)} holds {plain(best.statistic)} up to {number(best.value, best.unit)}."
    else:
        headline = f"No variant of {plain(kernel)} holds {plain(best.statistic)} at any load that was measured."
    return Outcome(headline=headline, findings=findings)


def _knee_sentence(row: Result) -> str:
    if not row.value:
        return f"{plain(row.variant)} holds {plain(row.statistic)} at none of the loads."
    return (
        f"{plain(row.variant)} holds {plain(row.statistic)} up to {number(row.value, row.unit)}, not at the next load."
    )


def _rates(run: Run, kernel: str, variant: str) -> list[float]:
    found = {row.rate_per_s for row in run.results if (row.kernel, row.variant) == (kernel, variant)}
    return sorted(rate for rate in found if rate is not None)


def _waiting_sentences(run: Run, kernel: str, variant: str) -> list[str]:
    """Return one sentence for the lowest load at which operations wait: response far above service."""
    for rate in _rates(run, kernel, variant):
        own = {
            row.metric: row
            for row in run.results
            if (row.kernel, row.variant, row.rate_per_s, row.statistic) == (kernel, variant, rate, "p99")
        }
        response, service = own.get("response_time"), own.get("service_time")
        if response and service and response.value > 2 * service.value:
            both = number(response.value, "ns"), number(service.value, "ns")
            return [
                f"From {number(rate, 'operations/s')} on, operations of {plain(variant)} wait for one another: p99 is "
                f"{both[0]} from the intended start, {both[1]} from the real one."
            ]
    return [f"At every load that was measured, operations of {plain(variant)} hardly wait for one another."]
