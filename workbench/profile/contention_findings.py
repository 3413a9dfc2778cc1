"""What threads cost each other, named: lock convoy, false sharing, lost exchanges. Pure: from figures to findings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.record import Comparison, Verdict

SWITCH_NS = 2_000
"""A thread that goes to sleep and is woken costs at least this much: two system calls, two context switches."""

WAITING_SHARE = 0.05
"""Sleeping counts as a convoy when it takes at least this part of the time: below, a lock is merely used."""

FUTEX_SHARE, LOOKS = 0.1, 20
"""Threads that were seen waiting for a lock in every tenth look stand in line: of two that always meet one does, half
of all looks; where other programs take the cores too, fewer. Of less than twenty looks nothing is said."""

SCALES = 0.65
"""Threads that reach 65 % of their number times one thread's throughput do not stand in each other's way."""

SLOWER = 0.8
"""Below this part of one thread's throughput, several threads harm each other: what they share has to be found."""

SEEMS_FASTER = 0.9
"""A variant with lines of its own that costs more than this of the other gives no reason to suspect the lines."""

RETRIES = 0.05
"""From one lost exchange in twenty operations on, retries count."""

_RETRIES = re.compile(r"retr|spin|collision")
_POINT = re.compile(r"^(.*) with (\d+) threads?$")


@dataclass(frozen=True)
class Finding:
    """One cause, for one variant at one number of threads. `sure` is False where the proof is missing."""

    kind: str  # lock convoy, false sharing, retries, waiting, scaling
    variant: str
    threads: int
    sentence: str
    sure: bool = True


def point_name(variant: str, threads: int) -> str:
    """Return under which name a variant's figures at a number of threads are kept."""
    return f"{variant} with {threads} thread{'s' if threads > 1 else ''}"


def lines_name(variant: str, threads: int) -> str:
    """Return under which name the lines that its threads write are kept."""
    return f"lines that {point_name(variant, threads)} writes"


def points(measured: Mapping[str, Mapping[str, float]]) -> dict[str, dict[int, Mapping[str, float]]]:
    """Return the figures by variant and number of threads."""
    found: dict[str, dict[int, Mapping[str, float]]] = {}
    for name, figures in measured.items():
        matched = _POINT.match(name)
        if matched is not None:
            found.setdefault(matched[1], {})[int(matched[2])] = figures
    return found


def judge(
    measured: Mapping[str, Mapping[str, float]],
    comparisons: Mapping[int, Sequence[Comparison]],
    details: Mapping[str, str],
) -> list[Finding]:
    """Return what the figures say, a cause at most for each variant and number of threads above one.

    `comparisons` are those of the interleaved measurement by number of threads; `details` say where a lock is taken or
    a line is shared.
    """
    found = []
    for variant, levels in points(measured).items():
        for threads, here in sorted(levels.items()):
            if threads > 1:
                one = levels.get(1, {})
                finding = (
                    _convoy(variant, threads, here, one, details)
                    or _retries(variant, threads, here, one)
                    or _false_sharing(variant, threads, here, one, measured, comparisons.get(threads, ()), details)
                )
                found += [finding] if finding is not None else []
    return found


def speed_up(here: Mapping[str, float], one: Mapping[str, float]) -> float | None:
    """Return the throughput against that of one thread; None where one of them was not measured."""
    alone = one.get("throughput_per_s")
    return here["throughput_per_s"] / alone if alone and "throughput_per_s" in here else None


def _scaling(threads: int, ratio: float | None) -> str:
    return "" if ratio is None else f"{threads} threads do {ratio:.2f} times what one does; "


