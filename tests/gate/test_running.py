"""A gate asks for what it needs and no more, and comes to the right conclusion."""

import pytest
from synthetic import Machine, Silent

from workbench import policy, record
from workbench.errors import Exit, InputError, WorkbenchError
from workbench.gate.conclude import exit_code
from workbench.gate.instructions import Counts
from workbench.gate.junit import junit
from workbench.gate.margins import Margins
from workbench.gate.markdown import markdown
from workbench.gate.running import CONTROL_VARIANT, Gate, Options
from workbench.gate.words import next_step, text
from workbench.measure.arms import Arm
from workbench.measure.codes import VariantCode
from workbench.measure.driver import Request
from workbench.measure.turns_job import Code
from workbench.record import Verdict


def gate(machine, *, selectors=("k",), base="main", candidate="HEAD", count=None, arms=None, **options):
    request = Request(list(selectors), 6, 6.0)
    first, second = arms or (Arm(base, ("/old",)), Arm(candidate, ("/new",)))
    made = Gate(
        request, first, second, Options(**options), Silent, look=machine.look, measure=machine.measure, count=count
    )
    return made.run()


def verdicts(result):
    return {cell.b.partition("@")[0]: cell.verdict for cell in result.gate.cells}


def test_only_changed_code_is_timed_with_the_base_twice_and_the_control_beside_it():
    machine = Machine({"k/a": (100, 100), "k/b": (100, 100)}, same=["k/b"])
    result = gate(machine)
    assert [(names, number, labels) for names, number, labels, _ in machine.asked] == [
        (["k/a", CONTROL_VARIANT], 6, ["main", "main (again)", "HEAD"])
    ]
    assert verdicts(result) == {"k/a": Verdict.UNCHANGED} and result.gate.same_code == ["k/b"]
    assert result.gate.verdict is Verdict.UNCHANGED and exit_code(result.gate) is Exit.FINE
    assert {cell.b for cell in result.gate.controls} == {
        "k/a@main (again)",
        f"{CONTROL_VARIANT}@main (again)",
        f"{CONTROL_VARIANT}@HEAD",
    }
    assert result.gate.run_ids == [run.record_id for run in result.runs] and len(result.runs) == 1
    assert {"looked", "measured"} <= set(result.gate.notes)


def test_a_slowdown_is_confirmed_in_fresh_processes_that_do_the_same_work():
    machine = Machine({"k/a": (100, 110), "k/b": (100, 100)})
    result = gate(machine)
    assert [(names, number) for names, number, _, _ in machine.asked] == [
        (["k/a", "k/b", CONTROL_VARIANT], 6),
        (["k/a", CONTROL_VARIANT], policy.CONFIRMING_REPLICATES),
    ]
    assert machine.asked[0][3] == {} and set(machine.asked[1][3]) == {"k/a", "k/b", CONTROL_VARIANT}
    assert verdicts(result) == {"k/a": Verdict.SLOWER, "k/b": Verdict.UNCHANGED}
    (cell,) = [cell for cell in result.gate.cells if cell.verdict is Verdict.SLOWER]
    assert cell.confirmed and cell.replicates == 9 and cell.ratio == pytest.approx(1.1, abs=0.02)
    assert cell.reason == "confirmed in 9 fresh processes; changed machine code: inner"
    assert not any("inner" in each.reason for each in result.gate.cells if each is not cell)
    assert exit_code(result.gate) is Exit.REGRESSION and len(result.runs) == 2
    indices = [replicate.index for run in result.runs for replicate in run.replicates]
    assert indices == list(range(15))


def test_what_is_not_confirmed_is_unresolved():
    result = gate(Machine({"k/a": (100, 112)}, later={1: {"k/a": (100, 100)}}))
    assert verdicts(result) == {"k/a": Verdict.UNRESOLVED}
    assert "not confirmed in 9 fresh processes" in result.gate.cells[0].reason
    assert exit_code(result.gate) is Exit.UNRESOLVED
    assert exit_code(result.gate, allow_unresolved=True) is Exit.FINE


def test_what_is_open_is_looked_at_once_more_and_no_third_time():
    machine = Machine({"k/a": (100, 103), "k/b": (100, 100)})
    result = gate(machine)
    assert [names for names, _, _, _ in machine.asked] == [["k/a", "k/b", CONTROL_VARIANT], ["k/a", CONTROL_VARIANT]]
    assert verdicts(result) == {"k/a": Verdict.UNRESOLVED, "k/b": Verdict.UNCHANGED}
    (open_,) = [cell for cell in result.gate.cells if cell.verdict is Verdict.UNRESOLVED]
    assert open_.replicates == 12


