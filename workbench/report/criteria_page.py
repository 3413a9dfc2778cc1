"""The criteria as a page and in Markdown: what is not met first, each with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workbench.figures.text import number, plain
from workbench.files import write_text
from workbench.report import page
from workbench.report.criteria import Judged, State
from workbench.report.markdown import code, escaped

_GROUPS = ("technical", "operational")


def write_criteria(judged: Sequence[Judged], path: Path, markdown: Path) -> None:
    """Write the page to `path`, and the same in Markdown."""
    write_text(path, criteria_html(judged))
    write_text(markdown, criteria_markdown(judged))


def criteria_html(judged: Sequence[Judged]) -> str:
    """Return the page."""
    return page.render(
        "criteria.html.j2",
        badge=worst(judged).value if judged else State.NO_EVIDENCE.value,
        sentence=sentence(judged),
        groups=[(group, _ordered([each for each in judged if each.criterion.group == group])) for group in _GROUPS],
        limit=limit_words,
        value=value_words,
        date=_date,
        policy=page.POLICY,
        style=page.text("style.css"),
    )


def criteria_markdown(judged: Sequence[Judged]) -> str:
    """Return the same in Markdown."""
    lines = ["# Success criteria", "", sentence(judged), ""]
    for group in _GROUPS:
        rows = _ordered([each for each in judged if each.criterion.group == group])
        if not rows:
            continue
        lines += [
            f"## {group.capitalize()}",
            "",
            "| state | criterion | limit | evidence |",
            "| --- | --- | --- | --- |",
        ]
        for each in rows:
            cells = (
                f"**{each.state}**",
                escaped(each.criterion.words, 300),
                escaped(limit_words(each)),
                _evidence(each),
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def sentence(judged: Sequence[Judged]) -> str:
    """Return how the criteria stand, in one sentence."""
    counts = Counter(each.state for each in judged)
    told = ", ".join(f"{counts[state]} {state.value.lower()}" for state in State if counts[state])
    return f"{len(judged)} {'criterion' if len(judged) == 1 else 'criteria'}: {told}." if judged else "No criterion."


def worst(judged: Sequence[Judged]) -> State:
    """Return the state that needs an eye first."""
    found = {each.state for each in judged}
    return next(state for state in State if state in found)


def limit_words(judged: Judged) -> str:
    """Return the limit as a person says it."""
    return f"{'at least' if judged.above else 'at most'} {_number(judged.limit, judged)}"


def value_words(judged: Judged) -> str:
    """Return the value with its interval; empty without evidence."""
    found = judged.evidence
    if found is None:
        return ""
    told = _number(found.value, judged)
    if found.low is None or found.high is None:
        return told
    return f"{told} ({_number(found.low, judged)} to {_number(found.high, judged)})"


def _number(value: float, judged: Judged) -> str:
    fact = judged.criterion.fact
    if fact is not None and fact.name != "night hours":
        return f"{100 * value:.3g} %"
    unit = judged.unit or (judged.evidence.unit if judged.evidence else "")
    return number(value, plain(unit, 30))


def _evidence(judged: Judged) -> str:
    found = judged.evidence
    command = f"; `{code(judged.criterion.command)}`" if judged.criterion.command else ""
    if found is None:
        return f"{escaped(judged.why, 300)}{command}"
    where = f", {escaped(found.machine, 120)}" if found.machine else ""
    told = f"{escaped(value_words(judged))}: {escaped(found.what, 160)}, {escaped(found.source, 80)}"
    return f"{told}, {_date(judged)}{where}{command}"


def _date(judged: Judged) -> str:
    return f"{judged.evidence.created:%Y-%m-%d}" if judged.evidence and judged.evidence.created else ""


def _ordered(judged: Sequence[Judged]) -> list[Judged]:
    order = list(State)
    return sorted(judged, key=lambda each: order.index(each.state))
