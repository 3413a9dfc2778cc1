"""A profile as annotated source: static HTML that survives saving, papermill and export, and the same as plain text.

Inline styles only, no script, no class names: an untrusted notebook keeps inline styles and ``<details>`` and drops
nearly everything else. The assembly of a line opens with Enter or a click on the line.
"""

from __future__ import annotations

import html as escaping
from collections.abc import Iterator
from pathlib import Path

from workbench.profile.counted import Counted, Line, LineNote

CONTEXT_LINES = 2  # shown around each line that has counters
GAP_LINES = 8  # lines without counters between two spans before the source is cut
MAX_ASSEMBLY_LINES = 200
WIDTH_COLUMN_CH = 34  # what is told beside the width is folded there: the source needs the room

_TEXT, _MUTED = "light-dark(#1f2328,#e6edf3)", "light-dark(#59636e,#9198a1)"
_LINE_HEIGHT = 1.45
_RULE, _BAND = "light-dark(#d1d9e0,#3d444d)", "light-dark(#f6f8fa,#151b23)"
_HEAT = "light-dark(rgba(207,34,46,{0}),rgba(248,81,73,{0}))"
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px"
_NUMBER = f"padding:0 8px;text-align:right;white-space:nowrap;{_MONO};color:{_TEXT};vertical-align:top;border:0"
_CODE = f"padding:0 8px;text-align:left;{_MONO};color:{_TEXT};vertical-align:top;border:0"
_PRE = f"margin:0;white-space:pre;{_MONO};color:{_TEXT};background:none;border:0;padding:0;overflow:visible"
_HEAD = f"padding:2px 8px;text-align:right;font-weight:600;color:{_MUTED};border:0;border-bottom:1px solid {_RULE}"
# JupyterLab lays tables out with equal columns, stripes their rows and centres them, unless told otherwise.
_TABLE = f"border-collapse:collapse;table-layout:auto;margin:8px 0;width:100%;background:none;border:0;{_MONO}"
_ROW = "background:none;border:0"
_LABELS = {
    "inclusive": "with inlined",
    "d1_misses": "L1 misses",
    "ll_misses": "LL misses",
    "d1_bytes_unused": "L1 bytes unused",
    "branch_misses": "mispredicted",
}
_PARTS = {
    "data_reads",
    "data_writes",
    "i1_misses",
    "d1_read_misses",
    "d1_write_misses",
    "ll_instruction_misses",
    "ll_read_misses",
    "ll_write_misses",
    "ll_bytes_unused",
    "branches",
    "indirect_branches",
    "indirect_branch_misses",
}
"""Counters that the record and the kept files have, and that the display leaves out: it would be wider than a page."""


def html(profile: Counted) -> str:
    """Return `profile` as one HTML fragment."""
    blocks = "".join(_file_block(profile, file) for file in _files(profile))
    return (
        f'<div style="color:{_TEXT};font-family:system-ui,sans-serif;font-size:13px;line-height:{_LINE_HEIGHT}">'
        f'<p style="margin:4px 0"><strong>{_e(profile.title)}</strong> '
        f'<span style="color:{_MUTED}">{_e(_headline(profile))}</span></p>'
        f"{_badges(profile)}{blocks}{_footer(profile)}</div>"
    )


