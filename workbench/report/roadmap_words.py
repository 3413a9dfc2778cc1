"""What the roadmap's notebook calls: an ablation measured, drawn, tabled and told in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import plotly.graph_objects as go

from workbench import figures
from workbench.figures import figure_table
from workbench.figures.text import number, percent_change, plain
from workbench.figures.waterfall import START, alone_row, compared, mean_of, measured, paired
from workbench.gate.outcome import Outcome
from workbench.measure.ablation import AGAIN, ALONE, FIRST, Ablated, ablate, choose_steps, end_of
from workbench.measure.ablation_steps import PHASES, STEPS, Step
from workbench.record import Comparison, Verdict
from workbench.report.cell_progress import cell_progress
from workbench.report.notebook import Words, conclude, job_folder
from workbench.report.tables import Listing


def measure(
    steps: Sequence[str] = (),
    *,
    workload: str = "",
    settings: Sequence[str] = (),
    seconds: float = 24.0,
    replicates: int = 6,
    alone: str = "all",
) -> Ablated:
    """Measure the steps called `steps` (none: all) along the path, and those of `alone` alone: see `ablate`."""
    from workbench.measure.job import read_setting

    return ablate(
        choose_steps(steps),
        workload=workload,
        settings=dict(map(read_setting, settings)),
        seconds=seconds,
        replicates=replicates,
        alone=alone,
        progress=cell_progress(job_folder()),
    )


def figure(found: Ablated) -> go.Figure:
    """Return the waterfall."""
    return figures.waterfall(found.run, FIRST, found.steps, found.absent)


def plan(found: Ablated) -> Listing:
    """Return what adopting each step takes: effort, risk, mitigation, the way back, and what it changed here."""
    rows = tuple(
        (step.title, step.phase, step.idea, step.effort, step.risk, step.mitigation, step.roll_back,
         _short(found, step))
        for step in found.steps
    )  # fmt: skip
    columns = ("step", "phase", "idea", "effort", "risk", "mitigation", "way back", "measured here")
    return Listing(columns, rows, "What adopting each step takes, in the order in which a team would go")


def markdown(found: Ablated) -> str:
    """Return the waterfall's table and the findings, for a page of text."""
    table = figure_table(figure(found))
    words = roadmap_outcome(found)
    machine, run = found.run.machine, found.run
    linux = _text(machine.linux)
    made = f"{_text(machine.cpu_model)}, {machine.cores} cores, Linux {linux}, {run.created:%d %B %Y, %H:%M} UTC"
    how = f"{_text(run.workload.name)}, {run.workload.events:,} events; {_rounds(found)}"
    rows = [table.columns, tuple("---" for _ in table.columns), *table.rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    told = [f"- {sentence}" for sentence in words.findings]
    return "\n".join([f"**{words.headline}**", "", f"Measured on {made}. {how}.", "", *lines, "", *told])


def _text(name: str) -> str:
    """Return a name that may hold anything as text in a page of Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|&])", r"\\\1", plain(name))


def _rounds(found: Ablated) -> str:
    """Return in how many rounds of fresh processes the steps were compared: along the path, and alone."""
    path = [paired(found.run, FIRST, step.name) for step in found.steps]
    alone = [compared(found.run, FIRST, START, step.name + ALONE) for step in found.steps]
    told = []
    for rows, where in ((path, "along the path"), (alone, "alone")):
        counts = sorted({row.replicates for row in rows if row is not None})
        if counts:
            told.append(f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} {where}")
    return f"rounds of fresh processes: {', '.join(told)}" if told else "compared in no round"


def conclude_roadmap(found: Ablated) -> Words:
    """Write the results, and return what the roadmap is worth, in words."""
    return conclude(found.run, roadmap_outcome(found))


def roadmap_outcome(found: Ablated) -> Outcome:
    """Return the whole path's worth, then each phase's and each step's, what to leave out, and the control."""
    path = measured(found.run, FIRST, found.steps)
    first = mean_of(found.run, FIRST, START)
    if first is None or len(path) < 2:
        return Outcome(headline="No step of the roadmap was measured.")
    findings = [*_phase_sentences(found)]
    findings += [_step_sentence(found, step, path) for step in found.steps]
    findings += _left_out(found)
    control, trusted = _control(found)
    findings = [*findings, *control] if trusted else [*control, *findings]
    return Outcome(headline=_headline(found), findings=findings)


def _headline(found: Ablated) -> str:
    first, last = (mean_of(found.run, FIRST, name) for name in (START, end_of(found.steps)))
    assert first is not None and last is not None
    ends = f"from {number(first.value, 'ns')} to {number(last.value, 'ns')} an operation"
    whole = compared(found.run, FIRST, START, end_of(found.steps))
    who, many = _who(found)
    if whole is None:
        return f"{who} {'go' if many else 'goes'} {ends}."
    interval = f"cost {whole.ratio:.3f}, interval {whole.low:.3f} to {whole.high:.3f}"
    if whole.verdict is Verdict.FASTER:
        return f"{who} {'make' if many else 'makes'} it {1 / whole.ratio:.3g} times as fast: {ends} ({interval})."
    return f"{who} {'are' if many else 'is'} {whole.verdict.value.lower()} against the start: {ends} ({interval})."


def _who(found: Ablated) -> tuple[str, bool]:
    """Return what was measured, as the subject of a sentence, and whether that is more than one."""
    names = measured(found.run, FIRST, found.steps)[1:]
    if all(step.name in names or step.name in found.absent for step in STEPS):
        return "The whole roadmap", False
    return (f"These {len(names)} of {len(STEPS)} steps", True) if names[1:] else (f"One of {len(STEPS)} steps", False)


def _phase_sentences(found: Ablated) -> list[str]:
    """Return how far each phase came: the product of its carried steps, which are compared in pairs."""
    told = []
    for phase in PHASES:
        carried = [step for step in found.steps if step.phase == phase and step.carried]
        rows = [paired(found.run, FIRST, step.name) for step in carried]
        kept = [row for row in rows if row is not None]
        if kept:
            ratio = 1.0
            for row in kept:
                ratio *= row.ratio
            ends = (
                mean_of(found.run, FIRST, kept[0].a.rpartition("@")[2]),
                mean_of(found.run, FIRST, kept[-1].b.rpartition("@")[2]),
            )
            before, after = (number(end.value, "ns") if end else "?" for end in ends)
            told.append(
                f"Phase {phase}: {percent_change(ratio)} in cost over its steps, {before} before and {after} after."
            )
    return told


_SAID = {
    Verdict.FASTER: "paid",
    Verdict.SLOWER: "made it SLOWER",
    Verdict.UNCHANGED: "changed nothing that counts",
    Verdict.UNRESOLVED: "is UNRESOLVED",
    Verdict.ENVIRONMENT_INVALID: "could not be judged: the environment moved",
}


def _step_sentence(found: Ablated, step: Step, path: Sequence[str]) -> str:
    title = plain(step.title, 80)
    if step.name in found.absent:
        return f"{title}: not applicable here, {plain(found.absent[step.name], 200)}."
    row = paired(found.run, FIRST, step.name)
    if row is None:
        return f"{title}: it was not measured."
    told = f"{title} {_SAID[row.verdict]}: {_size(row)}"
    alone = alone_row(found.run, FIRST, step, path[1:2])
    if alone is not None and step.name != path[1]:
        told += f"; alone it {_SAID[alone.verdict]}, {_size(alone)}"
    if _differs(found, step):
        told += "; and IT COMPUTES SOMETHING ELSE than the start, so it must not be taken"
    return told + ("." if step.carried else "; no later step stands on it.")


def _size(row: Comparison) -> str:
    return f"{percent_change(row.ratio)} in cost ({percent_change(row.low)} to {percent_change(row.high)})"


def _short(found: Ablated, step: Step) -> str:
    if step.name in found.absent:
        return f"not applicable: {plain(found.absent[step.name], 200)}"
    row = paired(found.run, FIRST, step.name)
    return "not measured" if row is None else f"{percent_change(row.ratio)}, {row.verdict.value}"


def _differs(found: Ablated, step: Step) -> bool:
    return step.name in found.differing or step.name + ALONE in found.differing


def _left_out(found: Ablated) -> list[str]:
    """Return which steps a team should not take, and which want a better look, in one sentence each.

    What computes something else is out whatever its speed: to measure it for longer would change nothing.
    """
    out = [f"{plain(step.title, 80)} (it computes something else)" for step in found.steps if _differs(found, step)]
    by_verdict: dict[Verdict, list[str]] = {}
    for step in found.steps:
        row = paired(found.run, FIRST, step.name)
        if row is not None and not _differs(found, step):
            by_verdict.setdefault(row.verdict, []).append(plain(step.title, 80))
    told = []
    if out:
        told.append(f"To be left out: {', '.join(out)}.")
    if Verdict.SLOWER in by_verdict:
        told.append(f"To be left out, or replaced by a later step: {', '.join(by_verdict[Verdict.SLOWER])}.")
    if Verdict.UNCHANGED in by_verdict:
        told.append(
            f"Not for speed here, though perhaps for another reason: {', '.join(by_verdict[Verdict.UNCHANGED])}."
        )
    if Verdict.UNRESOLVED in by_verdict:
        told.append(f"To be measured for longer before it is decided: {', '.join(by_verdict[Verdict.UNRESOLVED])}.")
    return told


def _control(found: Ablated) -> tuple[list[str], bool]:
    """Return what the start said of itself, and whether that lets the rest be believed."""
    row = compared(found.run, FIRST, START, AGAIN)
    if row is None:
        return ["The start was not measured against itself: nothing says how fine this measurement looks."], False
    if row.verdict in (Verdict.FASTER, Verdict.SLOWER):
        told = (
            f"The start differs from itself by {_size(row)}: this machine was not fit to measure, believe none of it."
        )
        return [told], False
    told = f"The start, measured against itself as a control: {_size(row)}, {row.verdict.value}"
    reach = max(row.high, 1 / row.low)
    if row.verdict is Verdict.UNCHANGED and reach <= 1 + row.margin:
        return [f"{told}."], True
    return [
        f"{told}. That is wider than the {100 * row.margin:.0f} % that count: this measurement cannot tell changes of "
        f"up to {100 * (reach - 1):.0f} %, and a verdict on a smaller one is not to be relied on."
    ], False
