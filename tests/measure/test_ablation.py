"""The roadmap's steps are valid, every arm is built as its step says, and what computes something else is told."""

from pathlib import Path

import pytest

from kernels.catalog import get
from workbench.errors import InputError
from workbench.figures.waterfall import compared, measured, paired
from workbench.measure import ablation, processes, switches
from workbench.measure.ablation import (
    FIRST_FEATURES,
    START,
    Stage,
    ablate,
    alone_of,
    choose_steps,
    chosen_alone,
    end_of,
    environment_of,
    pairs_of,
    path_of,
    read_back,
)
from workbench.measure.ablation_child import huge_bytes
from workbench.measure.ablation_steps import PHASES, STEPS, Step, nodes
from workbench.measure.progress import Silent


def step(name, **changes):
    told = dict.fromkeys(("title", "idea", "effort", "risk", "mitigation", "roll_back"), name)
    return Step(**{"name": name, "phase": PHASES[0], **told, **changes})


def test_every_step_of_the_roadmap_is_whole_and_can_be_built():
    kernel = get("tick_to_order")
    assert len({each.name for each in STEPS}) == len(STEPS)
    phases = [each.phase for each in STEPS]
    assert tuple(dict.fromkeys(phases)) == PHASES and phases == sorted(phases, key=PHASES.index)
    for each in STEPS:
        words = (each.title, each.idea, each.effort, each.risk, each.mitigation, each.roll_back)
        assert all(words) and not any(label in each.name for label in "/@ "), each.name
        assert each.parameters or each.features or each.absent(), f"{each.name} changes nothing"
        kernel.check_parameters(dict(each.parameters))
        assert set(each.features) <= set(FIRST_FEATURES)


def test_the_path_ends_with_the_combined_pipeline():
    from kernels.tick_to_order import _build, baseline, combined
    from kernels.tick_to_order._names import PART_KERNELS

    last = path_of(STEPS)[-1]
    checked = get("tick_to_order").check_parameters(dict(last.parameters))
    assert {part: _build.choice(part, checked, baseline.PARTS) for part in PART_KERNELS} == combined.PARTS
    assert last.features["hints"] and not last.features["bounds_checks"] and not last.features["fast_math"]


def test_a_step_that_is_not_carried_is_measured_and_taken_back():
    steps = [
        step("a", parameters={"x": 1}),
        step("b", parameters={"x": 2}, carried=False),
        step("c", parameters={"y": 3}),
    ]
    path = path_of(steps)
    assert [(stage.label, dict(stage.parameters)) for stage in path] == [
        (START, {}), ("a", {"x": 1}), ("b", {"x": 2}), ("c", {"x": 1, "y": 3})
    ]  # fmt: skip
    alone = alone_of(steps, path)
    assert [stage.label for stage in alone] == [START, "start (again)", "b alone", "c alone"]
    assert pairs_of(steps, alone) == [
        (START, "a"), ("a", "b"), ("a", "c"),
        (START, "start (again)"), (START, "b alone"), (START, "c alone"), (START, "c"),
    ]  # fmt: skip
    assert end_of(steps[:2]) == "a" and end_of([steps[1]]) == START
    assert chosen_alone("all", steps) == tuple(steps) and chosen_alone("none", steps) == ()
    assert [each.name for each in chosen_alone("c, b", steps)] == ["b", "c"]
    assert alone_of((), path) == [] and pairs_of(steps, []) == [(START, "a"), ("a", "b"), ("a", "c"), (START, "c")]


def test_what_cannot_be_had_has_no_arm():
    steps = [step("a", parameters={"x": 1}), step("b", features={"pinned": True}, absent=lambda: "there is one core")]
    assert [stage.label for stage in path_of(steps)] == [START, "a"]
    with pytest.raises(InputError, match="none of these steps"):
        ablate(steps[1:], progress=Silent())


def test_the_variables_of_an_arm_switch_what_its_features_say(monkeypatch):
    first = environment_of(FIRST_FEATURES)
    assert first["NUMBA_BOUNDSCHECK"] == "1" and first["NUMBA_CPU_NAME"] == "x86-64"
    for name, value in first.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    on = {name for name in (*switches.BUILD, *switches.PROCESS) if switches.switched(name)}
    assert on == {"no_inlining", "no_hints", "unpinned", "no_huge_pages"}
    everything = {**dict.fromkeys(FIRST_FEATURES, True), "bounds_checks": False}
    assert environment_of(everything) == {
        switches.COMPILER_VARIABLE: "fast_math", switches.PROCESS_VARIABLE: None, "NUMBA_BOUNDSCHECK": "0",
        "NUMBA_CPU_NAME": None, "NUMBA_CPU_FEATURES": None, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }  # fmt: skip
    for name, variable in (("inlining", switches.COMPILER_VARIABLE), ("pinned", switches.PROCESS_VARIABLE)):
        changed = environment_of({**FIRST_FEATURES, name: True})
        assert {key for key in first if first[key] != changed.get(key)} == {variable}


