"""A gate's conclusion in Markdown, fit for a comment on a pull request: verdict first, details folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.gate.words import (
    change,
    controls_line,
    environment_line,
    headline,
    load_line,
    metric_of,
    next_step,
    ordered,
    variant_of,
    why,
)
from workbench.record import Gate, GateCell, Verdict

MOST_CELLS = 200  # GitHub refuses comments above 65,536 characters; the JSON has all cells


def markdown(gate: Gate) -> str:
    """Return the comment. What a kernel or a person named is escaped: it cannot break the table or inject HTML."""
    telling = [cell for cell in ordered(gate.cells) if cell.verdict is not Verdict.UNCHANGED]
    quiet = [cell for cell in gate.cells if cell.verdict is Verdict.UNCHANGED]
    lines = [f"### {_escaped(headline(gate))}", ""]
    if telling:
        lines += [*_table(telling), ""]
    lines += [f"**Next:** {_escaped(next_step(gate))}", ""]
    if quiet:
        lines += _folded(f"{len(quiet)} unchanged", _table(quiet))
    if gate.same_code:
        names = [f"- `{_code(name)}`" for name in gate.same_code]
        lines += _folded(f"{len(names)} not timed: their machine code is the same on both sides", names)
    if gate.unjudged:
        names = [f"- `{_code(name)}`" for name in gate.unjudged]
        lines += _folded(f"{len(names)} changed, and nothing could be judged", names)
    if gate.budgets:
        lines += _folded("Budgets", [f"- {_escaped(each.title)}: {_escaped(each.words)}" for each in gate.budgets])
    lines += _folded("Controls, environment, thresholds", list(_details(gate)))
    return "\n".join(lines).rstrip() + "\n"


def _table(cells: Sequence[GateCell]) -> list[str]:
    rows = ["| variant | metric | change of the cost | margin | verdict | |", "| --- | --- | --- | --- | --- | --- |"]
    for cell in cells[:MOST_CELLS]:
        margin = f"{100 * cell.margin:g} %"
        texts = (metric_of(cell), change(cell), margin, f"**{cell.verdict}**", _escaped(why(cell)))
        rows.append(f"| `{_code(variant_of(cell))}` | {' | '.join(texts)} |")
    if len(cells) > MOST_CELLS:
        rows += ["", f"and {len(cells) - MOST_CELLS} more: see the JSON"]
    return rows


def _folded(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _details(gate: Gate) -> Iterable[str]:
    if controls_line(gate):
        yield f"- {_escaped(controls_line(gate))}"
    if load_line(gate):
        yield f"- {load_line(gate)}"
    for name, commit in ((gate.base, gate.base_commit), (gate.candidate, gate.candidate_commit)):
        if commit:
            yield f"- {_escaped(name)} is `{_code(commit)}`"
    yield f"- {_escaped(environment_line(gate))}"
    yield f"- thresholds: {', '.join(f'{name} {value:g}' for name, value in gate.thresholds.items())}"
    yield f"- {gate.duration_s:.0f} s; record `{gate.record_id}`"
    for note in gate.notes:
        yield f"- {_escaped(note)}"


def _escaped(text: str) -> str:
    for character in "\\`*_[]|#":
        text = text.replace(character, f"\\{character}")
    return _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def _code(text: str) -> str:
    """Return `text` for inside backticks, also in a table."""
    return _one_line(text).replace("`", "'").replace("|", "\\|")


def _one_line(text: str) -> str:
    return " ".join(text.split())
