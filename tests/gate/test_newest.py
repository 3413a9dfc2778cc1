"""The newest stored run against a saved baseline: what is found, and what is said where a side is missing."""

import datetime
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory

from workbench import policy
from workbench.commands import history
from workbench.errors import InputError
from workbench.gate.budgets import Budget, Limits
from workbench.gate.margins import Margins, same_for_all
from workbench.gate.newest import gate_newest
from workbench.record import Verdict
from workbench.store import open_store
from workbench.testing import performance

KEY = factory.machine().hardware_key
SLOW = {**factory.SPEEDS_NS, "ladder": 44.0}


def a_run(speeds=None, *, kernel="order_book", seed=1, code="new"):
    """A run of six processes in which only the machine code of `baseline` stays what it was."""
    speeds = speeds or factory.SPEEDS_NS
    made = factory.replicates(kernel, speeds, number=6, blocks=3, seed=seed)
    hashes = {f"{kernel}/{name}": "same" if name == "baseline" else code for name in speeds}
    run = factory.run(kernel, speeds, seed=seed)
    return run.model_copy(update={"replicates": [each.model_copy(update={"code_hash": hashes}) for each in made]})


@pytest.fixture
def store(tmp_path):
    made = open_store(str(tmp_path / "results.sqlite3"))
    made.save_baseline("monday", a_run(code="old"))
    return made


def judge(store, kernels=(), name=None, margins=None, **more):
    return gate_newest(store, KEY, list(kernels), name, margins or Margins(), **more)


def cells(gate):
    return {(cell.b.split("/")[1], cell.metric, cell.statistic): cell for cell in gate.cells}


def test_what_got_slower_is_found_and_said_not_to_be_confirmed(store):
    store.add(a_run(SLOW, seed=2))
    gate = judge(store)
    found = cells(gate)
    assert found["ladder", "throughput", "mean"].verdict is Verdict.SLOWER
    assert found["ladder", "throughput", "mean"].confirmed is None and found["ladder", "throughput", "mean"].flagged
    assert found["aligned", "throughput", "mean"].verdict is Verdict.UNCHANGED
    assert (gate.mode, gate.base, gate.candidate, gate.verdict) == ("baseline", "monday", "newest", Verdict.SLOWER)
    assert "measured at different times" in gate.notes[0]


def test_a_margin_decides(store):
    store.add(a_run(SLOW, seed=2))
    assert judge(store, margins=same_for_all(30)).verdict is Verdict.UNCHANGED


def test_the_same_machine_code_is_never_slower(store):
    store.add(a_run({**factory.SPEEDS_NS, "ladder": 60.0}, seed=2, code="old"))
    found = cells(judge(store))["ladder", "throughput", "mean"]
    assert found.verdict is Verdict.ENVIRONMENT_INVALID and found.reason.startswith("no code change")


def test_what_else_changed_is_told_where_the_code_did_not(store):
    faster = a_run(seed=2, code="old")
    store.add(faster.model_copy(update={"machine": factory.machine(governor="powersave")}))
    notes = judge(store).notes
    assert any(note.startswith("no code change: order_book/") for note in notes)
    assert any("governor" in note and "powersave" in note for note in notes)


def test_a_comparison_of_revisions_is_not_the_newest_run(store):
    store.add(a_run(seed=2))
    later = factory.run("order_book", {"ladder@main": 40.0, "ladder@HEAD": 80.0}, seed=30)
    store.add(later)
    assert later.record_id not in judge(store).run_ids


def test_many_comparisons_of_revisions_do_not_hide_the_newest_run(store):
    newest = a_run(seed=2)
    store.add(newest)
    for second in range(110):
        created = newest.created.replace(minute=30) + datetime.timedelta(seconds=second)
        store.add(factory.run("order_book", {"ladder@main": 40.0}, created=created, with_blocks=False))
    assert judge(store).run_ids == [newest.record_id]


def test_a_selector_judges_its_variant_alone(store):
    store.add(a_run(SLOW, seed=2))
    budget = {"kernel": "order_book", "metric": "service_time", "statistic": "p50", "unit": "ns"}
    budgets = [Budget(name=name, variant=name, below=Limits(must=10), **budget) for name in ("aligned", "ladder")]
    gate = judge(store, ["order_book/aligned"], budgets=budgets, budgets_block=True)
    assert {cell.b for cell in gate.cells} == {"order_book/aligned"} and gate.verdict is not Verdict.SLOWER
    assert [each.title for each in gate.budgets] == ["aligned (p50, aligned)"]
    both = judge(store, ["order_book/aligned", "order_book"])
    assert {cell.b.split("/")[1] for cell in both.cells} == set(SLOW)


def test_a_variant_that_is_in_neither_run_is_wrong_usage(store):
    store.add(a_run(SLOW, seed=2))
    with pytest.raises(InputError, match=r"order_book/laddr cannot be judged: .*in both are .*order_book/ladder"):
        judge(store, ["order_book/ladder", "order_book/laddr"])
    store.add(a_run({"renamed": 30.0}, seed=3))
    with pytest.raises(InputError, match=r"order_book cannot be judged: .*in both are none"):
        judge(store)


def test_the_workbenchs_own_baselines_are_not_the_persons(store):
    for name in policy.OWN_BASELINES:
        store.save_baseline(name, a_run(seed=7))
    store.add(a_run(seed=2))
    assert judge(store).base == "monday"
    with pytest.raises(InputError, match=r"no baseline 'tuesday' .*\(there are monday\)"):
        judge(store, name="tuesday")
    assert set(policy.OWN_BASELINES) == {history.PIN, performance.BASELINE}


def test_budgets_are_judged_on_the_newest_run(store):
    store.add(a_run(seed=2))
    budget = Budget(
        name="book", kernel="order_book", metric="service_time", statistic="p50", unit="ns", below=Limits(must=10)
    )
    (judged,) = judge(store, budgets=[budget], budgets_block=True).budgets
    assert not judged.met and judged.sure and "missed" in judged.words


def test_a_missing_side_is_one_sentence_that_says_what_to_do(store, tmp_path):
    with pytest.raises(InputError, match=r"order_book was not measured since .* `workbench run order_book`"):
        judge(store)
    with pytest.raises(InputError, match=r"no baseline 'tuesday' .*\(there are monday\).*--save-baseline tuesday"):
        judge(store, name="tuesday")
    with pytest.raises(InputError, match=r"no baseline 'monday' of signals .*workbench run signals --save-baseline"):
        judge(store, ["signals"])
    with pytest.raises(InputError, match="no baseline was saved on this machine"):
        judge(open_store(str(tmp_path / "empty.sqlite3")))
    store.save_baseline("sunday", a_run(seed=9))
    with pytest.raises(InputError, match=r"several baselines \(monday, sunday\): name one by --baseline"):
        judge(store)


def test_another_machine_has_no_baseline(store):
    with pytest.raises(InputError, match="no baseline was saved on this machine"):
        gate_newest(store, "another", [], None, Margins())
