"""What an operation asks of Linux, and what Linux takes from it, in words computed from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.figures.text import number, plain
from workbench.gate.outcome import Outcome
from workbench.profile.counted import Counted
from workbench.profile.measured import measured_in
from workbench.profile.system import CALL, RUN
from workbench.profile.system_calls import SLEEPING

CALL_SHARE = 0.02
"""A system call counts when it is worth this part of an operation's time: less is not worth a change."""

SYSTEM_SHARE = 0.25
"""Without strace: from a quarter of its CPU time inside Linux on, an operation surely asks something of it."""

FAULT_NS, FAULT_SHARE = 500.0, 0.05
"""A page that is touched for the first time costs at least half a microsecond; it counts from 5 % of the time on."""

SWITCH_NS, SWITCH_SHARE = 2_000.0, 0.05
"""A thread that sleeps and is woken costs at least two microseconds; it counts from 5 % of the time on."""

JITTER_SHARE = 0.01
"""A core of which others take more than 1 % spoils a tail: interrupts of an idle Linux take a tenth of that."""


@dataclass(frozen=True)
class Judged:
    """A sentence; `counts` says whether it is a finding against the profiled code, `short` names it in the headline."""

    sentence: str
    short: str = ""
    counts: bool = False


def system_outcome(profile: Counted) -> Outcome:
    """Return what a system profile says: calls in the hot path, switches, faults, jitter, and what is missing.

    A profile that holds no run says only why.
    """
    rows = profile.rows()
    measured = measured_in(rows)
    run = measured.get(RUN)
    title = plain(profile.title)
    if run is None:
        return Outcome(headline=f"Nothing was measured of {title}.", findings=_sentences(profile.notes))
    where = {str(row["measured"]): str(row["detail"]) for row in rows if "measured" in row}
    traced = any(name.startswith(CALL) for name in measured) or "strace_call_us" in profile.overhead
    unknown = [name.removeprefix(CALL) for name, of in measured.items() if _is_unknown(name, of)]
    told = traced and not unknown and run.get("traced_runs", 1.0) > 0
    judged = _calls(measured, where, run)
    judged += _switches(run) + _faults(run)
    if not told:
        judged += _inside_linux(run)
    against = [each for each in judged if each.counts]
    if against:
        headline = f"{title} {'; it '.join(each.short for each in against)}."
    elif told:
        headline = f"{title} asks nothing of Linux in its hot path: no system call, switch or page fault counts."
    else:
        calls = "how often it makes system calls could not be told" if traced else "its system calls were not counted"
        headline = f"{title} shows no switch or page fault that counts; {calls}."
    findings = [each.sentence for each in judged]
    if unknown:
        names = plain(", ".join(unknown), 120)
        findings.append(f"How often an operation makes these calls could not be told: {names}.")
    elif traced and not told:
        findings.append("No run was traced from its begin to its end, so how often it calls Linux could not be told.")
    findings += [_jitter_sentence(name, of) for name, of in measured.items() if name.startswith("jitter of ")]
    findings += _cost_sentences(profile, run)
    return Outcome(headline=headline, findings=[*findings, *_sentences(profile.notes)])


def _calls(
    measured: Mapping[str, Mapping[str, float]], where: Mapping[str, str], run: Mapping[str, float]
) -> list[Judged]:
    """Return a finding for each system call that is worth something, most first."""
    found = []
    ranked = sorted(
        ((name, of) for name, of in measured.items() if name.startswith(CALL)),
        key=lambda pair: -pair[1].get("share_of_operation", 0.0),
    )
    for name, of in ranked:
        if of.get("share_of_operation", 0.0) < CALL_SHARE:
            continue
        call = plain(name.removeprefix(CALL))
        at = f" at {plain(where[name], 120)}" if where.get(name) else ""
        often = _often(of["calls_per_operation"])
        share = f"{100 * of['share_of_operation']:.0f} %"
        if call == "futex":
            short = f"waits for a lock in Linux (futex {often}{at})"
            told = f"It waits for a lock in Linux{at}: futex {often}, about {share} of an operation's time."
        elif call in SLEEPING:
            short = f"sleeps in its hot path: {call} {often}{at}"
            told = f"It sleeps in its hot path{at}: {call} {often}, about {share} of an operation's time."
        else:
            short = f"makes a system call in its hot path: {call} {often}{at}"
            least = number(max(run["bare_call_ns"], of["typical_ns"]), "ns")
            told = f"A system call in its hot path{at}: {call} {often}, some {least} each, about {share} of its time."
        found.append(Judged(told, short, True))
    return found


