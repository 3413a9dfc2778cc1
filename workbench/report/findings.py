"""The finding in words, computed from the data: what a person would say who has read every figure."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.figures.ratio import metric_name
from workbench.figures.text import number, percent_change, plain
from workbench.gate.budgets import BudgetOutcome
from workbench.gate.outcome import Outcome, worst_verdict
from workbench.record import Comparison, Result, Run, Verdict

_SIDE = {Verdict.FASTER: "faster", Verdict.SLOWER: "slower"}


def kernels_of(run: Run) -> list[str]:
    """Return the kernels that `run` measured, in its order."""
    return list(dict.fromkeys(result.kernel for result in run.results))


def find(run: Run, kernel: str, variant: str, metric: str, statistic: str) -> Result | None:
    """Return one figure of `run`, or None."""
    wanted = (kernel, variant, metric, statistic)
    return next((row for row in run.results if (row.kernel, row.variant, row.metric, row.statistic) == wanted), None)


def latency_outcome(run: Run, kernel: str, budgets: Sequence[BudgetOutcome] = ()) -> Outcome:
    """Return what was learned of the variants of `kernel`: the fastest, by how much, its tail, and the budgets."""
    rates = [row for row in run.results if row.kernel == kernel and row.metric == "throughput"]
    if not rates:
        return Outcome(headline=f"No throughput of {plain(kernel)} was measured.")
    best = max(rates, key=lambda row: row.value)
    findings = [_rate_sentence(best)]
    tail = _tail_sentence(run, kernel, best.variant)
    if tail:
        findings.append(tail)
    findings += _comparison_sentences(run, f"{kernel}/{best.variant}")
    findings += budget_sentences(budgets)
    findings += [f"{plain(note, 200)}." for note in run.notes if "was left out" in note]
    against = _against_first(run, kernel, best.variant)
    headline = f"{plain(best.variant)} is the fastest variant of {plain(kernel)}: {number(best.value, best.unit)}"
    return Outcome(headline=headline + (f", {against}." if against else "."), findings=findings)


def _rate_sentence(best: Result) -> str:
    interval = ""
    if best.low is not None and best.high is not None:
        interval = f" (interval {number(best.low, best.unit)} to {number(best.high, best.unit)})"
    return f"The highest throughput is that of {plain(best.variant)}: {number(best.value, best.unit)}{interval}."


def _tail_sentence(run: Run, kernel: str, variant: str) -> str | None:
    middle, tail = (find(run, kernel, variant, "service_time", name) for name in ("p50", "p99"))
    if middle is None or tail is None:
        return None
    together = middle.operations_per_sample
    what = "operations" if together == 1 else f"groups of {together} operations"
    told = f"Half of its {what} take {number(middle.value, 'ns')} or less"
    if middle.bound == "upper":
        told = f"Half of its {what} take less than the clock can tell ({number(middle.value, 'ns')})"
    far = f"one in a hundred takes more than {number(tail.value, 'ns')}"
    if tail.bound == "upper":
        return f"{told}; 99 of 100 lie below what the clock can tell ({number(tail.value, 'ns')})."
    return f"{told}; {far}."


def _against_first(run: Run, kernel: str, variant: str) -> str:
    """Return how the best variant stands to the first one of the record, as ``4.1 times as fast as baseline``."""
    for row in run.comparisons:
        if (row.metric, row.b) == ("throughput", f"{kernel}/{variant}") and "@" not in row.a and row.ratio > 0:
            if row.verdict is Verdict.FASTER:
                return f"{1 / row.ratio:.3g} times as fast as {plain(row.a.split('/')[-1])}"
            return f"{row.verdict.value.lower()} against {plain(row.a.split('/')[-1])}"
    return ""


def _comparison_sentences(run: Run, variant: str) -> list[str]:
    """Return one sentence for each throughput comparison of `variant`."""
    chosen = [row for row in run.comparisons if row.b == variant and row.metric == "throughput" and "@" not in row.a]
    return [comparison_sentence(row) for row in chosen]


def comparison_sentence(row: Comparison) -> str:
    """Return one comparison as a sentence: verdict, size, interval, and the reason where there is one."""
    interval = f"{percent_change(row.low)} to {percent_change(row.high)}"
    size = f"{percent_change(row.ratio)} in cost, interval {interval}"
    who = f"{plain(row.b)} against {plain(row.a)}, {metric_name(row)}"
    if row.verdict in _SIDE:
        said = f"{who}: {_SIDE[row.verdict]} ({size})"
    elif row.verdict is Verdict.UNCHANGED:
        said = f"{who}: unchanged within ± {100 * row.margin:.0f} % ({size})"
    elif row.verdict is Verdict.UNRESOLVED:
        more = f"; about {row.blocks_needed:,} blocks would settle it" if row.blocks_needed else ""
        said = f"{who}: not resolved ({size}{more})"
    else:
        said = f"{who}: the environment is not to be trusted ({size})"
    return f"{said}; {row.reason}." if row.reason else f"{said}."


def budget_sentences(judged: Sequence[BudgetOutcome]) -> list[str]:
    """Return one sentence for each budget that was judged."""
    return [
        f"Budget {plain(outcome.title, 90)}: {number(outcome.value, outcome.unit)}; {outcome.words}."
        for outcome in judged
    ]


def first_outcome(run: Run, kernel: str, name: str, budgets: Sequence[BudgetOutcome] = ()) -> Outcome:
    """Return the outcome of a first run, which has nothing to compare with and becomes the baseline `name`."""
    latency = latency_outcome(run, kernel, budgets)
    headline = (
        f"There was no baseline {plain(name)!r} for {plain(kernel)} on this kind of machine: this run becomes it. "
        "From the next run on, changes are judged."
    )
    return Outcome(headline=headline, findings=latency.findings, save_baseline=name)


def regression_outcome(
    run: Run, kernel: str, baseline: Run, compared: Sequence[Comparison], budgets: Sequence[BudgetOutcome] = ()
) -> Outcome:
    """Return what changed against `baseline`: the verdict, the comparisons that carry it, and the budgets."""
    verdict = worst_verdict(compared)
    findings = [comparison_sentence(row) for row in compared] or ["Nothing was measured that the baseline holds too."]
    code = code_sentence(run, baseline)
    if code:
        findings.append(code)
    findings += budget_sentences(budgets)
    return Outcome(
        headline=_regression_headline(kernel, verdict, compared),
        findings=findings,
        verdict=verdict if verdict is not None else Verdict.UNRESOLVED,
        baseline_id=baseline.record_id,
    )


def _regression_headline(kernel: str, verdict: Verdict | None, compared: Sequence[Comparison]) -> str:
    of_verdict = [row for row in compared if row.verdict is verdict]
    if verdict is None:
        return f"Nothing of {plain(kernel)} could be compared with the baseline."
    if verdict in _SIDE:
        most = max(of_verdict, key=lambda row: abs(row.ratio - 1))
        others = len({row.b for row in of_verdict}) - 1
        also = f", and {others} more variant{'s' if others > 1 else ''} too" if others else ""
        interval = f"{percent_change(most.low)} to {percent_change(most.high)}"
        return (
            f"{plain(most.b)} got {_SIDE[verdict]}: {metric_name(most)} costs {percent_change(most.ratio)} "
            f"(interval {interval}){also}."
        )
    if verdict is Verdict.UNCHANGED:
        widest = max(compared, key=lambda row: max(row.high - 1, 1 - row.low))
        bound = max(widest.high - 1, 1 - widest.low)
        return f"{plain(kernel)} is as fast as the baseline: every variant within ± {100 * bound:.1f} % of it."
    if verdict is Verdict.ENVIRONMENT_INVALID:
        return (
            f"The environment moved, not the code: {plain(of_verdict[0].b)} has the baseline's machine code "
            f"and still differs from it by {percent_change(of_verdict[0].ratio)}. Measure again on a quieter machine."
        )
    count = len(of_verdict)
    return (
        f"{count} of {len(compared)} comparisons of {plain(kernel)} with the baseline are not resolved: measure longer."
    )


def code_sentence(run: Run, baseline: Run) -> str | None:
    """Return which variants' machine code differs from the baseline's; None where it is not known."""
    now, then = (_hashes(record) for record in (run, baseline))
    both = [variant for variant in now if variant in then]
    if not both:
        return None
    changed = [variant for variant in both if now[variant] != then[variant]]
    if not changed:
        return "The machine code of every variant is the same as in the baseline."
    return f"The machine code changed in {', '.join(plain(variant) for variant in changed)}."


def _hashes(run: Run) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for replicate in run.replicates:
        for variant, code in replicate.code_hash.items():
            found.setdefault(variant, set()).add(code)
    return {variant: frozenset(codes) for variant, codes in found.items()}
