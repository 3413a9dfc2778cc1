"""The page docs/gate-proof.md, written from what is stored and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from proof import rivals, storage
from proof.arms import AGAIN, BASE, CANDIDATES, SAME, STATISTICS
from proof.tally import (
    FASTER,
    INVALID,
    SLOWER,
    UNCHANGED,
    UNRESOLVED,
    Share,
    decided,
    gates_of,
    judged_by_rivals,
    seconds_alone,
    share,
)
from workbench import policy
from workbench.stats.median import median

Record = Mapping[str, Any]

ENOUGH = 20  # trials, before a goal is said to be reached

HEAD = """# How far the gate can be trusted

Written by `tools/prove_gate.py --table` from the trials in `docs/proof/`; do not edit. A trial is one whole gate run
in fresh processes: first look, second look where something is open, confirmation where something is flagged. Its
subject is a kernel of about 0.5 us an operation (`tools/proof/dosed_kernel`), 3 % of whose operations take three times
as long; its variants do a known share of extra work. The gate leaves out code that is the same machine code on both
sides, and cannot be wrong there; for these trials it was not told. Bounds are one-sided, 95 %, by Clopper and Pearson.
"""

RIVALS = """The same timed runs, judged by rules written anew from the sources of five tools (`tools/proof/rivals.py`
says what each would have sampled). They see the baseline in earlier processes and the candidate in later ones, as they
do in use; ours were measured in turns, so the machine's slow drift is milder here than between two real runs. Only
slowdowns count. Seconds: those of the processes that the tool would have started, at our processes' cost.
"""


def page_of(folder: Path) -> str:
    """Return the page. Raises InputError where `folder` holds no trial."""
    parts = [HEAD]
    for key in storage.machines(folder):
        parts += _machine(key, {kind: storage.read(folder, key, kind) for kind in storage.KINDS})
    return "\n".join(parts).rstrip() + "\n"


def _machine(key: str, stored: Mapping[str, Sequence[Record]]) -> Iterator[str]:
    """Yield the section of one machine."""
    trials = stored["trials"]
    last = trials[-1]
    about, versions = last["machine"], last["machine"]["versions"]
    revisions = list(dict.fromkeys(str(trial["revision"])[:9] for trial in trials))
    yield f"## {about['cpu_model']}, {about['cores']} cores ({about['hypervisor'] or 'no hypervisor'})\n"
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"Hardware key `{key}`, Linux {about['linux']}, {told}."
    yield f"{len(trials)} trials from {trials[0]['created'][:10]} to {last['created'][:10]}, of {_several(revisions)};"
    yield f"clock: {last['clock']['source']}, steps of {last['clock']['step_ns']:.0f} ns. Margins:"
    yield f"{_percent(policy.MARGIN)} for throughput and p50, {_percent(policy.TAIL_MARGIN)} for p99 and p99.9.\n"
    yield "| what | shown | goal | reached |\n| --- | --- | --- | --- |"
    yield "\n".join([*_alarms(trials), *_omission(stored["omission"]), *_noisy(stored["noisy"])]) + "\n"
    yield "### What is found\n"
    yield from _power(trials, stored["doses"])
    yield "### Other tools on the same samples\n"
    yield RIVALS
    yield from _rivals(trials)
    yield from _planted(stored["planted"])


def _several(revisions: Sequence[str]) -> str:
    shown = ", ".join(f"`{each}`" for each in revisions[:4])
    return f"revision {shown}" if len(revisions) < 5 else f"{len(revisions)} revisions, the first {shown}"


def _row(what: str, shown: str, goal: str, reached: bool | None) -> str:
    return f"| {what} | {shown} | {goal} | {'' if reached is None else 'yes' if reached else 'no'} |"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _alarms(trials: Sequence[Record]) -> Iterator[str]:
    """Yield the rows on identical code."""
    gates = gates_of(trials, SAME)
    alarms, faster = share(gates, SLOWER), share(gates, FASTER)
    told = f"SLOWER: {alarms}, bound {_percent(alarms.upper)}; FASTER: {faster}, bound {_percent(faster.upper)}"
    yield _row("false alarms, identical code", told, "0 of 60", alarms.count >= 60 and not alarms.hits)
    yield _row("the same, for longer", f"{alarms}", "0 of 299: at most 1 %", alarms.count >= 299 and not alarms.hits)
    verdicts = decided(gates)
    whole = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items() if count)
    all_, first = seconds_alone(trials)
    valid = [gate for gate in gates if gate["verdict"] != INVALID]
    unchanged = verdicts[UNCHANGED] / len(valid) if valid else 0.0
    took = (
        f"; median {median(all_):.0f} s, slowest {all_[-1]:.0f} s over {len(all_)} gates of one kernel" if all_ else ""
    )
    in_time = bool(all_) and median(all_) <= 60
    yield _row("decided, identical code", whole + took, "80 % UNCHANGED in 60 s", unchanged >= 0.8 and in_time)
    cells = [cell for gate in valid for cell in gate["cells"].values()]
    by = {each: [gate["cells"][each] for gate in valid if each in gate["cells"]] for each in STATISTICS}
    each = ", ".join(
        f"{name} {Share(sum(cell['verdict'] == UNCHANGED for cell in found), len(found))}" for name, found in by.items()
    )
    settled = Share(sum(cell["verdict"] == UNCHANGED for cell in cells), len(cells))
    yield _row("decided, by metric", f"UNCHANGED: {settled} cells ({each})", "", None)
    if first:
        yield _row("first look alone", f"median {median(first):.0f} s", "", None)


def _omission(records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    errors = [(each["corrected_p99_ns"] - each["analytic_p99_ns"]) / each["bucket_ns"] for each in records]
    within = Share(sum(abs(error) <= 1 for error in errors), len(errors))
    last = records[-1]
    told = (
        f"p99 within one bucket of the queue's: {within}, median error {median([abs(e) for e in errors]):.0f} buckets; "
        f"last: {last['corrected_p99_ns'] / 1e6:.3f} ms, by the queue {last['analytic_p99_ns'] / 1e6:.3f} ms, "
        f"uncorrected {last['uncorrected_p99_ns']} ns"
    )
    yield _row("coordinated omission, one pause of 20 ms", told, "within the bucket", within.hits == within.count)


def _noisy(records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    for label, words in ((SAME, "identical code"), ("dose_5", "5 % more work")):
        verdicts = decided(gates_of(records, label))
        count = sum(verdicts.values())
        told = ", ".join(f"{hits} {verdict}" for verdict, hits in verdicts.items() if hits)
        by_luck = count - verdicts[UNRESOLVED] - verdicts[INVALID]
        if count:
            goal = "UNRESOLVED or ENVIRONMENT INVALID, 20 of 20"
            yield _row(f"loaded machine, {words}", told, goal, count >= 20 and not by_luck)


def _power(trials: Sequence[Record], doses: Sequence[Record]) -> Iterator[str]:
    """Yield the tables of real extra work: by dose, and by tail."""
    counted = {record["variant"]: record["more_percent"] for record in doses}
    yield "How often each metric was SLOWER, among valid gates; by design a change at the margin itself stays open.\n"
    yield "| extra work | instructions | gates | throughput | p50 | p99 | p99.9 | goal | reached |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for label, candidate in CANDIDATES.items():
        gates = [gate for gate in gates_of(trials, label) if gate["verdict"] != INVALID]
        if not gates:
            continue
        hits = {each: share(gates, SLOWER, [each]) for each in STATISTICS}
        more = f"{counted[candidate.selector]:+.2f} %" if candidate.selector in counted else ""
        told = " | ".join(str(hits[each].hits) for each in STATISTICS)
        goal, reached = _goal(label, hits)
        yield f"| {candidate.words} | {more} | {len(gates)} | {told} | {goal} | {reached} |"
    yield ""


def _goal(label: str, hits: Mapping[str, Share]) -> tuple[str, str]:
    """Return what one candidate has to show, and whether it did."""
    candidate = CANDIDATES[label]
    least = 0.99 if label == "dose_10" else 0.9
    goals, fine = [], min(each.count for each in hits.values()) >= ENOUGH
    if candidate.must_fire:
        goals.append(f"{' and '.join(map(_name, candidate.must_fire))} in {100 * least:.0f} %")
        fine &= all(hits[each].hits >= least * hits[each].count for each in candidate.must_fire)
    if candidate.must_not_fire:
        goals.append(f"never {', '.join(map(_name, candidate.must_not_fire))}")
        fine &= not any(hits[each].hits for each in candidate.must_not_fire)
    return "; ".join(goals), ("yes" if fine else "no") if goals else ""


def _name(statistic: str) -> str:
    return {"mean": "throughput", "p999": "p99.9"}.get(statistic, statistic)


def _rivals(trials: Sequence[Record]) -> Iterator[str]:
    """Yield the table of rules: false alarms, power by dose, seconds."""
    doses = [label for label in CANDIDATES if label.startswith("dose_")]
    by = {label: judged_by_rivals(trials, label) for label in (SAME, *doses)}
    all_, first = seconds_alone(trials)
    yield "| rule | false alarms | bound | " + " | ".join(f"{label[5:]} %" for label in doses) + " | seconds |"
    yield "| --- |" + " --- |" * (len(doses) + 3)
    own = {
        label: share([gate for gate in gates_of(trials, label) if gate["verdict"] != INVALID], SLOWER, ("mean", "p50"))
        for label in (SAME, *doses)
    }
    seconds = f"{median(all_):.0f}" if all_ else ""
    yield f"| this gate, throughput and p50 | {_alarm_cells(own[SAME])} | {_found(own, doses)} | {seconds} |"
    for name in rivals.RULES:
        found = {label: by[label][name] for label in (SAME, *doses)}
        cost = f"{median(first) * rivals.PROCESSES[name] / (3 * policy.REPLICATES):.0f}" if first else ""
        yield f"| {name} | {_alarm_cells(found[SAME])} | {_found(found, doses)} | {cost} |"
    yield f"\nBase and candidate are the arms `{BASE}` and `{SAME}` of the first look; `{AGAIN}` takes no part.\n"


def _alarm_cells(alarms: Share) -> str:
    return f"{alarms} | {_percent(alarms.upper)}"


def _found(shares: Mapping[str, Share], doses: Sequence[str]) -> str:
    return " | ".join(str(shares[label]) if shares[label].count else "" for label in doses)


def _planted(records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    last = records[-1]
    yield "### A slow commit in a repository\n"
    yield f"{last['story']}\n"
    for told in last["commands"]:
        yield f"`{told['command']}` ended with {told['exit']} after {told['seconds']:.0f} s:\n"
        yield "```\n" + told["output"].strip() + "\n```\n"