def test_an_arm_inherits_nothing_that_a_step_switches(monkeypatch, tmp_path):
    told = [*ablation.OWNED, "KEPT"]
    telling = tmp_path / "telling.py"
    line = f"json.dumps({{name: os.environ.get(name) for name in {told}}}) + chr(10)"
    telling.write_text(f"import json, os, sys\nsys.stdout.write({line})\n")
    monkeypatch.setattr(processes, "_module_words", lambda module, front: ["telling"])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = {**dict.fromkeys(FIRST_FEATURES, True), "bounds_checks": False, "fast_math": False, "huge_pages": False}
    stage = Stage("all", features=made)
    for name in ablation.OWNED:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("KEPT", "1")
    child = processes.Child("any", "any", tmp_path / "errors", environment=dict(stage.arm().environment))
    (found,) = child.read()
    child.finish()
    assert found == {
        **dict.fromkeys(ablation.OWNED), switches.PROCESS_VARIABLE: "no_huge_pages", "NUMBA_BOUNDSCHECK": "0",
        "KEPT": "1",
    }  # fmt: skip


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match="has no step 'faster'"):
        choose_steps(["faster"])
    with pytest.raises(InputError, match="has no step 'slower'"):
        chosen_alone("hints,slower", STEPS)
    with pytest.raises(InputError, match="no switch 'turbo'"):
        switches.variables(["turbo"])
    with pytest.raises(InputError, match="has no feature 'turbo'"):
        Stage(START).with_step(step("t", features={"turbo": True}), "t")
    assert [each.name for each in choose_steps(["hints", "unchecked"])] == ["unchecked", "hints"]


def test_one_node_of_memory_is_told(tmp_path):
    assert nodes(tmp_path) == 1
    (tmp_path / "node0").mkdir()
    (tmp_path / "node1").mkdir()
    assert nodes(tmp_path) == 2
    (numa,) = choose_steps(["near_memory"])
    assert "node" in numa.absent(), "it has no arm on any machine yet, and says why"


def test_huge_pages_are_read_where_linux_tells(tmp_path):
    file = tmp_path / "smaps_rollup"
    file.write_text("Rss:  100 kB\nAnonHugePages:      4096 kB\n")
    assert huge_bytes(file) == 4096 * 1024
    assert huge_bytes(tmp_path / "absent") == 0


def test_a_toy_is_ablated_and_what_computes_something_else_is_told(events, tmp_path, monkeypatch):
    from workbench.workloads import write_recording

    monkeypatch.setattr(ablation, "REPLAYS_PER_RUN", 2)
    write_recording(tmp_path / "events.npy", events)
    steps = [
        step("hinted", features={"hints": True}),
        step("more", parameters={"rounds": 8}),
        step("moving", features={"pinned": True}),
        step("never", absent=lambda: "there is none here"),
    ]
    options = {"modules": ["toy_kernel"], "paths": [str(Path(__file__).parent)]}
    found = ablate(
        steps, workload=str(tmp_path / "events.npy"), seconds=0.2, replicates=2, progress=Silent(),
        first="toy/baseline", options=options,
    )  # fmt: skip
    run = found.run
    labels = [START, "hinted", "more", "moving"]
    assert measured(run, "toy/baseline", steps) == labels
    assert found.differing == ("more", "moving", "more alone"), "eight rounds make another sum"
    assert any("@more computes something else than start" in note for note in run.notes)
    assert found.absent == {"never": "there is none here"} == read_back(run, "toy/baseline", steps).absent
    assert paired(run, "toy/baseline", "moving").a.endswith("@more")
    ratio = compared(run, "toy/baseline", START, "more alone").ratio
    assert 1.3 < ratio < 4, "eight rounds are about twice the work of four"
    assert compared(run, "toy/baseline", START, "start (again)") is not None
    cores = {replicate.core for replicate in run.replicates}
    assert cores == {None}, "the start may move"
    assert not any(side.histogram for replicate in run.replicates for block in replicate.blocks for side in block.sides)
    assert all(len(block.sides) in (8, 10) for replicate in run.replicates for block in replicate.blocks)
