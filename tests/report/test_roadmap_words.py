"""The roadmap in words: what paid, what made it slower, what is open, what must not be taken."""

import dataclasses
import runpy
from pathlib import Path

from ablated import CELL, COSTS, found

from workbench.measure.ablation import read_back
from workbench.measure.ablation_steps import STEPS
from workbench.record import Verdict
from workbench.report.roadmap_words import markdown, plan, roadmap_outcome


def sentence(outcome, beginning):
    (one,) = [each for each in outcome.findings if each.startswith(beginning)]
    return one


def test_every_step_is_told_with_its_verdict():
    outcome = roadmap_outcome(found())
    assert outcome.headline == (
        "These 4 of 20 steps make it 2.08 times as fast: from 100 ns to 48.0 ns an operation "
        "(cost 0.480, interval 0.475 to 0.485)."
    )
    assert outcome.verdict is None, "a roadmap is no gate"
    assert sentence(outcome, "no bounds checks") == (
        "no bounds checks paid: \N{MINUS SIGN}50 % in cost (\N{MINUS SIGN}50 % to \N{MINUS SIGN}50 %)."
    )
    slower = sentence(outcome, "fast math")
    assert "made it SLOWER: +20.0 %" in slower and "alone it made it SLOWER, +5.0 %" in slower
    assert "IT COMPUTES SOMETHING ELSE" in slower and slower.endswith("no later step stands on it.")
    assert "changed nothing that counts" in sentence(outcome, "spin lock")
    assert "is UNRESOLVED" in sentence(outcome, "the fastest part") and "alone it paid" in sentence(
        outcome, "the fastest"
    )
    assert sentence(outcome, "memory of") == (
        "memory of the core's own node: not applicable here, all memory is equally near."
    )


def test_phases_and_what_to_leave_out_are_told():
    outcome = roadmap_outcome(found())
    assert "100 ns before and 50.5 ns after" in sentence(outcome, "Phase quick wins")
    assert "50.5 ns before and 48.0 ns after" in sentence(outcome, "Phase cache layout")
    assert sentence(outcome, "To be left out") == "To be left out: fast math (it computes something else)."
    slower = roadmap_outcome(found(differing=()))
    assert sentence(slower, "To be left out") == "To be left out, or replaced by a later step: fast math."
    open_ = roadmap_outcome(found({("unchecked", "fast_math"): (0.9, Verdict.UNRESOLVED)}))
    assert "fast math" not in sentence(open_, "To be measured for longer")
    assert "fast math (it computes" in sentence(open_, "To be left out")
    assert "the fastest part of each kind" in sentence(outcome, "To be measured for longer")
    assert "spin lock in the queue" in sentence(outcome, "Not for speed here")
    assert "UNCHANGED" in sentence(outcome, "The start, measured against itself")


def test_a_control_that_moved_is_told_before_anybody_believes_the_rest():
    moved = roadmap_outcome(found({("start", "start (again)"): (1.2, Verdict.SLOWER)}))
    assert "believe none of it" in sentence(moved, "The start differs from itself")
    slower = roadmap_outcome(found({("start", "combined_book"): (1.4, Verdict.SLOWER)}))
    assert "are slower against the start" in slower.headline


def test_a_control_that_is_wide_is_a_warning_and_stands_first():
    first = roadmap_outcome(found({("start", "start (again)"): (1.0, Verdict.UNRESOLVED)})).findings[0]
    assert first.startswith("The start, measured against itself") and "UNRESOLVED. That is wider than the 3 %" in first
    wide = roadmap_outcome(found({("start", "start (again)"): (1.04, Verdict.UNCHANGED)})).findings[0]
    assert "cannot tell changes of up to 5 %" in wide
    calm = roadmap_outcome(found())
    assert calm.findings[-1].endswith("UNCHANGED.") and "wider" not in " ".join(calm.findings)
    told = found()
    rows = [row for row in told.run.comparisons if not row.b.endswith("(again)")]
    bare = dataclasses.replace(told, run=told.run.model_copy(update={"comparisons": rows}))
    assert "was not measured against itself" in roadmap_outcome(bare).findings[0]


