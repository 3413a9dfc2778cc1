"""Each side's instructions are those of its own code; without valgrind, or with a broken child, that is said."""

import shutil
import sys
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.gate import instructions
from workbench.gate.evidence import Arms
from workbench.gate.instructions import Counts, count_instructions, instruction_cells
from workbench.gate.margins import Margins
from workbench.measure.arms import Arm
from workbench.measure.driver import Request
from workbench.record import Verdict

TOY = Path(__file__).parents[1] / "measure" / "toy_kernel"


def test_without_valgrind_nothing_is_counted_and_the_notes_say_so(monkeypatch):
    monkeypatch.setattr(instructions, "missing", lambda: "valgrind is not installed")
    counts = count_instructions(Request(["k"], 1, 1.0), [Arm("a"), Arm("b")], ["k/v"])
    assert counts == Counts(notes=["instructions were not counted: valgrind is not installed"])


def test_a_child_that_fails_is_told_with_its_side(monkeypatch):
    monkeypatch.setattr(instructions, "missing", lambda: None)
    with pytest.raises(WorkbenchError, match=r"a: counting instructions failed \(there is no kernel 'unheard_of'"):
        count_instructions(Request(["unheard_of"], 1, 1.0), [Arm("a"), Arm("b")], ["unheard_of/v"])


def test_only_what_both_sides_counted_is_a_cell():
    counts = Counts({"main": {"k/a": 1000.0, "k/b": 5.0, "k/zero": 0.0}, "HEAD": {"k/a": 1200.0, "k/zero": 3.0}})
    (only,) = instruction_cells(counts, Arms("main", "HEAD"), Margins())
    assert (only.a, only.b, only.verdict) == ("k/a@main", "k/a@HEAD", Verdict.SLOWER)
    assert only.ratio == only.low == only.high == 1.2 and only.p_value is None
    assert instruction_cells(Counts(), Arms("main", "HEAD"), Margins()) == []


@pytest.mark.slow
@pytest.mark.valgrind
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_counts_are_of_each_sides_own_code_and_repeat_to_the_last_digit(tmp_path, monkeypatch):
    for side, times in (("one", 1), ("two", 2)):
        folder = tmp_path / side / "toy_kernel"
        folder.mkdir(parents=True)
        for file in TOY.glob("*.py"):
            (folder / file.name).write_text(file.read_text().replace("probe, 1)", f"probe, {times})"))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "tests/measure" not in path])
    request = Request(["toy"], 1, 1.0, modules=["toy_kernel"], workload="synthetic", parameters={"rounds": 40})
    arms = [Arm("one", (str(tmp_path / "one"),)), Arm("two", (str(tmp_path / "two"),))]
    counts = count_instructions(request, arms, ["toy/baseline"])
    assert counts.notes == []
    once, twice = (counts.by_label[label]["toy/baseline"] for label in ("one", "two"))
    assert 1.5 < twice / once < 2.1
    again = count_instructions(request, arms[:1], ["toy/baseline"])
    assert again.by_label["one"]["toy/baseline"] == once
