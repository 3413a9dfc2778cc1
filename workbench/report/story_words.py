"""The conclusion of each step of a chain, and of the chain, computed from the records."""

from __future__ import annotations

from workbench.figures import LEAST, SIMULATED
from workbench.figures.text import number, percent_change, plain
from workbench.gate.outcome import Outcome
from workbench.record import Comparison, Run, Verdict
from workbench.report.chain import Chain, Step
from workbench.report.findings import find
from workbench.report.story_lines import functions_ns
from workbench.report.story_profiles import Profiles

_NOTABLE_NS = 0.05  # of the mean: a function that changed by less is not what a step is about
_NOTABLE_COUNT = 0.02  # a count that changed by less is called equal


def worth(run: Run, kernel: str, first: str, second: str) -> Comparison | None:
    """Return the comparison of the mean times of two variants of `kernel`; None where there is none."""
    wanted = (f"{kernel}/{first}", f"{kernel}/{second}", "throughput")
    return next((row for row in run.comparisons if (row.a, row.b, row.metric) == wanted), None)


def story_outcome(chain: Chain, run: Run, lines: Profiles, simulated: Profiles) -> Outcome:
    """Return the finding: how far the chain came, what each step bought, and what could not be looked at."""
    measured = [(step, find(run, chain.kernel, step.variant, "service_time", "batch_mean")) for step in chain.steps]
    there = [(row.value, step) for step, row in measured if row is not None]
    if not there:
        return Outcome(headline=f"Nothing of {plain(chain.kernel)} was measured.")
    value, best = min(there, key=lambda each: each[0])
    told = [_faster(worth(run, chain.kernel, best.root, best.variant), best.root)]
    told += [_faster(worth(run, chain.kernel, peer.variant, best.variant), peer.variant) for peer in chain.peers]
    headline = f"{plain(best.variant)} is the fastest step of {plain(chain.kernel)}: {number(value, 'ns')} an operation"
    known = [each for each in told if each]
    findings = [
        f"{plain(step.variant)}: {' '.join(conclusion(chain, step, run, lines, simulated))}" for step in chain.steps
    ]
    for profiles, what in ((lines, "Lines"), (simulated, "Misses")):
        if profiles.reason:
            findings.append(f"{what} are not shown: {profiles.reason}.")
        findings += [f"{what} of {plain(name)} are not shown: {why}." for name, why in profiles.absent.items()]
    return Outcome(headline=", ".join([headline, *known]) + ".", findings=[*findings, *chain.left_out])


def _faster(row: Comparison | None, other: str) -> str:
    if row is None:
        return ""
    if row.verdict is Verdict.FASTER:
        return f"{1 / row.ratio:.3g} times as fast as {plain(other)}"
    return f"{row.verdict.value.lower()} against {plain(other)}"


def conclusion(chain: Chain, step: Step, run: Run, lines: Profiles, simulated: Profiles) -> list[str]:
    """Return the sentences on one step: what it bought or cost, where, by which counts, and what else it gives."""
    mean = find(run, chain.kernel, step.variant, "service_time", "batch_mean")
    if mean is None:
        return ["It was not measured."]
    if step.parent is None:
        told = [f"It is where the chain begins: {number(mean.value, 'ns')} an operation."]
    else:
        compared = worth(run, chain.kernel, step.parent, step.variant)
        told = [_bought(compared, step.parent), *_where(chain, step, run, lines, compared)]
        told += _counts(chain, step, run)
    for peer in chain.peers:
        against = _faster(worth(run, chain.kernel, peer.variant, step.variant), peer.variant)
        told += [f"It is {against}."] if against else []
    parent = next((each for each in chain.steps if each.variant == step.parent), None)
    if parent is not None and step.readable and not parent.readable:
        told.append(f"Other threads may read it while it works, which {plain(parent.variant)} does not offer.")
    if parent is not None and parent.readable and not step.readable:
        told.append(f"Other threads may not read it while it works, as they may {plain(parent.variant)}.")
    return told


def _bought(row: Comparison | None, parent: str) -> str:
    """Return what a step was worth against its parent, as a sentence."""
    if row is None:
        return f"It was not compared with {plain(parent)}."
    interval = f"{row.low:.3f} to {row.high:.3f}"
    if row.verdict is Verdict.FASTER:
        times = f"{1 / row.ratio:.3g} times as fast" if row.ratio < 0.8 else f"{percent_change(row.ratio)} in cost"
        return f"The step paid: {times} against {plain(parent)} (cost {row.ratio:.3f}, {interval})."
    if row.verdict is Verdict.SLOWER:
        return f"The step did not pay here: {percent_change(row.ratio)} in cost against {plain(parent)} ({interval})."
    if row.verdict is Verdict.UNCHANGED:
        within = f"± {100 * row.margin:.0f} %"
        size = f"cost {row.ratio:.3f}, {interval}"
        return f"The step changed nothing that counts: within {within} of {plain(parent)} ({size})."
    more = f"; about {row.blocks_needed:,} blocks would settle it" if row.blocks_needed else ""
    return f"Whether the step paid is not settled: cost {row.ratio:.3f} of {plain(parent)} ({interval}){more}."


def _where(chain: Chain, step: Step, run: Run, lines: Profiles, compared: Comparison | None) -> list[str]:
    """Return the function whose time changed most, where the step is known to be faster or slower."""
    if step.parent is None or compared is None or compared.verdict not in (Verdict.FASTER, Verdict.SLOWER):
        return []
    sign = 1 if compared.verdict is Verdict.FASTER else -1
    before = functions_ns(run, chain.kernel, step.parent, lines)
    after = functions_ns(run, chain.kernel, step.variant, lines)
    if not before or not after:
        return []
    saved = {name: before.get(name, 0.0) - after.get(name, 0.0) for name in {*before, *after}}
    most = max(saved, key=lambda name: (sign * saved[name], name))
    if sign * saved[most] < _NOTABLE_NS * sum(before.values()):
        return []
    what = "saved" if sign > 0 else "added"
    first, second = (number(each.get(most, 0.0), "ns") for each in (before, after))
    return [f"Most was {what} in {plain(most)}: {first} before, {second} after."]


def _counts(chain: Chain, step: Step, run: Run) -> list[str]:
    """Return how the simulated counts changed against the parent, in one sentence."""
    assert step.parent is not None
    parts = []
    for metric, name in SIMULATED.items():
        first, second = (find(run, chain.kernel, each, metric, "simulated") for each in (step.parent, step.variant))
        if first is None or second is None or max(first.value, second.value) < LEAST:
            continue
        if abs(second.value - first.value) > _NOTABLE_COUNT * max(first.value, second.value):
            more = "more" if second.value > first.value else "fewer"
            parts.append(f"{more} {name} ({number(first.value)} before, {number(second.value)} after)")
    return [f"Simulated, an operation takes {', '.join(parts)}."] if parts else []
