"""What threads cost each other, in words computed from the data."""

from __future__ import annotations

from workbench.figures.text import number, plain
from workbench.gate.outcome import Outcome
from workbench.profile.contention import ContentionProfile
from workbench.profile.contention_findings import Finding, points, speed_up
from workbench.record import Comparison, Run
from workbench.report.findings import comparison_sentence
from workbench.report.system_words import _sentences

_NAMES = {
    "lock convoy": "has a lock convoy",
    "false sharing": "shares a cache line falsely",
    "retries": "contends for one word",
    "waiting": "waits asleep",
}


def contention_outcome(profile: ContentionProfile) -> Outcome:
    """Return what was found at each number of threads: the causes first, then how it scales, then the comparisons."""
    title = plain(profile.title)
    if not profile.measured:
        headline = f"Contention of {title} was not measured."
        if any("on one core" in note for note in profile.notes):
            headline = f"Contention of {title} cannot be measured on one core."
        return Outcome(headline=headline, findings=_sentences(profile.notes))
    findings = [finding.sentence for finding in profile.findings]
    findings += _scaling(profile)
    findings += [comparison_sentence(row) for run in profile.runs for row in _comparisons(profile, run)]
    if "probe_slowdown_ratio" in profile.overhead:
        findings.append(
            f"The probes that count and stamp made runs {profile.overhead['probe_slowdown_ratio']:.2f} times as long; "
            "throughput is of runs without them."
        )
    if "strace_call_us" in profile.overhead:
        findings.append(
            f"strace shows {number(1e3 * profile.overhead['strace_call_us'], 'ns')} for a call that does nothing: "
            "waiting calls were counted in runs of their own, throughput comes from runs that nobody traced."
        )
    return Outcome(headline=_headline(title, profile.findings), findings=[*findings, *_sentences(profile.notes)])


def _headline(title: str, findings: list[Finding]) -> str:
    if not findings:
        return f"No lock convoy, false sharing or lost exchanges that count were found in {title}."
    told = []
    for finding in findings:
        sure = "" if finding.sure else " (likely)"
        told.append(f"{plain(finding.variant)} {_NAMES[finding.kind]}{sure} with {finding.threads} threads")
    return f"{title}: {'; '.join(told)}."


def _comparisons(profile: ContentionProfile, run: Run) -> list[Comparison]:
    """Return the comparisons of throughput with several threads, each pair once: with its faster side as B."""
    rows = [row for row in run.comparisons if row.metric == "throughput" and profile.threads_of(run) > 1]
    pairs = {(row.a, row.b): row for row in rows}
    return [row for row in rows if (row.b, row.a) not in pairs or row.ratio < pairs[row.b, row.a].ratio]


def _scaling(profile: ContentionProfile) -> list[str]:
    """Return how each variant scales, in throughput, with its tail."""
    found = []
    for variant, levels in points(profile.measured).items():
        one = levels.get(1, {})
        for threads, here in sorted(levels.items()):
            ratio = speed_up(here, one)
            if threads == 1 or ratio is None:
                continue
            tail = ""
            if "service_p99_ns" in here and "service_p99_ns" in one:
                group = int(here["operations_per_sample"])
                what = "an operation" if group == 1 else f"{group} operations"
                tail = (
                    f"; p99 of {what} is {number(here['service_p99_ns'], 'ns')}, {number(one['service_p99_ns'], 'ns')} "
                    "with one"
                )
            found.append(f"{plain(variant)}: {threads} threads do {ratio:.2f} times what one does{tail}.")
    return found
