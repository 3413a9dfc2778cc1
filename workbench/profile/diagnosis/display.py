"""A diagnosis as plain text, and as static HTML: inline styles only, so that it survives save, export and no script."""

from __future__ import annotations

import html

from workbench.profile.diagnosis.model import Finding, Findings
from workbench.profile.diagnosis.registry import help_of

INK = "color:light-dark(#1a1a1a,#e8e8e8)"
QUIET = "color:light-dark(#5c5c5c,#a8a8a8)"
MARK = "background:light-dark(#fff1c9,#4a3b0c)"
GOOD = "color:light-dark(#0a6b2d,#6fd694)"
EDGE = "border:1px solid light-dark(#c9c9c9,#555)"
CODE = "font-family:ui-monospace,monospace;font-size:12px"
TABLE = f"border-collapse:collapse;table-layout:auto;margin:0.3em 0;border:0;{CODE};text-align:left"
CELL = f"{INK};border:0;vertical-align:top"


def as_text(diagnosis: Findings) -> str:
    """Return the diagnosis for a terminal or a log."""
    out = [f"{diagnosis.name}{diagnosis.signature}: {_headline(diagnosis)}"]
    for finding in diagnosis.findings:
        out += ["", f"line {_lines(finding)}  {_title(finding)}"]
        for line in finding.lines[:4]:
            out.append(f"    {line:>5} | {_source(diagnosis, line)}")
        out += [f"    {finding.suspicion.what}", f"    evidence: {finding.suspicion.evidence}"]
        out += [f"    fix: {finding.suspicion.fix}", f"    measured: {_effect(finding)}"]
    if diagnosis.dismissed:
        out += ["", "looked at, and of no effect here:"]
        out += [f"    line {_lines(f)}  {_title(f)}: {_effect(f)}" for f in diagnosis.dismissed]
    return "\n".join(out)


def as_html(diagnosis: Findings) -> str:
    """Return the diagnosis as a static page part, findings beside the source."""
    rows = "".join(_source_row(diagnosis, index, text) for index, text in enumerate(diagnosis.source_lines))
    findings = "".join(_finding_html(finding) for finding in diagnosis.findings)
    dismissed = ""
    if diagnosis.dismissed:
        items = "".join(
            f"<li>line {_lines(f)}: {_escape(_title(f))}: {_escape(_effect(f))}</li>" for f in diagnosis.dismissed
        )
        dismissed = (
            f'<details><summary style="cursor:pointer;{QUIET}">Looked at, and of no effect here '
            f'({len(diagnosis.dismissed)})</summary><ul style="{QUIET}">{items}</ul></details>'
        )
    return (
        f'<div style="{INK};max-width:72em;font-family:system-ui,sans-serif;font-size:13px;line-height:1.45">'
        f'<p style="margin:0.3em 0"><b>{_escape(diagnosis.name)}</b> '
        f'<span style="{QUIET};{CODE}">{_escape(diagnosis.signature)}</span>: {_escape(_headline(diagnosis))}</p>'
        f"{findings}{dismissed}"
        f'<details{" open" if diagnosis.findings else ""}><summary style="cursor:pointer">Source</summary>'
        f'<table style="{TABLE}">{rows}</table></details></div>'
    )


def _headline(diagnosis: Findings) -> str:
    found = len(diagnosis.findings)
    if not found:
        return "nothing found that costs time"
    best = max(diagnosis.findings, key=lambda finding: finding.speedup)
    told = f"{found} finding{'s' if found > 1 else ''}"
    if best.best is not None and best.best.pays:
        told += f"; the largest gain: {best.best.fix}, {best.best.speedup:.1f}× ({best.best.unit})"
    return told


def _finding_html(finding: Finding) -> str:
    others = "".join(f"<li>{_escape(effect.fix)}: {_escape(str(effect))}</li>" for effect in finding.effects[1:])
    more = f'<ul style="margin:0.2em 0;{QUIET}">{others}</ul>' if others else ""
    return (
        f'<div style="{EDGE};border-radius:4px;padding:0.5em 0.8em;margin:0.4em 0">'
        f"<div><b>Line {_lines(finding)}: {_escape(_title(finding))}</b></div>"
        f"<div>{_escape(finding.suspicion.what)}</div>"
        f"<div><b>Fix:</b> {_escape(finding.suspicion.fix)}</div>"
        f'<div><b>Measured:</b> <span style="{GOOD}">{_escape(_effect(finding))}</span></div>{more}'
        f'<div style="{QUIET}"><b>Evidence:</b> {_escape(finding.suspicion.evidence)}</div></div>'
    )


def _source_row(diagnosis: Findings, index: int, text: str) -> str:
    line = diagnosis.first_line + index
    found = diagnosis.on_line(line)
    style = MARK if found else "background:none"
    told = "; ".join(dict.fromkeys(_title(finding) for finding in found))
    return (
        f'<tr style="{style};border:0"><td style="{CELL};padding:0 0.8em;text-align:right;{QUIET}">{line}</td>'
        f'<td style="{CELL};padding:0;white-space:pre;text-align:left">{_escape(text) or " "}</td>'
        f'<td style="{CELL};padding:0 0 0 1.5em;text-align:left">{_escape(told)}</td></tr>'
    )


def _title(finding: Finding) -> str:
    return help_of(finding.check)


def _effect(finding: Finding) -> str:
    if finding.best is None:
        return "not tried automatically"
    unit = "" if finding.best.unit == "time of a call" or finding.best.refused else f" ({finding.best.unit})"
    return f"{finding.best.fix}: {finding.best}{unit}"


def _lines(finding: Finding) -> str:
    return ", ".join(str(line) for line in finding.lines)


def _source(diagnosis: Findings, line: int) -> str:
    index = line - diagnosis.first_line
    return diagnosis.source_lines[index] if 0 <= index < len(diagnosis.source_lines) else ""


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
