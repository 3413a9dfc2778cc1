"""The roadmap in words: what paid, what made it slower, what is open, what must not be taken."""

import dataclasses

from ablated import found

from workbench.record import Verdict
from workbench.report.roadmap_words import plan, roadmap_outcome


def sentence(outcome, beginning):
    (one,) = [each for each in outcome.findings if each.startswith(beginning)]
    return one


def test_every_step_is_told_with_its_verdict():
    outcome = roadmap_outcome(found())
    assert outcome.headline == (
        "The whole roadmap makes it 2.08 times as fast: from 100 ns to 48.0 ns an operation "
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
    assert sentence(outcome, "To be left out") == "To be left out, or replaced by a later step: fast math."
    assert "the fastest part of each kind" in sentence(outcome, "To be measured for longer")
    assert "spin lock in the queue" in sentence(outcome, "Not for speed here")
    assert "UNCHANGED" in sentence(outcome, "The start, measured against itself")


def test_a_control_that_moved_is_told_before_anybody_believes_the_rest():
    moved = roadmap_outcome(found({("start", "start (again)"): (1.2, Verdict.SLOWER)}))
    assert "believe none of it" in sentence(moved, "The start differs from itself")
    slower = roadmap_outcome(found({("start", "combined_book"): (1.4, Verdict.SLOWER)}))
    assert "is slower against its start" in slower.headline


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
