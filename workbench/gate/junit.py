"""A gate's conclusion as JUnit XML, which build servers show: one test case a cell.

SLOWER is a failure; ENVIRONMENT INVALID an error, since it is no verdict on the code; UNRESOLVED is skipped, with its
reason, since a failure would be a false one. A budget that counts and is surely missed is a failure too, unless the
whole gate is ENVIRONMENT INVALID.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as Tree

from workbench.gate.conclude import missed_budgets
from workbench.gate.words import change, metric_of, variant_of, why
from workbench.record import Gate, GateCell, Verdict

_TAGS = {Verdict.SLOWER: "failure", Verdict.ENVIRONMENT_INVALID: "error", Verdict.UNRESOLVED: "skipped"}
_FORBIDDEN = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")  # XML 1.0, section 2.2


def junit(gate: Gate) -> str:
    """Return the XML document."""
    suite = Tree.Element("testsuite", name="workbench gate", timestamp=gate.created.strftime("%Y-%m-%dT%H:%M:%S"))
    suite.set("hostname", _clean(gate.machine.host))
    suite.set("time", f"{gate.duration_s:.3f}")
    for cell in gate.cells:
        _add_cell(suite, cell)
    for control in gate.controls:
        if control.flagged:
            case = _case(suite, "controls", f"{control.b} {metric_of(control)}")
            _add_told(case, "error", f"{Verdict.ENVIRONMENT_INVALID}: {control.reason}")
    for name in gate.same_code:
        _case(suite, name, "machine code")
    for name in gate.unjudged:
        _add_told(_case(suite, name, "machine code"), "skipped", "it changed, and no metric of it could be judged")
    missed = missed_budgets(gate)
    for budget in gate.budgets:
        case = _case(suite, "budgets", budget.title)
        if budget in missed:
            _add_told(case, "failure", budget.words)
    counts = {tag: len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")}
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(counts[tag]))
    suite.set("tests", str(len(suite.findall("testcase"))))
    root = Tree.Element("testsuites")
    root.append(suite)
    Tree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Tree.tostring(root, encoding="unicode") + "\n"


def _add_cell(suite: Tree.Element, cell: GateCell) -> None:
    case = _case(suite, variant_of(cell), metric_of(cell))
    told = f"{cell.verdict}: {change(cell)}, margin {100 * cell.margin:g} %"
    if cell.verdict in _TAGS:
        _add_told(case, _TAGS[cell.verdict], f"{told}; {why(cell)}")
    else:
        Tree.SubElement(case, "system-out").text = _clean(told)


def _case(suite: Tree.Element, name: str, metric: str) -> Tree.Element:
    return Tree.SubElement(suite, "testcase", classname=_clean(name.replace("/", ".")), name=_clean(metric), time="0")


def _add_told(case: Tree.Element, tag: str, told: str) -> None:
    element = Tree.SubElement(case, tag, message=_clean(told))
    if tag != "skipped":
        element.set("type", told.partition(":")[0])


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
