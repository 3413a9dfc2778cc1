import subprocess
import sys

import pytest
import toy_kernel

import workbench as wb
from workbench import record
from workbench.errors import InputError
from workbench.measure.job import Chosen
from workbench.measure.progress import Silent
from workbench.measure.runs import default_pairs


def test_measure_returns_a_record_that_can_be_read_back(events):
    run = wb.measure(toy_kernel.KERNEL, workload=events, seconds=0.1, replicates=1, progress=Silent())
    assert record.from_json(run.to_json()) == run
    assert {result.variant for result in run.results} == {"baseline", "doubled"}
    assert {(row.a, row.b) for row in run.comparisons} == {("toy/baseline", "toy/doubled")}
    assert (run.workload.content, run.workload.events) == ("recording", 3000)
    assert run.machine.git_revision is not None


def test_compare_returns_what_displays_itself(events):
    comparison = wb.compare(
        toy_kernel.KERNEL, "baseline", "doubled", events, seconds=0.1, replicates=1,
        progress=Silent(),
    )  # fmt: skip
    assert comparison.verdict is comparison.row("throughput", "mean").verdict
    assert comparison.run is not None
    assert {row.b for row in comparison.rows} == {"toy/doubled"}
    assert "toy/doubled" in comparison._repr_mimebundle_()["text/plain"]


def test_what_cannot_be_measured(events):
    with pytest.raises(InputError, match="itself"):
        wb.compare(toy_kernel.KERNEL, "baseline", "baseline", events)
    with pytest.raises(InputError, match="nothing to measure"):
        wb.measure(toy_kernel.KERNEL, variants=[], workload=events)


def test_pairs_are_the_first_variant_and_the_parent():
    def chosen(variant, parent, kernel="k"):
        return Chosen(kernel=kernel, variant=variant, parent=parent, peer=False)

    group = [chosen("a", None), chosen("b", "a"), chosen("c", "b"), chosen("d", "absent"), chosen("z", None, "other")]
    assert default_pairs(group) == [("k/a", "k/b"), ("k/a", "k/c"), ("k/b", "k/c"), ("k/a", "k/d")]


def test_neither_the_package_nor_the_driver_imports_numba():
    script = (
        "import sys, workbench, workbench.measure, workbench.measure.driver, workbench.measure.runs\n"
        "workbench.measure, workbench.compare\n"
        "sys.exit('numba' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
