"""Every step of a chain with its evidence, as static HTML without a script: worth, lines before and after, words."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from workbench.figures import LEAST, SIMULATED
from workbench.figures.text import number, percent_change, plain
from workbench.record import Run, Verdict
from workbench.report.chain import Chain, Step
from workbench.report.findings import find
from workbench.report.story_lines import LineCost, costly_lines, functions_ns
from workbench.report.story_profiles import Profiles
from workbench.report.story_words import conclusion, worth

LINES = 7  # lines shown of each variant; the pages of the profiles have all
FUNCTIONS = 6
_COLOURS = {Verdict.FASTER: "light-dark(#1a5fb4,#8abfff)", Verdict.SLOWER: "light-dark(#a8260b,#ff9a7d)"}
_QUIET, _RULE = "light-dark(#4a5666,#aab4c0)", "light-dark(#d9dee4,#323a45)"
_HEAT = "light-dark(rgba(47,125,209,.28),rgba(47,125,209,.5))"
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px"
_CELL = "padding:2px 12px 2px 0;border:0;text-align:left;vertical-align:top"
_NUMBER = "padding:2px 12px 2px 0;border:0;text-align:right;vertical-align:top;white-space:nowrap"
_TABLE = "border-collapse:collapse;margin:6px 0;font-size:13px;background:none;border:0;table-layout:auto"


@dataclass(frozen=True)
class Steps:
    """The steps of a chain, for a notebook and its report. `linked` is the folder of the profiles' pages, or empty."""

    chain: Chain
    run: Run
    lines: Profiles
    simulated: Profiles
    linked: str = ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.to_html(), "text/plain": str(self)}

    def __str__(self) -> str:
        told = []
        for step in self.chain.steps:
            told += [f"{step.variant}: {step.idea}", *(f"  {sentence}" for sentence in self._conclusion(step))]
            told += [f"  {_plain_line(line)}" for line in self._costly(step.variant)]
        return "\n".join(told)

    def to_html(self) -> str:
        """Return the steps one below the other."""
        why = [profiles.reason for profiles in (self.lines, self.simulated) if profiles.reason]
        notes = "".join(f'<p style="color:{_QUIET}">Not shown: {_e(reason)}.</p>' for reason in why)
        return notes + "".join(self._step(step, place) for place, step in enumerate(self.chain.steps, 1))

    def _conclusion(self, step: Step) -> list[str]:
        return conclusion(self.chain, step, self.run, self.lines, self.simulated)

    def _costly(self, variant: str) -> list[LineCost]:
        return costly_lines(self.run, self.chain.kernel, variant, self.lines, self.simulated, LINES)

    def _step(self, step: Step, place: int) -> str:
        origin = f", from {step.parent}" if step.parent else ", the root"
        first, *others = self._conclusion(step)
        words = f"<strong>{_e(first)}</strong> {_e(' '.join(others))}"
        return (
            f'<section style="border-top:1px solid {_RULE};margin-top:20px;padding-top:4px">'
            f'<h3>{place}. {_e(step.variant)}<span style="color:{_QUIET};font-weight:400">{_e(origin)}</span></h3>'
            f"<p>{_e(step.idea)}</p><p>{words}</p>"
            f"{self._worth(step)}{self._functions(step)}{self._side_by_side(step)}</section>"
        )

    def _worth(self, step: Step) -> str:
        """Return the table of what the step costs against its parent, its root and the peers, beside its counts."""
        others = dict.fromkeys([step.parent, step.root, *(peer.variant for peer in self.chain.peers)])
        rows = []
        for other in others:
            row = worth(self.run, self.chain.kernel, other, step.variant) if other else None
            if row is None or other is None:
                continue
            what = "parent" if other == step.parent else "root" if other == step.root else "peer"
            verdict = f"color:{_COLOURS.get(row.verdict, 'inherit')};font-weight:600"
            rows.append(
                f'<tr><td style="{_CELL}">{_e(other)} ({what})</td><td style="{_NUMBER}">{row.ratio:.3f}</td>'
                f'<td style="{_NUMBER}">{row.low:.3f} to {row.high:.3f}</td>'
                f'<td style="{_NUMBER}">{_e(percent_change(row.ratio))}</td>'
                f'<td style="{_CELL};{verdict}">{_e(row.verdict.value)}</td></tr>'
            )
        heads = ("against", "cost ratio", "interval", "change", "verdict")
        table = _table(heads, "".join(rows), numbers=(1, 2, 3)) if rows else ""
        return f'<div style="display:flex;flex-wrap:wrap;gap:0 40px">{table}{self._counts(step)}</div>'

    def _counts(self, step: Step) -> str:
        """Return the table of simulated counts per operation, before and after."""
        names = [step.parent, step.variant] if step.parent else [step.variant]
        rows = []
        for metric, title in SIMULATED.items():
            found = [find(self.run, self.chain.kernel, name, metric, "simulated") for name in names]
            if all(row is not None for row in found) and any(row is not None and row.value >= LEAST for row in found):
                cells = "".join(f'<td style="{_NUMBER}">{number(row.value)}</td>' for row in found if row is not None)
                rows.append(f'<tr><td style="{_CELL}">{_e(title)}</td>{cells}</tr>')
        heads = ("simulated, per operation", *(name for name in names if name))
        return _table(heads, "".join(rows), numbers=range(1, len(heads))) if rows else ""

    def _functions(self, step: Step) -> str:
        """Return the table of the time by function, before and after; nothing for a root or without samples."""
        if step.parent is None:
            return ""
        before = functions_ns(self.run, self.chain.kernel, step.parent, self.lines)
        after = functions_ns(self.run, self.chain.kernel, step.variant, self.lines)
        if not before or not after:
            return ""
        changes = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in {*before, *after}}
        ranked = sorted(changes, key=lambda name: (-abs(changes[name]), name))[:FUNCTIONS]
        rows = "".join(
            f'<tr><td style="{_CELL};{_MONO}">{_e(name)}</td><td style="{_NUMBER}">{_ns(before.get(name))}</td>'
            f'<td style="{_NUMBER}">{_ns(after.get(name))}</td><td style="{_NUMBER}">{_signed(changes[name])}</td></tr>'
            for name in ranked
        )
        heads = ("sampled, ns per operation, by function", step.parent, step.variant, "change")
        return _table(heads, rows, numbers=(1, 2, 3))

    def _side_by_side(self, step: Step) -> str:
        names = [step.parent, step.variant] if step.parent else [step.variant]
        most = max((line.ns for name in names if name for line in self._costly(name)), default=1.0)
        blocks = [self._lines(name, most) for name in names if name]
        return f'<div style="display:flex;flex-wrap:wrap;gap:8px 24px">{"".join(blocks)}</div>'

    def _lines(self, variant: str, most_ns: float) -> str:
        """Return the lines of one variant that take most, with a link to all; `most_ns` fills a cell."""
        reason = self.lines.absent.get(variant)
        if reason:
            return f'<p style="color:{_QUIET}">Lines of {_e(variant)} are not shown: {_e(reason)}.</p>'
        found = self._costly(variant)
        if not found:
            return ""
        rows = []
        for line in found:
            misses = f"{line.misses:.2f}" if line.misses and line.misses >= LEAST else ""
            bar = f"linear-gradient(to right,{_HEAT} {100 * line.ns / most_ns:.0f}%,transparent 0)"
            code = f'<code style="{_MONO};background:none;padding:0">{_e(line.source or line.place)}</code>'
            rows.append(
                f'<tr><td style="{_NUMBER};min-width:64px;background:{bar}">{line.ns:.2f}</td>'
                f'<td style="{_NUMBER}">{misses}</td>'
                f'<td style="{_CELL};overflow-wrap:anywhere">{code}<br><span style="color:{_QUIET};font-size:11px">'
                f"{_e(line.place)}</span></td></tr>"
            )
        heads = ("ns", "L1 misses", f"{variant}: the lines that take most, per operation")
        table = _table(heads, "".join(rows), (0, 1), wide=True)
        return f'<div style="flex:1 1 420px;min-width:0">{table}{self._links(variant)}</div>'

    def _links(self, variant: str) -> str:
        if not self.linked:
            return ""
        links = [
            f'<a href="{quote(f"{self.linked}/{variant}-{profiles.kind}.html")}">{what}</a>'
            for profiles, what in ((self.lines, "every line's time"), (self.simulated, "every line's misses"))
            if variant in profiles.found
        ]
        return f'<p style="font-size:13px">{_e(plain(variant))}: {", ".join(links)}</p>' if links else ""


def _table(heads: Sequence[str], rows: str, numbers: Sequence[int] = (), wide: bool = False) -> str:
    style = f"color:{_QUIET};font-weight:600;font-size:12px;border-bottom:1px solid {_RULE}"
    width = ";width:100%" if wide else ""
    cells = "".join(
        f'<th scope="col" style="{_NUMBER if place in numbers else _CELL + width};{style}">{_e(head)}</th>'
        for place, head in enumerate(heads)
    )
    return (
        f'<div style="overflow-x:auto;max-width:100%"><table style="{_TABLE}{width}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _plain_line(line: LineCost) -> str:
    misses = "" if line.misses is None else f"  {line.misses:.2f} L1 misses"
    return f"{line.ns:6.2f} ns{misses}  {line.place}  {line.source}"


def _ns(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _e(value: str) -> str:
    return html.escape(value, quote=True)
