import copy
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_driver import Noting, children_of

from kernels.catalog import get
from kernels.machine.memory import aligned, huge
from workbench.errors import InputError, WorkbenchError
from workbench.measure.arms import Arm, Cell, differing_parameters, match_cells
from workbench.measure.code_child import place_of, source_of
from workbench.measure.codes import codes_in_arms
from workbench.measure.driver import CancelledError
from workbench.measure.plan import Plan, Trial, balanced_order, choose_plan
from workbench.measure.progress import Silent
from workbench.measure.results import compare
from workbench.measure.runs import build_run
from workbench.measure.turns import Turns, measure_in_turns
from workbench.measure.turns_job import Built, Ready

sys.path.insert(0, str(Path(__file__).parents[1]))
from git_repository import card, variant, write, write_events


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory):
    """Return three folders with the same kernel, as three revisions would hold it, and a file of events."""
    top = tmp_path_factory.mktemp("checkouts")
    for name, rounds, operations in (("old", 4, 1), ("new", 8, 1), ("counts", 4, 2)):
        write(top / name, {"kept/__init__.py": card(operations), "kept/steady.py": variant("steady", rounds)})
    write_events(top / "events.npy")
    return top


@pytest.fixture
def in_checkouts(request_for, checkouts):
    def make(*selectors, **options):
        options = {"replicates": 1, "input_file": str(checkouts / "events.npy"), **options}
        made = request_for(*selectors, module="kept", **options)
        made.paths = [str(checkouts / "old")]  # behind what stands first in an arm
        return made

    return make


def arm(label, checkouts, folder):
    return Arm(label, (str(checkouts / folder),))


def test_arms_take_turns_in_balanced_blocks_of_equal_work(in_checkouts, checkouts):
    arms = [arm("old", checkouts, "old"), arm("old (again)", checkouts, "old"), arm("new", checkouts, "new")]
    progress = Noting()
    report = measure_in_turns(in_checkouts("kept/steady", replicates=2), arms, progress)
    names = [f"kept/steady@{each.label}" for each in arms]
    for number, outcome in enumerate(report.outcomes):
        blocks = outcome.replicate.blocks
        plan = outcome.shares["kept/steady"]
        assert outcome.replicate.index == number and len(blocks) == plan.blocks >= 2
        assert outcome.replicate.core == max(os.sched_getaffinity(0))
        for turn, block in enumerate(blocks):
            order = balanced_order(3, number * plan.blocks + turn)
            assert [side.variant for side in block.sides] == [names[i] for i in order]
            assert {side.operations for side in block.sides} == {3000 * plan.repeats}
            assert all(side.elapsed_ns > 0 and side.probed_elapsed_ns > 0 and side.histogram for side in block.sides)
        hashes = outcome.replicate.code_hash
        assert hashes[names[0]] == hashes[names[1]] != hashes[names[2]], "the arms ran the wrong folders' code"
        assert outcome.replicate.allocations == dict.fromkeys(names, 0)
        assert set(outcome.replicate.compile_s) == set(names)
    run = build_run(report, [(names[0], names[2])])
    assert {(row.a, row.b) for row in run.comparisons} == {(names[0], names[2])}
    assert [row.variant for row in run.results if row.metric == "throughput"] == [n.split("/")[1] for n in names]
    assert compare(run.replicates, names[0], names[1])[0].metric == "throughput"
    assert [done for done, _ in progress.said] == sorted(done for done, _ in progress.said)
    assert report.first_block_after_s > 0 and "compile" not in list(report.phases_s)[:1]


def test_an_arm_may_run_another_variant_and_a_second_look_keeps_the_plan(request_for):
    arms = [Arm("main"), Arm("slow", selectors=("toy/doubled",))]
    plans = {"toy/baseline": Plan(3, 2)}
    request = request_for("toy/baseline", module="toy_kernel", replicates=1)
    report = measure_in_turns(request, arms, Silent(), plans=plans, first_replicate=6)
    (outcome,) = report.outcomes
    assert outcome.replicate.index == 6 and {block.replicate for block in outcome.replicate.blocks} == {6}
    assert [len(outcome.replicate.blocks), outcome.shares["toy/baseline"].repeats] == [3, 2]
    first, second = (outcome.replicate.code_hash[f"toy/baseline@{label}"] for label in ("main", "slow"))
    assert first != second
    assert sum(side.counters["added"] for side in outcome.replicate.blocks[0].sides) == 4 * 2 * 3000


def test_arms_that_count_other_operations_are_not_compared(in_checkouts, checkouts):
    arms = [arm("old", checkouts, "old"), arm("counts", checkouts, "counts")]
    with pytest.raises(InputError, match=r"another number of operations .*3,000 in old, 6,000 in counts"):
        measure_in_turns(in_checkouts("kept"), arms, Silent())


