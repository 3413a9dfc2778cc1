"""What a gate concluded, in words: for a terminal, and the pieces that every other form is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.gate.conclude import missed_budgets
from workbench.gate.evidence import CONTROL
from workbench.record import Gate, GateCell, Verdict

_HEADS = ("variant", "metric", "candidate / base", "interval", "margin", "verdict", "")
_SHOWN_FIRST = (
    Verdict.SLOWER,
    Verdict.ENVIRONMENT_INVALID,
    Verdict.UNRESOLVED,
    Verdict.FASTER,
    Verdict.UNCHANGED,
)


def headline(gate: Gate) -> str:
    """Return the conclusion in one sentence, the verdict first."""
    sides = f"{gate.candidate} against {gate.base}"
    if gate.verdict is Verdict.SLOWER:
        slower = [cell for cell in gate.cells if cell.verdict is Verdict.SLOWER]
        worst = max(slower, key=lambda cell: cell.ratio)
        more = f" and {len(slower) - 1} more" if len(slower) > 1 else ""
        return f"SLOWER: {variant_of(worst)} {metric_of(worst)} {change(worst)}{more} ({sides})"
    if missed_budgets(gate):
        return f"{gate.verdict}, but over budget: {missed_budgets(gate)[0].title} ({sides})"
    return f"{gate.verdict}: {gate.reason} ({sides})"


def next_step(gate: Gate) -> str:
    """Return what to do now, in one line."""
    by_verdict = {verdict: [cell for cell in gate.cells if cell.verdict is verdict] for verdict in Verdict}
    if gate.verdict is Verdict.ENVIRONMENT_INVALID:
        again = "run the gate again" if gate.mode == "revisions" else _measured_again(by_verdict[gate.verdict])
        return f"nothing is known of the code: end what else runs on this machine, and {again}"
    if by_verdict[Verdict.SLOWER]:
        name = variant_of(by_verdict[Verdict.SLOWER][0])
        return f"workbench profile cpu {name} shows which lines spend the time; workbench history {name.split('/')[0]}"
    missed = missed_budgets(gate)
    if missed:
        several = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
        return f"budget {missed[0].title}{several}: make it cheaper, or set another limit in the file of --budgets"
    if gate.unjudged and not by_verdict[Verdict.UNRESOLVED]:
        return f"nothing is known of {gate.unjudged[0]}: the notes say why; without --no-timing it would be timed"
    unresolved = by_verdict[Verdict.UNRESOLVED]
    if unresolved:
        if gate.mode == "baseline":
            return f"{_measured_again(unresolved)}; or --allow-unresolved"
        return f"measure longer what is not resolved: {_longer(unresolved)}, or --allow-unresolved"
    return "nothing has to be done"


def _longer(unresolved: Sequence[GateCell]) -> str:
    """Return what would settle the cells that are open. How many seconds were given, a record does not hold."""
    times = [cell.blocks_needed / cell.blocks for cell in unresolved if cell.blocks_needed and cell.blocks]
    if not times:
        return "give more --seconds and twice as many --replicates"
    return f"give {max(2, math.ceil(max(times))):,} times as many --seconds"


def _measured_again(cells: Sequence[GateCell]) -> str:
    """Return how stored runs are replaced: this gate reads them, so that running it again changes nothing."""
    kernels = list(dict.fromkeys(cell.b.split("/")[0] for cell in cells))
    told = " ".join(kernels)
    return (
        f"measure again with `workbench run {told} --replicates 12` and the options of the baseline, "
        f"or compare code by `workbench gate --against REVISION {told}`"
    )


def variant_of(cell: GateCell) -> str:
    """Return ``kernel/variant`` of a cell."""
    return cell.b.partition("@")[0]


def metric_of(cell: GateCell) -> str:
    """Return the metric as a person says it: throughput, p99, instructions."""
    return cell.statistic if cell.metric == "service_time" else cell.metric


def change(cell: GateCell) -> str:
    """Return by how much the cost changed, with its interval: +5.2 % (+4.1 .. +6.3 %)."""
    if cell.low == cell.high:
        return f"{percent(cell.ratio)} %"
    return f"{percent(cell.ratio)} % ({percent(cell.low)} .. {percent(cell.high)} %)"


def percent(ratio: float) -> str:
    """Return a ratio of costs as a change in percent, with its sign and without its unit."""
    return f"{100 * (ratio - 1):+.1f}"


def why(cell: GateCell) -> str:
    """Return the reason of a cell, with the blocks that would settle it."""
    if cell.blocks_needed is None:
        return cell.reason
    told = f"about {cell.blocks_needed:,} blocks would settle it, {cell.blocks:,} were measured"
    return f"{cell.reason}; {told}" if cell.reason else told


def ordered(cells: Sequence[GateCell]) -> list[GateCell]:
    """Return cells in the order in which they are read: what is wrong first."""
    return sorted(cells, key=lambda cell: _SHOWN_FIRST.index(cell.verdict))


def controls_line(gate: Gate) -> str:
    """Return what the controls said, in one line; empty without any."""
    if not gate.controls:
        return ""
    fired = [cell for cell in gate.controls if cell.flagged]
    if fired:
        return f"controls: {len(fired)} of {len(gate.controls)} moved"
    widest = max(gate.controls, key=lambda cell: abs(cell.ratio - 1))
    kernel = "the control kernel" if variant_of(widest).startswith(f"{CONTROL}/") else "the base against itself"
    return f"controls: none of {len(gate.controls)} moved; the most is {change(widest)} ({kernel}, {metric_of(widest)})"


def load_line(gate: Gate) -> str:
    """Return what other programs did meanwhile; empty where that is not known."""
    if gate.other_load_cores is None:
        return ""
    return f"other programs kept {gate.other_load_cores:.2f} cores busy meanwhile"


def environment_line(gate: Gate) -> str:
    """Return where this was measured."""
    machine = gate.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return f"{machine.cpu_model}, {machine.cores} cores, Linux {machine.linux}, key {machine.hardware_key}; {versions}"


def text(gate: Gate) -> str:
    """Return the table for a terminal: verdict, cells, controls, budgets, notes, next step."""
    lines = [headline(gate)]
    if gate.cells:
        rows = [_HEADS, *(_row(cell) for cell in ordered(gate.cells))]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
        lines += ["", *("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)]
    lines.append("")
    if gate.same_code:
        lines.append(f"not timed, their machine code is the same: {', '.join(gate.same_code)}")
    if gate.unjudged:
        lines.append(f"changed, and nothing could be judged: {', '.join(gate.unjudged)}")
    lines += [f"budget {budget.title}: {budget.words}" for budget in gate.budgets]
    lines += [line for line in (controls_line(gate), load_line(gate)) if line]
    lines += [f"note: {note}" for note in gate.notes]
    lines += [f"machine {environment_line(gate)}", f"{gate.duration_s:.0f} s in all", f"next: {next_step(gate)}"]
    return "\n".join(lines)


def _row(cell: GateCell) -> tuple[str, ...]:
    return (
        variant_of(cell),
        metric_of(cell),
        f"{cell.ratio:.3f}",
        f"{cell.low:.3f} .. {cell.high:.3f}",
        f"{100 * cell.margin:g} %",
        cell.verdict.value,
        why(cell),
    )