def _is_unknown(name: str, of: Mapping[str, float]) -> bool:
    """Return whether this is a system call of which it could not be told how often an operation makes it."""
    return name.startswith(CALL) and "calls_per_operation" not in of


def _often(times: float) -> str:
    return "once an operation" if 0.995 <= times < 1.005 else f"{times:.3g} times an operation"


def _switches(run: Mapping[str, float]) -> list[Judged]:
    switches = run["voluntary_switches_per_operation"]
    if switches * SWITCH_NS < SWITCH_SHARE * run["ns_per_operation"]:
        return []
    told = f"Its threads go to sleep {switches:.2g} times an operation (voluntary context switches, nobody tracing)"
    return [Judged(f"{told}.", f"goes to sleep {switches:.2g} times an operation", True)]


def _faults(run: Mapping[str, float]) -> list[Judged]:
    faults = run["minor_faults_per_operation"] + run["major_faults_per_operation"]
    if faults * FAULT_NS < FAULT_SHARE * run["ns_per_operation"]:
        return []
    told = f"It touches memory that Linux has to provide first: {faults:.2g} page faults an operation"
    return [Judged(f"{told}.", f"touches new memory: {faults:.2g} page faults an operation", True)]


def _inside_linux(run: Mapping[str, float]) -> list[Judged]:
    if run["system_share"] < SYSTEM_SHARE:
        return []
    share = f"{100 * run['system_share']:.0f} %"
    told = f"It spends {share} of its CPU time inside Linux: system calls or page faults, strace would tell which."
    return [Judged(told, f"spends {share} of its CPU time inside Linux", True)]


def _jitter_sentence(name: str, of: Mapping[str, float]) -> str:
    quiet = "" if of["share"] < JITTER_SHARE else ": too much for a tail to be believed"
    core = plain(name, 90)
    if not of["gaps"]:
        above = number(of["threshold_ns"], "ns")
        return f"{core[:1].upper()}{core[1:]}: no gap above {above} in {of['duration_s']:.2g} s."
    tail = f", 99.9 % of them no longer than {number(of['p99.9_ns'], 'ns')}" if "p99.9_ns" in of else ""
    taken = f"{100 * of['share']:.2g} %"
    return (
        f"{core[:1].upper()}{core[1:]}: other programs, Linux and the hypervisor took {taken} of it{quiet}, in "
        f"{of['gaps_per_s']:.3g} gaps/s{tail}, the longest {number(of['longest_ns'], 'ns')}; the hypervisor admits to "
        f"{of['steal_s']:.2g} s of steal."
    )


def _cost_sentences(profile: Counted, run: Mapping[str, float]) -> list[str]:
    """Return what the profilers themselves cost."""
    found = []
    ratio = profile.overhead.get("strace_slowdown_ratio")
    if "strace_call_us" in profile.overhead:
        slow = ""
        if ratio is not None:
            slow = (
                f"made an operation {ratio:,.3g} times as long; it "
                if ratio >= 1.1
                else "made no operation longer; it "
            )
        found.append(
            f"strace {slow}shows {number(1e3 * profile.overhead['strace_call_us'], 'ns')} for a call that does nothing "
            f"and takes {number(run['bare_call_ns'], 'ns')} without it: its counts hold, its times do not."
        )
    if profile.overhead.get("jitter_watching_cores"):
        found.append("The loop that watched for gaps took another core wholly, and nothing of the measured one.")
    return found


def _sentences(notes: Sequence[Any]) -> list[str]:
    """Return notes as sentences."""
    return [f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in (plain(note, 400) for note in notes) if text]