@pytest.mark.parametrize("moved", [{"drift": 1.1}, {"later": {0: {CONTROL_VARIANT: (300, 330)}}}])
def test_a_control_that_moves_ends_the_gate_at_once(moved):
    machine = Machine({"k/a": (100, 130)}, **moved)
    result = gate(machine)
    assert len(machine.asked) == 1, "nothing more is measured"
    assert result.gate.verdict is Verdict.ENVIRONMENT_INVALID and exit_code(result.gate) is Exit.INVALID
    assert verdicts(result) == {"k/a": Verdict.ENVIRONMENT_INVALID}
    assert "moved by +" in result.gate.reason and "nothing that was measured counts" in result.gate.reason


def test_a_control_that_moves_while_confirming_voids_the_finding():
    result = gate(Machine({"k/a": (100, 130)}, later={1: {CONTROL_VARIANT: (300, 330)}}))
    assert result.gate.verdict is Verdict.ENVIRONMENT_INVALID
    assert f"{CONTROL_VARIANT}@HEAD throughput mean: the control kernel moved by" in result.gate.reason


@pytest.mark.parametrize("phase", [0, 1])
def test_a_busy_machine_ends_the_gate_whatever_the_cells_say(phase):
    machine = Machine({"k/a": (100, 130)}, load={phase: 0.97})
    result = gate(machine)
    assert len(machine.asked) == phase + 1, "nothing more is measured"
    assert result.gate.verdict is Verdict.ENVIRONMENT_INVALID and exit_code(result.gate) is Exit.INVALID
    assert verdicts(result) == {"k/a": Verdict.ENVIRONMENT_INVALID}
    assert "other programs kept 0.97 cores busy" in result.gate.reason
    assert "0.97 cores busy meanwhile" in text(result.gate) and "0.97 cores busy meanwhile" in markdown(result.gate)


def test_all_times_the_same_code_too_and_never_calls_it_slower():
    result = gate(Machine({"k/a": (100, 130)}, same=["k/a"]), every=True)
    assert verdicts(result) == {"k/a": Verdict.ENVIRONMENT_INVALID}
    assert result.gate.cells[0].reason.startswith("no code change") and result.gate.same_code == []
    assert not any(control.flagged for control in result.gate.controls)


def test_the_same_code_everywhere_needs_no_measurement():
    machine = Machine({"k/a": (100, 130)}, same=["k/a"])
    result = gate(machine)
    assert machine.asked == [] and result.gate.verdict is Verdict.UNCHANGED and result.runs == []
    assert result.gate.reason == "the machine code of 1 variant is the same on both sides"


def test_a_revision_against_itself_keeps_its_arms_apart():
    machine = Machine({"k/a": (100, 100)})
    gate(machine, candidate="main (again)")
    assert machine.asked[0][2] == ["main", "main (again) (again)", "main (again)"]


def test_an_arm_may_run_another_variant_under_the_same_name():
    machine = Machine({"k/a": (100, 110), "k/b": (100, 100)})
    seen = []
    measure = machine.measure
    machine.measure = lambda request, arms, *rest: seen.append(arms) or measure(request, arms, *rest)
    arms = Arm("one", (), ("k/a", "k/b")), Arm("two", (), ("k/x", "k/y"))
    gate(machine, selectors=["k/a", "k/b"], arms=arms)
    assert [arm.selectors for arm in seen[1]] == [("k/a", CONTROL_VARIANT)] * 2 + [("k/x", CONTROL_VARIANT)]


def test_a_broken_variant_is_a_failure_and_a_missing_one_is_told():
    with pytest.raises(WorkbenchError, match=r"k/a is broken in HEAD: it does not compile"):
        gate(Machine({"k/a": (100, 100)}, failures={"k/a": "it does not compile: no"}))
    result = gate(Machine({"k/a": (100, 100), "k/b": (100, 100)}, gone=["k/b"]))
    assert "k/b is in main alone: there is nothing to compare it with" in result.gate.notes
    with pytest.raises(InputError, match="share nothing to gate; looked; k/a is in main alone"):
        gate(Machine({"k/a": (100, 100)}, gone=["k/a"]))


class Looking(Machine):
    """Tells what it is given of the codes."""

    def __init__(self, speeds, codes, **options):
        super().__init__(speeds, **options)
        self.codes = codes

    def look(self, request, arms, progress):
        return [VariantCode(name, both) for name, both in self.codes.items()], []