def test_an_arms_mistake_is_told_with_its_name(in_checkouts, checkouts, tmp_path):
    write(tmp_path / "bad", {"kept/__init__.py": card(), "kept/steady.py": "def (\n"})
    write(tmp_path / "older", {"kernels/__init__.py": "", "kernels/_jit.py": ""})
    for folder, sentence in (
        ("bad", r"bad: .*invalid syntax in .*steady\.py, line 1"),
        ("older", "older: this workbench"),
    ):
        with pytest.raises(WorkbenchError, match=sentence):
            arms = [arm("old", checkouts, "old"), Arm(folder, (str(tmp_path / folder),))]
            measure_in_turns(in_checkouts("kept/steady"), arms, Silent())


@pytest.mark.parametrize("how", ["killed", "cancelled"])
def test_no_process_stays(request_for, how):
    class Ending(Noting):
        def advance(self, done, doing):
            if doing.endswith("measure"):
                if how == "cancelled":
                    turns.cancel()
                else:
                    os.kill(max(children_of(os.getpid())), signal.SIGKILL)

    request = request_for("toy/baseline", module="toy_kernel", replicates=1, seconds=2.0)
    turns = Turns(request, [Arm("one"), Arm("two")], Ending())
    error, sentence = (
        (CancelledError, "cancelled") if how == "cancelled" else (WorkbenchError, "two was killed by SIGK")
    )
    with pytest.raises(error, match=sentence):
        turns.run()
    assert children_of(os.getpid()) == []


def test_machine_code_is_compared_before_anything_is_timed(in_checkouts, checkouts):
    arms = [arm("old", checkouts, "old"), arm("counts", checkouts, "counts"), arm("new", checkouts, "new")]
    (found,), notes = codes_in_arms(in_checkouts("*"), arms, Silent())
    old, counts, new = found.codes
    assert found.name == "kept/steady" and notes == [] and not found.same
    assert old.hash == counts.hash != new.hash
    assert [name.split(".")[-1] for name in found.changed_functions()] == ["replay_from"]


def test_a_variant_that_cannot_be_built_costs_no_other_its_code(in_checkouts, tmp_path):
    bare = variant("moving").removesuffix(")\n")
    refusing = f'{bare}, refuses=lambda parameters: "not on a Monday")\n'.replace('"moving"', '"refusing"')
    failing = variant("failing").replace("np.zeros(1, np.int64), ", "np.zeros(-1, np.int64), ")
    files = {"__init__": card(), "steady": variant("steady"), "refusing": refusing, "failing": failing}
    write(tmp_path, {f"kept/{name}.py": text for name, text in files.items()})
    found, _ = codes_in_arms(in_checkouts("*"), [Arm("one", (str(tmp_path),)), Arm("two", (str(tmp_path),))], Silent())
    by_name = {each.name: each for each in found}
    assert by_name["kept/steady"].same and by_name["kept/steady"].failures == ["", ""]
    refused, failed = by_name["kept/refusing"].codes[0], by_name["kept/failing"].codes[0]
    assert refused.unfit and "kept/refusing cannot run so: not on a Monday" in refused.failure
    assert not failed.unfit and "negative dimensions" in failed.failure


def test_the_same_code_on_a_state_that_lies_elsewhere_is_not_the_same(in_checkouts, checkouts, tmp_path):
    text = "from kernels.machine.memory import aligned\n" + variant("steady")
    write(tmp_path, {"kept/__init__.py": card(), "kept/steady.py": text.replace("np.zeros(1, ", "aligned(1, ")})
    arms = [arm("old", checkouts, "old"), Arm("aligned", (str(tmp_path),))]
    (found,), _ = codes_in_arms(in_checkouts("kept/steady"), arms, Silent())
    assert found.codes[0].hash == found.codes[1].hash != "" and found.changed_functions() == []
    assert found.state_alone and not found.same


def test_the_place_of_an_array_is_what_is_meant_and_not_where_the_allocator_puts_it():
    plain = [np.zeros(size) for size in range(1, 40)]
    assert {place_of(array) for array in plain} == {()}
    assert place_of(aligned(10, np.int64)) == (144, 0) and place_of(aligned(10, np.int64, 128)) == (208, 0)
    assert place_of(aligned((2, 8), np.int64)[0, 1:]) == (192, 8)
    assert place_of(huge(10, np.int64))[1] == 0