def page(profile: Counted) -> str:
    """Return `profile` as a whole HTML page, light or dark as the reader's system is; it asks for no other file."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f"<title>{_e(profile.title)}: {_e(_label(profile.main))} by line</title></head>"
        f'<body style="margin:16px;background:light-dark(#ffffff,#0d1117)">{html(profile)}</body></html>\n'
    )


def text(profile: Counted, count: int = 20) -> str:
    """Return the top lines of `profile` as plain text, with their source."""
    names = _columns(profile)
    head = f"{'%':>6} " + " ".join(f"{_label(name):>12}" for name in names) + f"  {'width':<8}  line"
    out = [f"{profile.title}: {_headline(profile)}", head]
    for line, share in profile.top(count):
        note = profile.notes_by_line.get(line, LineNote())
        amounts = " ".join(f"{_amount(profile.counters[line].get(name)):>12}" for name in names)
        place = f"{Path(line.file).name}:{line.line}" if line.line else line.function
        out.append(f"{100 * share:6.1f} {amounts}  {note.width:<8}  {place}  {profile.source(line).strip()}".rstrip())
    out += [f"{function}: {badge}" for function, badge in profile.badges.items()]
    out += [f"outside: {_outside(profile)}"] if profile.outside else []
    return "\n".join(out + profile.notes)


def _files(profile: Counted) -> list[str]:
    """Return the files by what falls on them, most first."""
    weight: dict[str, float] = {}
    for line in profile.counters:
        weight[line.file] = weight.get(line.file, 0.0) + profile.share(line)
    return sorted(weight, key=lambda file: (-weight[file], file))


def _file_block(profile: Counted, file: str) -> str:
    by_number: dict[int, Line] = {}
    for line in sorted((each for each in profile.counters if each.file == file), key=lambda each: -profile.share(each)):
        by_number.setdefault(line.line, line)
    names = _columns(profile)
    rows = []
    for number in _numbers(set(by_number), len(profile.sources.get(file, ()))):
        if number is None:
            columns = len(names) + 3 + bool(profile.notes_by_line)
            rows.append(f'<tr style="{_ROW}"><td colspan="{columns}" style="{_CODE};color:{_MUTED}">⋮</td></tr>')
        else:
            rows.append(_row(profile, file, number, by_number.get(number), names))
    width = f'<th scope="col" style="{_HEAD};text-align:left">width</th>' if profile.notes_by_line else ""
    heads = "".join(f'<th scope="col" style="{_HEAD}">{_e(_label(name))}</th>' for name in names)
    source = "source (open a line for its assembly)" if profile.notes_by_line else "source"
    return (
        f'<div style="overflow-x:auto"><table style="{_TABLE}">'
        f'<caption style="text-align:left;padding:4px 8px;background:{_BAND};color:{_TEXT}">{_e(_file_title(file))}'
        f'</caption><thead><tr style="{_ROW}">'
        f'<th scope="col" style="{_HEAD}">line</th><th scope="col" style="{_HEAD}">%</th>{heads}'
        f"{width}"
        f'<th scope="col" style="{_HEAD};text-align:left;width:100%">{source}</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(profile: Counted, file: str, number: int, line: Line | None, names: list[str]) -> str:
    source = profile.source(line or Line("", file, number)) or (line.function if line else "")
    code = f'<pre style="{_PRE}">{_e(source) or " "}</pre>'
    if line is None:
        width = f'<td style="{_CODE}"></td>' if profile.notes_by_line else ""
        empty = f'<td style="{_NUMBER}"></td>' * (len(names) + 1)
        return (
            f'<tr style="{_ROW}"><td style="{_NUMBER};color:{_MUTED}">{number}</td>{empty}{width}'
            f'<td style="{_CODE}">{code}</td></tr>'
        )
    same = [each for each in profile.counters if (each.file, each.line) == (file, number)]
    share = sum(profile.share(each) for each in same)
    note = profile.notes_by_line.get(line, LineNote())
    amounts = "".join(
        f'<td style="{_NUMBER}">{_amount(sum(profile.counters[each].get(name, 0.0) for each in same))}</td>'
        for name in names
    )
    width = f'<td style="{_CODE}">{_width(note)}</td>' if profile.notes_by_line else ""
    bar = f"linear-gradient(to right,{_HEAT.format(0.35)} {100 * share:.1f}%,transparent 0)"
    heat = f"background:{bar} no-repeat 0 0/100% {_LINE_HEIGHT}em"  # of the first line: an open row is many lines high
    return (
        f'<tr style="{_ROW}"><td style="{_NUMBER};color:{_MUTED}">{number or ""}</td>'
        f'<td style="{_NUMBER};min-width:64px;{heat}">{100 * share:.1f}</td>{amounts}'
        f"{width}"
        f'<td style="{_CODE}">{_with_assembly(code, source, note)}</td></tr>'
    )


def _with_assembly(code: str, source: str, note: LineNote) -> str:
    if not note.assembly:
        return code
    shown = note.assembly[:MAX_ASSEMBLY_LINES]
    if len(note.assembly) > len(shown):
        shown = [*shown, f"… {len(note.assembly) - len(shown)} more"]
    assembly = _e("\n".join(shown))
    bare = source.lstrip() or "assembly"
    wide = source.expandtabs(4)
    indent = (
        len(wide) - len(wide.lstrip()) if wide.strip() else 0
    )  # as padding: some pages trim a summary's first blanks
    marked = f'<span style="text-decoration:underline dotted {_MUTED}">{_e(bare)}</span>'
    summary = f"cursor:pointer;list-style:none;margin:0;padding:0 0 0 {indent}ch;{_MONO};white-space:pre;color:{_TEXT}"
    return (
        f'<details style="margin:0;padding:0;border:0"><summary style="{summary}">{marked}</summary>'
        f'<pre style="{_PRE};max-height:24em;overflow:auto;background:{_BAND};padding:4px 8px;color:{_MUTED}">'
        f"{assembly}</pre></details>"
    )


def _width(note: LineNote) -> str:
    if not note.width and not note.detail:
        return ""
    strong = "light-dark(#0969da,#4493f8)" if "×" in note.width else _MUTED
    detail = f'<span style="color:{_MUTED}"> {_e(note.detail)}</span>' if note.detail else ""
    label = f'<span style="border:1px solid {strong};border-radius:4px;padding:0 4px;color:{strong}">{_e(note.width)}'
    told = (f"{label}</span>" if note.width else "") + detail
    return f'<div style="width:max-content;max-width:{WIDTH_COLUMN_CH}ch;white-space:normal">{told}</div>'


def _badges(profile: Counted) -> str:
    shown = []
    for function, badge in profile.badges.items():
        colour = "light-dark(#1a7f37,#3fb950)" if badge == "same code" else "light-dark(#9a6700,#d29922)"
        shown.append(
            f'<span style="border:1px solid {colour};border-radius:4px;padding:0 6px;margin-right:6px;color:{colour}">'
            f"{_e(function)}: {_e(badge)}</span>"
        )
    return f'<p style="margin:4px 0">{"".join(shown)}</p>' if shown else ""


def _footer(profile: Counted) -> str:
    where = "Of no line" if profile.kind == "memory" else "Outside compiled code"
    told = [*([f"{where}: {_outside(profile)}."] if profile.outside else []), *profile.notes]
    return "".join(f'<p style="margin:4px 0;color:{_MUTED}">{_e(each)}</p>' for each in told)


def _headline(profile: Counted) -> str:
    over = profile.overhead
    where = "by line" if profile.kind == "memory" else "in compiled code"  # memory is of Python's lines too
    told = [f"{profile.total:,.0f} {_label(profile.main)} {where}"]
    if "duration_s" in over:
        told.append(f"{over['duration_s']:.1f} s")
    if over.get("lost"):
        told.append(f"{over['lost']:.0f} lost")
    if "slowdown" in over:
        low, high = over["slowdown_low"], over["slowdown_high"]
        told.append(
            f"sampling slows it by {100 * (over['slowdown'] - 1):.1f} % "
            f"({100 * (low - 1):.1f} … {100 * (high - 1):.1f})"
        )
        if "keeper_core_share" in over:
            told.append(f"the sampler itself takes {100 * over['keeper_core_share']:.1f} % of a core")
    elif "estimated_slowdown" in over:
        told.append(f"sampling slows it by about {100 * (over['estimated_slowdown'] - 1):.1f} %, an estimate")
    return ", ".join(told)


def _outside(profile: Counted) -> str:
    ranked = sorted(profile.outside.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {amount:,.0f}" for name, amount in ranked[:5])


def _columns(profile: Counted) -> list[str]:
    names = [name for name in profile.counter_names() if name not in _PARTS or name == profile.main]
    order = list(_LABELS)
    names[1:] = sorted(names[1:], key=lambda name: (order.index(name) if name in order else len(order), name))
    if profile.counters and all(each.get("inclusive") == each.get("samples") for each in profile.counters.values()):
        names = [name for name in names if name != "inclusive"]
    return names


def _numbers(wanted: set[int], length: int) -> Iterator[int | None]:
    """Yield the line numbers to show, None where source is left out between."""
    last: int | None = None
    for number in sorted(wanted):
        if not number:
            yield 0
            continue
        begin = max(1, number - CONTEXT_LINES)
        if last is not None and begin - last <= GAP_LINES:
            begin = last + 1
        elif last is not None:
            yield None
        end = min(number + CONTEXT_LINES, max(length, number))
        yield from range(begin, end + 1) if last is None or end > last else ()
        last = max(end, last or 0)


def _file_title(file: str) -> str:
    if not file:
        return "compiled code without lines"
    return file if Path(file).is_file() else f"notebook cell ({Path(file).name})"


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " "))


def _amount(value: float | None) -> str:
    return f"{value:,.0f}" if value else ""


def _e(value: str) -> str:
    return escaping.escape(value, quote=True)