@pytest.mark.parametrize("unfit", [True, False])
def test_what_fails_on_both_sides_is_no_pass_unless_it_was_not_meant_to_run(unfit):
    failing = Code(failure="no such thing", unfit=unfit)
    found = gate(Looking({}, {"k/a": (Code(hash="1"),) * 2, "k/b": (failing, failing)})).gate
    assert found.same_code == ["k/a"] and found.unjudged == ([] if unfit else ["k/b"])
    assert found.verdict is (Verdict.UNCHANGED if unfit else Verdict.UNRESOLVED)
    assert any("k/b" in note and "no such thing" in note for note in found.notes)


def test_another_state_under_the_same_code_can_be_slower():
    codes = {"k/a": (Code(hash="1", state="aligned"), Code(hash="1", state="not aligned"))}
    result = gate(Looking({"k/a": (100, 130)}, codes, same=["k/a"]))
    assert verdicts(result) == {"k/a": Verdict.SLOWER} and not result.gate.cells[0].same_code
    assert "k/a: the same machine code, other parameters or state" in result.gate.notes


def test_margins_are_by_kernel_and_metric():
    speeds = {"k/a": (100, 110), "other/a": (100, 110)}
    result = gate(Machine(speeds), margins=Margins({"": {"throughput": 0.2}, "other": {"throughput": 0.02}}))
    assert verdicts(result) == {"k/a": Verdict.UNCHANGED, "other/a": Verdict.SLOWER}
    assert {cell.margin for cell in result.gate.cells} == {0.2, 0.02}


def counting(base, candidate, notes=()):
    return lambda request, arms, names: Counts(
        {"main": dict.fromkeys(names, base), "HEAD": dict.fromkeys(names, candidate)}, list(notes)
    )


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [(1011.0, Verdict.SLOWER), (1009.0, Verdict.UNCHANGED), (1000.0, Verdict.UNCHANGED), (989.0, Verdict.FASTER)],
)
def test_instructions_are_judged_without_any_scatter(candidate, verdict):
    machine = Machine({"k/a": (100, 100)})
    result = gate(machine, instructions=True, timing=False, count=counting(1000.0, candidate))
    assert machine.asked == [] and [cell.verdict for cell in result.gate.cells] == [verdict]
    assert result.gate.cells[0].metric == "instructions" and "callgrind" in result.gate.cells[0].reason
    assert result.gate.cells[0].margin == policy.INSTRUCTION_MARGIN


def test_without_valgrind_the_gate_goes_on_with_times_and_says_so():
    missing = lambda request, arms, names: Counts(notes=["instructions were not counted: no valgrind"])  # noqa: E731
    result = gate(Machine({"k/a": (100, 100)}), instructions=True, count=missing)
    assert verdicts(result) == {"k/a": Verdict.UNCHANGED}
    assert "instructions were not counted: no valgrind" in result.gate.notes


def test_nothing_judged_is_an_error_and_not_a_pass():
    missing = lambda request, arms, names: Counts(notes=["no valgrind"])  # noqa: E731
    with pytest.raises(InputError, match=r"no metric could be judged \(looked; no valgrind\)"):
        gate(Machine({"k/a": (100, 100)}), instructions=True, timing=False, count=missing)


def test_a_changed_variant_of_which_nothing_is_known_is_no_pass():
    missing = lambda request, arms, names: Counts(notes=["k/a: the child process failed"])  # noqa: E731
    machine = Machine({"k/a": (100, 100), "k/b": (100, 100)}, same=["k/b"])
    found = gate(machine, instructions=True, timing=False, count=missing).gate
    assert found.unjudged == ["k/a"] and found.same_code == ["k/b"] and found.verdict is Verdict.UNRESOLVED
    assert exit_code(found) is Exit.UNRESOLVED and found.reason == "no metric of k/a could be judged"
    assert "nothing could be judged: k/a" in text(found) and "nothing is known of k/a" in next_step(found)
    assert "1 changed, and nothing could be judged" in markdown(found)
    assert '<skipped message="it changed, and no metric of it could be judged"' in junit(found)


def test_the_record_survives_a_journey_through_json():
    result = gate(Machine({"k/a": (100, 110)}), commits=("a" * 40, None))
    again = record.from_json(result.gate.to_json())
    assert again == result.gate and again.base_commit == "a" * 40 and again.candidate_commit is None
    assert again.thresholds["control_alpha"] == policy.CONTROL_ALPHA