def _convoy(
    variant: str, threads: int, here: Mapping[str, float], one: Mapping[str, float], details: Mapping[str, str]
) -> Finding | None:
    switches = here.get("watched_voluntary_switches_per_operation", 0.0)
    before = one.get("watched_voluntary_switches_per_operation", 0.0)
    spent_ns = here.get("watched_ns_per_operation", 0.0)
    looked = here.get("looks", 0.0) >= LOOKS
    in_futex = here.get("waiting_in_futex_share", 0.0) if looked else 0.0
    elsewhere = sum(share for name, share in here.items() if name.startswith("waiting_in_") and "_futex_" not in name)
    ratio = speed_up(here, one)
    sleeps_often = spent_ns > 0 and switches * SWITCH_NS >= WAITING_SHARE * spent_ns and switches >= 10 * before
    if not (sleeps_often or in_futex >= FUTEX_SHARE) or (ratio is not None and ratio >= SCALES * threads):
        return None
    told = f"{_scaling(threads, ratio)}a thread goes to sleep {switches:.2g} times an operation ({before:.2g} with one)"
    where = details.get(point_name(variant, threads), "")
    futex, pauses = here.get("futex_calls_per_operation"), here.get("sleeping_calls_per_operation", 0.0)
    seen = f", {100 * in_futex:.0f} % of its time waiting for a lock" if in_futex else ""
    counted = f", with {futex:.2g} futex calls an operation" if futex else ""
    at_a_lock = in_futex >= FUTEX_SHARE or (futex is None and in_futex > elsewhere)  # it sleeps, and that is where
    if at_a_lock or (futex is not None and futex >= pauses and futex * SWITCH_NS >= WAITING_SHARE * spent_ns):
        at = f" at {where}" if where else ""
        sentence = f"{variant} has a lock convoy{at}: {told}{seen}{counted}. The lock is held for long, or taken often."
        return Finding("lock convoy", variant, threads, sentence)
    if futex is None and not (looked and elsewhere):
        sentence = (
            f"{variant} waits: {told}. Whether at a lock (a convoy) or in a pause of its own was not seen: strace "
            "would tell, or watching for longer."
        )
        return Finding("waiting", variant, threads, sentence, sure=False)
    sentence = f"{variant} waits in pauses of its own: {told}, not at a lock."
    return Finding("waiting", variant, threads, sentence)


def _retries(variant: str, threads: int, here: Mapping[str, float], one: Mapping[str, float]) -> Finding | None:
    names = [name for name in here if name.endswith("_per_operation") and _RETRIES.search(name)]
    worst = max(names, key=lambda name: here[name] - one.get(name, 0.0), default=None)
    if worst is None or here[worst] < RETRIES or here[worst] < 2 * one.get(worst, 0.0):
        return None
    ratio = speed_up(here, one)
    if ratio is not None and ratio >= SCALES * threads:
        return None
    what = worst.removesuffix("_per_operation").replace("_", " ")
    sentence = (
        f"{variant} contends for the same word (true sharing): {_scaling(threads, ratio)}{here[worst]:.2g} {what} an "
        f"operation with {threads} threads, {one.get(worst, 0.0):.2g} with one."
    )
    return Finding("retries", variant, threads, sentence)


def _false_sharing(
    variant: str,
    threads: int,
    here: Mapping[str, float],
    one: Mapping[str, float],
    measured: Mapping[str, Mapping[str, float]],
    comparisons: Sequence[Comparison],
    details: Mapping[str, str],
) -> Finding | None:
    lines = measured.get(lines_name(variant, threads), {})
    if not lines.get("false_lines"):
        return None
    where = details.get(lines_name(variant, threads), "different words of one line")
    apart = [
        row
        for row in comparisons
        if row.metric == "throughput"
        and row.a.partition("/")[2] == variant
        and _is_apart(measured.get(lines_name(row.b.partition("/")[2], threads), {}))
    ]
    best = min(apart, key=lambda row: row.ratio, default=None)
    if best is not None and best.verdict is Verdict.FASTER:
        other = best.b.partition("/")[2]
        sentence = (
            f"{variant} shares a cache line falsely: {where}. {other}, whose threads write lines of their own, is "
            f"{1 / best.ratio:.2f} times as fast with {threads} threads (interval {1 / best.high:.2f} to "
            f"{1 / best.low:.2f})."
        )
        return Finding("false sharing", variant, threads, sentence)
    ratio = speed_up(here, one)
    if ratio is None or ratio >= SLOWER or (best is not None and best.verdict in (Verdict.UNCHANGED, Verdict.SLOWER)):
        return None
    what = "Give each thread a line of its own and compare: no variant here does."
    if best is not None and best.ratio > SEEMS_FASTER:
        return None
    if best is not None:
        what = f"{best.b.partition('/')[2]} does not, but the comparison is not resolved: measure longer."
    sentence = (
        f"{variant} shares a cache line falsely: {where}; {_scaling(threads, ratio)}nobody retries and nobody sleeps. "
        f"{what}"
    )
    return Finding("false sharing", variant, threads, sentence, sure=False)


def _is_apart(lines: Mapping[str, float]) -> bool:
    """Return whether it was seen that the threads write no line together."""
    return bool(lines.get("known")) and not lines.get("false_lines")
