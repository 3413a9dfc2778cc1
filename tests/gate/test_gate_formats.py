"""What a gate writes for people, pull requests and build servers."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory

from workbench import record
from workbench.errors import Exit
from workbench.gate.conclude import exit_code
from workbench.gate.evidence import CONTROL
from workbench.gate.junit import junit
from workbench.gate.markdown import MOST_CELLS, markdown
from workbench.gate.words import headline, next_step, text
from workbench.record import Verdict


def cell(name, ratio, verdict, *, metric="throughput", statistic="mean", spread=0.01, **changes):
    values = {
        "a": f"{name}@main",
        "b": f"{name}@HEAD",
        "metric": metric,
        "statistic": statistic,
        "ratio": ratio,
        "low": ratio - spread,
        "high": ratio + spread,
        "margin": 0.03,
        "verdict": verdict,
        "p_value": 0.001,
        "blocks": 96,
        "replicates": 6,
    }
    return record.GateCell(**{**values, **changes})


SLOWER = cell("k/slow", 1.052, Verdict.SLOWER, confirmed=True, reason="confirmed in 9 fresh processes")
OPEN = cell(
    "k/open", 1.02, Verdict.UNRESOLVED, spread=0.03, blocks_needed=960, reason="the interval crosses the margin"
)
FASTER = cell("k/fast", 0.9, Verdict.FASTER, metric="service_time", statistic="p99")
STUCK = cell("k/stuck", 1.02, Verdict.UNRESOLVED, reason="too few processes")
VOID = cell("k/void", 1.3, Verdict.ENVIRONMENT_INVALID, reason="no code change")
SAME = cell("k/same", 1.0, Verdict.UNCHANGED)
COUNT = cell("k/slow", 1.08, Verdict.SLOWER, metric="instructions", statistic="total", spread=0.0)


def gate(*cells, **changes):
    verdicts = {each.verdict for each in cells}
    order = (Verdict.ENVIRONMENT_INVALID, Verdict.SLOWER, Verdict.UNRESOLVED, Verdict.FASTER, Verdict.UNCHANGED)
    values = {
        "machine": factory.machine(),
        "mode": "revisions",
        "base": "main",
        "candidate": "HEAD",
        "base_commit": "0" * 40,
        "verdict": next(verdict for verdict in order if verdict in verdicts) if cells else Verdict.UNCHANGED,
        "reason": "1 of 4 cells",
        "cells": list(cells),
        "duration_s": 12.0,
    }
    return record.Gate(**{**values, **changes})


def test_the_worst_comes_first_with_its_interval():
    whole = gate(SAME, FASTER, OPEN, SLOWER, COUNT)
    assert headline(whole) == "SLOWER: k/slow instructions +8.0 % and 1 more (HEAD against main)"
    lines = text(gate(SAME, FASTER, OPEN, SLOWER)).splitlines()
    assert lines[0] == "SLOWER: k/slow throughput +5.2 % (+4.2 .. +6.2 %) (HEAD against main)"
    assert [line.split()[0] for line in lines[3:7]] == ["k/slow", "k/open", "k/fast", "k/same"]
    assert "about 960 blocks would settle it, 96 were measured" in lines[4]
    assert lines[-1].startswith("next: workbench profile cpu k/slow")


@pytest.mark.parametrize(
    ("cells", "changes", "told", "code"),
    [
        ([SAME], {}, "nothing has to be done", Exit.FINE),
        ([FASTER], {}, "nothing has to be done", Exit.FINE),
        ([OPEN], {}, "give 10 times as many --seconds, or --allow-unresolved", Exit.UNRESOLVED),
        ([STUCK], {}, "twice as many --replicates", Exit.UNRESOLVED),
        ([OPEN], {"mode": "baseline"}, "measure again with `workbench run k --replicates 12`", Exit.UNRESOLVED),
        ([SLOWER, OPEN], {}, "workbench profile cpu k/slow", Exit.REGRESSION),
        ([SLOWER], {"verdict": Verdict.ENVIRONMENT_INVALID}, "run the gate again", Exit.INVALID),
        ([VOID], {"mode": "baseline"}, "and measure again with `workbench run k", Exit.INVALID),
    ],
)
def test_every_outcome_has_a_next_step_and_an_exit_code(cells, changes, told, code):
    made = gate(*cells, **changes)
    assert told in next_step(made)
    assert exit_code(made) is code


def budget(met, sure):
    return record.GateBudget(title="k p99 (p99, a)", words="must missed by 3.0 %", met=met, sure=sure)


@pytest.mark.parametrize(
    ("met", "sure", "blocks", "code"),
    [
        (False, True, True, Exit.REGRESSION),
        (False, False, True, Exit.FINE),
        (True, True, True, Exit.FINE),
        (False, True, False, Exit.FINE),
    ],
)
def test_only_a_budget_that_counts_and_is_surely_missed_fails(met, sure, blocks, code):
    made = gate(SAME, budgets=[budget(met, sure)], budgets_block=blocks)
    assert exit_code(made) is code
    assert ("over budget: k p99" in headline(made)) is (code is Exit.REGRESSION)
    assert exit_code(gate(OPEN, budgets=[budget(met, sure)], budgets_block=blocks), True) is code


@pytest.mark.parametrize("cells", [[SAME], [OPEN], [SAME, OPEN]])
def test_over_budget_the_next_step_is_about_the_budget(cells):
    told = next_step(gate(*cells, budgets=[budget(False, True)] * 2, budgets_block=True))
    assert told.startswith("budget k p99 (p99, a) and 1 more: make it cheaper") and "unresolved" not in told
    assert "profile cpu k/slow" in next_step(gate(SLOWER, budgets=[budget(False, True)], budgets_block=True))


def test_where_nothing_counts_no_budget_is_missed():
    made = gate(SAME, verdict=Verdict.ENVIRONMENT_INVALID, budgets=[budget(False, True)], budgets_block=True)
    assert headline(made).startswith("ENVIRONMENT INVALID: ") and exit_code(made) is Exit.INVALID
    suite = ElementTree.fromstring(junit(made))[0]
    assert suite.get("failures") == "0" and "over budget" not in markdown(made)


def test_markdown_has_the_verdict_first_and_folds_what_is_unchanged():
    told = markdown(gate(SAME, SLOWER, same_code=["k/other"], budgets=[budget(True, True)], notes=["a note"]))
    lines = told.splitlines()
    assert lines[0] == "### SLOWER: k/slow throughput +5.2 % (+4.2 .. +6.2 %) (HEAD against main)"
    assert lines[2] == "| variant | metric | change of the cost | margin | verdict | |"
    assert lines[4].startswith("| `k/slow` | throughput | +5.2 % (+4.2 .. +6.2 %) | 3 % | **SLOWER** |")
    assert "`k/same`" not in told.split("<details>")[0]
    assert told.count("<details>") == told.count("</details>") == 4
    assert "<details><summary>1 unchanged</summary>" in told and "- `k/other`" in told
    assert f"main is `{'0' * 40}`" in told and "a note" in told


def test_names_cannot_break_the_table_or_inject_html():
    hostile = cell("k/a`|<b>\n@everyone", 1.2, Verdict.SLOWER, reason="<script>alert(1)</script> | [x](y) `z`")
    told = markdown(gate(hostile, reason="<img src=x>", notes=["</details><h1>"]))
    assert "<script" not in told and "<img" not in told and "<h1>" not in told
    rows = [line for line in told.splitlines() if line.startswith("| `k")]
    assert len(rows) == 1 and rows[0].replace("\\|", "").count("|") == 7
    assert "@everyone" not in told.split("| `k")[0]


def test_markdown_of_very_many_cells_fits_a_comment():
    told = markdown(gate(*[cell(f"k/variant_{i}", 1.2, Verdict.SLOWER, reason="r" * 60) for i in range(2_000)]))
    assert f"and {2_000 - MOST_CELLS} more" in told and len(told) < 65_536


def test_junit_has_one_case_a_cell_and_counts_them():
    changes = {"same_code": ["k/other"], "budgets": [budget(False, True)], "budgets_block": True}
    made = gate(SAME, SLOWER, OPEN, VOID, verdict=Verdict.SLOWER, **changes)
    root = ElementTree.fromstring(junit(made))
    assert root.tag == "testsuites"
    (suite,) = root
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 6, "failures": 2, "errors": 1, "skipped": 1}
    found = {(case.get("classname"), case.get("name")): [child.tag for child in case] for case in suite}
    assert found == {
        ("k.same", "throughput"): ["system-out"],
        ("k.slow", "throughput"): ["failure"],
        ("k.open", "throughput"): ["skipped"],
        ("k.void", "throughput"): ["error"],
        ("k.other", "machine code"): [],
        ("budgets", "k p99 (p99, a)"): ["failure"],
    }
    failure = suite.find("testcase[@classname='k.slow']/failure")
    assert failure.get("type") == "SLOWER"
    assert failure.get("message") == "SLOWER: +5.2 % (+4.2 .. +6.2 %), margin 3 %; confirmed in 9 fresh processes"
    assert "960 blocks" in suite.find("testcase/skipped").get("message")


def test_junit_tells_of_a_control_that_moved_and_of_nothing_when_none_did():
    moved = cell(f"{CONTROL}/baseline", 1.08, Verdict.ENVIRONMENT_INVALID, flagged=True, reason="moved by +8.0 %")
    still = cell(f"{CONTROL}/baseline", 1.0, Verdict.UNCHANGED)
    root = ElementTree.fromstring(junit(gate(SAME, controls=[still, moved], verdict=Verdict.ENVIRONMENT_INVALID)))
    cases = root.findall("testsuite/testcase[@classname='controls']")
    assert [case.find("error").get("message") for case in cases] == ["ENVIRONMENT INVALID: moved by +8.0 %"]


def test_junit_of_hostile_names_is_still_xml():
    root = ElementTree.fromstring(junit(gate(cell('k/<&">\x00\ud800', 1.2, Verdict.SLOWER, reason="]]>\x1b[31m"))))
    assert root.find("testsuite/testcase").get("classname") == 'k.<&">??'


def test_controls_are_told_in_one_line():
    still = [cell(f"{CONTROL}/baseline", 1.004, Verdict.UNCHANGED), cell("k/a", 0.999, Verdict.UNCHANGED)]
    told = text(gate(SAME, controls=still))
    assert "controls: none of 2 moved; the most is +0.4 % (-0.6 .. +1.4 %) (the control kernel, throughput)" in told