def test_the_source_holds_what_decides_the_parameters_and_the_state():
    aligned_pool = get("order_pool").variants["aligned"]
    kernel = aligned_pool.kernel
    other = (replace(kernel.parameters[0], default=kernel.parameters[0].default + 1), *kernel.parameters[1:])
    assert source_of(aligned_pool) not in ("", source_of(of_kernel(aligned_pool, parameters=other)))
    for part in ("parameters_for", "prepare", "output"):
        changed = of_kernel(aligned_pool, **{part: get("order_book").parameters_for})
        assert source_of(changed) != source_of(aligned_pool), part
    elsewhere = of_kernel(aligned_pool)
    object.__setattr__(elsewhere, "allocate", get("order_book").parameters_for)
    assert source_of(elsewhere) != source_of(aligned_pool)


def of_kernel(variant, **changes):
    """Return a copy of `variant` in a kernel that differs in `changes`."""
    made, kernel = copy.copy(variant), copy.copy(variant.kernel)
    for name, value in changes.items():
        object.__setattr__(kernel, name, value)
    object.__setattr__(made, "kernel", kernel)
    return made


def test_arms_have_names_that_can_stand_in_a_record(request_for):
    for label in ("", "a/b", "a@b"):
        with pytest.raises(InputError, match="cannot be called"):
            Arm(label)
    request = request_for("toy/baseline", module="toy_kernel")
    with pytest.raises(InputError, match="told apart"):
        Turns(request, [Arm("one"), Arm("one")], Silent())
    with pytest.raises(InputError, match="one arm alone"):
        Turns(request, [Arm("one")], Silent())


def ready(request_for, names, operations=7):
    chosen = [{"kernel": "k", "variant": name, "parent": None, "peer": False} for name in names]
    workload = {"name": "w", "content": "synthetic", "events": 1, "symbols": 1, "sha256": "0" * 64}
    counts = {f"k/{name}": operations for name in names}
    return Ready(chosen=chosen, operations=counts, workload=workload, notes=["a note"])


def test_what_all_arms_have_is_compared(request_for):
    arms, request = [Arm("a"), Arm("b")], request_for("k", module="m")
    cells, notes = match_cells(request, arms, [ready(request_for, "xyz"), ready(request_for, "zxw")])
    assert [cell.name for cell in cells] == ["k/x", "k/z"] and cells[0].operations == 7
    assert notes == ["a note", "k/y is in a alone: left out", "k/w is in b alone: left out"]
    with pytest.raises(InputError, match="a, b share no variant of k"):
        match_cells(request, arms, [ready(request_for, "x"), ready(request_for, "y")])
    with pytest.raises(InputError, match="give as many"):
        match_cells(request, [Arm("a"), Arm("b", (), ("k/x", "k/y"))], [ready(request_for, "xy")] * 2)


def test_other_parameters_are_noted():
    built = [Built(missing=[], parameters={"k": {"levels": n}}, operations_per_sample={}) for n in (4, 8)]
    cells = [Cell("k", "x", ("k/x", "k/x"), False, 1)]
    assert differing_parameters(cells, [Arm("a"), Arm("b")], built) == ["k: the parameter levels is 4 in a, 8 in b"]
    assert differing_parameters(cells, [Arm("a"), Arm("b")], built[:1] * 2) == []


def test_arms_of_one_build_are_compiled_once(request_for, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_OPT", "3")
    arms = [
        Arm("plain", environment=(("NUMBA_CPU_NAME", None), ("WORKBENCH_PROCESS", "unpinned"))),
        Arm("pinned", environment=(("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"), ("NUMBA_OPT", "3"))),
        Arm("checked", environment=(("NUMBA_BOUNDSCHECK", "1"),)),
        Arm("other cache", environment=(("WORKBENCH_CACHE", str(tmp_path)),)),
        Arm("rounds", parameters=(("rounds", 8),)),
        Arm("elsewhere", paths=(str(tmp_path),)),
    ]
    turns = Turns(request_for("toy/baseline", module="toy_kernel"), arms, Silent())
    asked = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(turns, "_errands", lambda module, tasks, folder, done: asked.extend(tasks) or [])
    parameters = [{"toy": {"rounds": 8 if arm.label == "rounds" else 4}} for arm in arms]
    missing = [("toy/baseline", False), ("toy/baseline", True)]
    built = [Built(missing=missing, parameters=each, operations_per_sample={}) for each in parameters]
    turns._compile_arms(built, tmp_path)
    assert [task.speaker for task in asked if not task.fields["instrumented"]] == [
        "plain", "checked", "other cache", "rounds", "elsewhere"
    ]  # fmt: skip
    assert len(asked) == 10, "with a probe besides"


def test_a_plan_is_made_for_the_fastest_arm():
    trials = [Trial(100, 1000.0), Trial(400, 4000.0)]
    assert choose_plan(trials, 5e-6 * 10, 0, 16, 2) == Plan(blocks=10, repeats=1)
    assert choose_plan(trials, 1e-9, 950, 16, 2) == Plan(blocks=2, repeats=10)
