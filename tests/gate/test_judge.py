"""The whole rule of the gate, on paper, where the truth is known."""

import numpy as np
import pytest
from simulated import Simulated, cell, evidence, groups

from workbench import policy
from workbench.gate.evidence import CONTROL, Evidence
from workbench.gate.judge import NO_CODE_CHANGE, confirm, invalidate, judge_controls, screen
from workbench.record import Verdict

NOTHING = [("mean", 0.0), ("p50", 0.0), ("p99", 0.0), ("p999", 0.0)]
RUNS = 2_000


def many(runs, effects, seed=1, **options):
    """Return the final cells of simulated gate runs, and how many of the runs were void."""
    rng = np.random.default_rng(seed)
    found, void = [], 0
    for _ in range(runs):
        gate = Simulated(rng, effects, **options)
        found.append(gate.run())
        void += gate.moved
    return found, void


def any_slower(found):
    return sum(any(each.verdict is Verdict.SLOWER for each in cells) for cells in found)


def first_slower(found):
    return sum(cells[0].verdict is Verdict.SLOWER for cells in found)


def test_two_thousand_gates_on_identical_code_raise_no_more_than_one_alarm_in_a_hundred():
    found, void = many(RUNS, NOTHING)
    assert any_slower(found) <= RUNS // 100
    assert void <= RUNS // 100
    unchanged = sum(each.verdict is Verdict.UNCHANGED for cells in found for each in cells)
    assert unchanged >= 0.98 * RUNS * len(NOTHING)


@pytest.mark.parametrize("scatter", [{"process_sd": 0.025}, {"stray": 0.2}, {"block_sd": 0.08}])
def test_noise_makes_cells_unresolved_and_not_slower(scatter):
    found, void = many(300, NOTHING, seed=2, **scatter)
    assert any_slower(found) <= 3
    assert void <= 3


def test_a_change_of_just_the_margin_is_no_alarm():
    found, _ = many(200, [("mean", policy.MARGIN), *NOTHING], seed=3)
    assert first_slower(found) <= 2


@pytest.mark.parametrize(("effect", "process_sd", "least"), [(0.05, 0.008, 190), (0.10, 0.012, 198), (0.10, 0.02, 180)])
def test_slowdowns_are_found_and_no_other_cell_is_blamed(effect, process_sd, least):
    found, _ = many(200, [("mean", effect), *NOTHING], seed=4, process_sd=process_sd)
    assert first_slower(found) >= least
    assert sum(any(each.verdict is Verdict.SLOWER for each in cells[1:]) for cells in found) <= 2


def test_a_slower_tail_is_found_in_the_tail_alone():
    found, _ = many(100, [("p99", 0.25), *NOTHING], seed=5, process_sd=0.02, block_sd=0.05)
    assert first_slower(found) >= 95
    assert not any(each.verdict is Verdict.SLOWER for cells in found for each in cells[1:])


def test_what_is_faster_says_so_and_needs_no_confirmation():
    rng = np.random.default_rng(6)
    (only,) = Simulated(rng, [("mean", -0.2)]).run()
    assert only.verdict is Verdict.FASTER and only.high < 1 / (1 + policy.MARGIN)
    assert only.confirmed is None


def test_a_moved_control_kernel_voids_everything():
    found, void = many(20, [("mean", 0.5)], seed=7, control_effect=0.08)
    assert void == 20
    assert {each.verdict for cells in found for each in cells} == {Verdict.ENVIRONMENT_INVALID}


def test_a_base_that_differs_from_itself_voids_everything_and_is_named():
    rng = np.random.default_rng(8)
    controls = judge_controls([evidence(rng, cell(i), 6, drift=0.1 if i == 3 else 0.0) for i in range(6)])
    (moved,) = [each for each in controls if each.flagged]
    assert (moved.a, moved.b) == ("k/v3@main", "k/v3@main (again)")
    assert moved.verdict is Verdict.ENVIRONMENT_INVALID
    assert moved.reason.startswith("the baseline against itself moved by +") and moved.reason.endswith(" %")
    (void,) = invalidate(confirm(screen([evidence(rng, cell(), 6, effect=0.3)]), []), controls)
    assert void.verdict is Verdict.ENVIRONMENT_INVALID


def test_a_control_is_never_a_cell():
    rng = np.random.default_rng(9)
    assert screen([evidence(rng, cell(0, "mean", CONTROL), 6, effect=0.5)]).cells == ()


def test_the_same_machine_code_is_never_slower():
    rng = np.random.default_rng(10)
    (only,) = Simulated(rng, [("mean", 0.2)], same_code=True).run()
    assert only.verdict is Verdict.ENVIRONMENT_INVALID and only.reason == NO_CODE_CHANGE and only.flagged
    (faster,) = Simulated(rng, [("mean", -0.2)], same_code=True).run()
    assert faster.verdict is Verdict.UNRESOLVED and faster.reason == NO_CODE_CHANGE


def test_what_fresh_processes_do_not_show_is_unresolved_with_both_figures():
    rng = np.random.default_rng(11)
    screening = screen([evidence(rng, cell(), 6, effect=0.2)])
    assert screening.flagged == ["k/v0"] and screening.open == []
    (only,) = confirm(screening, [evidence(rng, cell(), 9)])
    assert only.verdict is Verdict.UNRESOLVED and only.confirmed is False
    assert only.reason.startswith("flagged at +19.7 %") and "not confirmed in 9 fresh processes" in only.reason
    assert only.ratio == pytest.approx(1.0, abs=0.03), "the figure is that of the fresh processes"


def test_a_flagged_cell_without_fresh_processes_is_unresolved():
    rng = np.random.default_rng(12)
    (only,) = confirm(screen([evidence(rng, cell(), 6, effect=0.2)]), [])
    assert only.verdict is Verdict.UNRESOLVED and "not measured in fresh processes" in only.reason


def test_a_suspicion_among_many_cells_is_open_until_more_is_known():
    rng = np.random.default_rng(13)
    suspect = Evidence(cell(0), 0.03, [[0.032 + 0.001 * i**2] * 8 for i in range(6)], [])
    others = [evidence(rng, cell(i), 6) for i in range(1, 100)]
    alone, among = screen([suspect]), screen([suspect, *others])
    assert alone.flagged == ["k/v0"]
    assert "k/v0" not in among.flagged and "k/v0" in among.open
    final = confirm(among, [])[0]
    assert final.verdict is Verdict.UNRESOLVED and "no finding" in final.reason


def test_an_unresolved_cell_tells_how_many_blocks_would_settle_it():
    rng = np.random.default_rng(14)
    wide = Evidence(cell(), 0.03, groups(rng, 6, 0.01, process_sd=0.06), [])
    (only,) = confirm(screen([wide]), [])
    assert only.verdict is Verdict.UNRESOLVED and only.blocks_needed > only.blocks == 48


def test_one_process_settles_nothing():
    rng = np.random.default_rng(15)
    (only,) = confirm(screen([evidence(rng, cell(), 1, effect=0.5)]), [])
    assert only.verdict is Verdict.UNRESOLVED and only.p_value == 1.0 and "one process" in only.reason