def test_the_whole_roadmap_is_said_where_all_of_it_was_measured():
    told = found()
    absent = {step.name: "elsewhere" for step in STEPS if step.name not in COSTS}
    assert roadmap_outcome(dataclasses.replace(told, absent=absent)).headline.startswith("The whole roadmap makes it")
    assert roadmap_outcome(told).headline.startswith("These 4 of 20 steps make it")


def test_names_in_the_page_are_text():
    told = found()
    machine = told.run.machine.model_copy(update={"cpu_model": "A|B *fast* <b>"})
    workload = told.run.workload.model_copy(update={"name": "my_[day](http://x)"})
    page = markdown(dataclasses.replace(told, run=told.run.model_copy(
        update={"machine": machine, "workload": workload})))  # fmt: skip
    assert r"A\|B \*fast\* \<b\>" in page and r"my\_\[day\](http://x)" in page
    assert "rounds of fresh processes: 3 along the path, 3 alone." in page


def test_nothing_measured_is_said():
    empty = found()
    empty = dataclasses.replace(empty, run=empty.run.model_copy(update={"results": []}))
    assert roadmap_outcome(empty).headline == "No step of the roadmap was measured."


def test_the_plan_has_what_a_team_needs():
    listing = plan(found())
    rows = {row[0]: row for row in listing.rows}
    assert listing.columns[3:7] == ("effort", "risk", "mitigation", "way back")
    assert all(all(row) for row in listing.rows)
    assert rows["fast math"][-1] == "+20.0 %, SLOWER" and rows["fast math"][1] == "quick wins"
    assert rows["memory of the core's own node"][-1] == "not applicable: all memory is equally near"
    page = listing._repr_html_()
    assert page.count("<tr") == 1 + len(rows) and 'scope="row"' in page


def test_a_table_shows_names_as_text():
    from workbench.report.tables import Listing

    listing = Listing(("a<b", "n"), (("<script>x</script>", "1"),), 'say "hi"', (1,))
    page = listing._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page and 'aria-label="say &quot;hi&quot;"' in page
    assert str(listing).splitlines() == ['say "hi"', "a<b                 n", "<script>x</script>  1"]


def test_an_ablation_is_read_back_from_its_record():
    told = found()
    run = told.run.model_copy(update={"notes": [
        f"{CELL}@fast_math computes something else than start", "near_memory could not be had: one node"
    ]})  # fmt: skip
    again = read_back(run)
    assert again.differing == ("fast_math",) and again.absent == {"near_memory": "one node"}
    assert read_back(told.run).absent == {}, "what this machine lacks says nothing of that one"
    assert {"unchecked", "fast_math", "spin_lock", "combined_book"} <= {step.name for step in again.steps}
    assert "hints" not in {step.name for step in again.steps}, "it was not measured, and could have been"
    page = markdown(again)
    assert page.startswith("**These 4 of 20 steps make it 2.08 times as fast")
    assert "| fast math | quick wins | 60.0 ns |" in page and "- fast math made it SLOWER" in page
    assert len({row.count("|") for row in page.splitlines() if row.startswith("|")}) == 1


def test_the_page_says_what_its_record_says(tmp_path):
    docs = Path(__file__).parents[2] / "docs"
    page, again = docs / "optimization-roadmap.md", tmp_path / "page.md"
    again.write_bytes(page.read_bytes())
    tool = runpy.run_path(str(docs.parent / "tools" / "roadmap_page.py"))
    tool["main"](docs / "proof" / "9528ff865659" / "roadmap.json", again)
    assert again.read_bytes() == page.read_bytes()


def test_the_page_of_the_roadmap_tells_every_step_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "optimization-roadmap.md").read_text(encoding="utf-8")
    for step in STEPS:
        told = (step.phase, step.title, step.effort, step.risk, step.mitigation, step.roll_back)
        assert f"| {' | '.join(told)} |" in page, f"{step.name} is told otherwise"
