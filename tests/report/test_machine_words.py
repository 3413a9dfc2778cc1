"""The machine's limits in words, computed from the record."""

import factory
import pytest

from workbench.errors import InputError, WorkbenchError
from workbench.record import Result
from workbench.report import machine_words
from workbench.report.machine_words import machine_outcome, place, point


def limit(variant, metric, value, unit="ns"):
    return Result(
        kernel="machine", variant=variant, metric=metric, statistic="median", unit=unit, value=value, low=None,
        high=None, samples=7,
    )  # fmt: skip


LIMITS = [
    limit("L1d", "load_latency", 1.1), limit("memory", "load_latency", 100.0),
    limit("memory, 4 KB pages", "load_latency", 130.0), limit("core", "frequency", 3.5e9, "Hz"),
    limit("core", "instruction_rate", 14e9, "instructions/s"), limit("memory", "read_bandwidth", 10e9, "bytes/s"),
    limit("clock", "cost", 9.0), limit("clock", "step", 9.5), limit("plain add", "cost", 1.0),
    limit("atomic add", "cost", 5.0), limit("two cores", "round_trip", 200.0),
    limit("atomic add, two cores", "cost", 50.0),
]  # fmt: skip


def run_with(rows):
    return factory.run(with_blocks=False).model_copy(update={"results": rows})


def mean(value):
    return Result(
        kernel="k", variant="v", metric="service_time", statistic="batch_mean", unit="ns", value=value, low=None,
        high=None, samples=10,
    )  # fmt: skip


def test_limits_are_told_with_what_they_mean():
    outcome = machine_outcome(run_with(LIMITS))
    assert outcome.headline == "A load from memory takes 100 ns here, 350 cycles of a core that runs at 3.50 GHz."
    told = " ".join(outcome.findings)
    for words in ("1.10 ns in L1d", "10.0 GB/s from memory", "1.30 times as long", "below 28.0 ns has a percentile",
                  "takes 5.00 ns where nobody else", "and back in 200 ns",
                  "each waits 50.0 ns for an addition, 10 times as long"):  # fmt: skip
        assert words in told, words


def test_a_kernel_is_placed_by_its_counts_and_its_time():
    counts = {"instructions": 128.0, "d1_misses": 0.5, "ll_misses": 0.125}
    rows = {row.metric: row.value for row in point(run_with([mean(20.0)]), "k/v", counts)}
    assert rows == {"intensity": 4.0, "instruction_rate": 6.4e9, "fetched": 32.0, "ll_misses": 0.125}
    resident = {row.metric: row.value for row in point(run_with([mean(20.0)]), "k/v", {**counts, "d1_misses": 0.0})}
    assert resident["intensity"] == pytest.approx(2000.0) and resident["fetched"] == 0.0
    with pytest.raises(WorkbenchError, match="k/other was not measured"):
        point(run_with([mean(20.0)]), "k/other", counts)


@pytest.mark.parametrize(
    ("instructions", "misses", "far", "percent", "words"),
    [
        (200.0, 0.01, 0.0, (0.0, 0.1), "bound by the core"),
        (20.0, 0.05, 0.0, (0.0, 0.4), "it waits"),
        (100.0, 2.0, 2.0, (64.0, 0.0), "bound by what memory can bring"),
        (100.0, 2.0, 0.0, (0.0, 16.0), "it waits"),
        (100.0, 8.0, 0.5, (16.0, 60.0), "bound by what the caches behind the first can bring"),
        (200.0, 0.0, 0.0, (0.0, 0.0), "bound by the core"),
    ],
)
def test_it_is_said_what_binds_a_kernel(instructions, misses, far, percent, words):
    counts = {"instructions": instructions, "d1_misses": misses, "ll_misses": far}
    rows = point(run_with([mean(20.0)]), "k/v", counts)
    last = limit("L3", "read_bandwidth", 40e9, "bytes/s")
    findings = machine_outcome(run_with([*LIMITS, last, *rows])).findings
    (told,) = [each for each in findings if each.startswith("k/v")]
    assert words in told and " does about " in told
    assert "about {:.1f} % of what memory could bring and at most {:.1f} % of what L3".format(*percent) in told
    assert any("of the first 20,000 events, and of a build that valgrind can run" in each for each in findings)


def test_without_valgrind_the_limits_are_told_all_the_same(monkeypatch):
    from workbench.profile import callgrind

    monkeypatch.setattr(callgrind, "missing", lambda: "valgrind is not installed")
    assert place([]).absent == ("No kernel is placed under the roofs: valgrind is not installed.",)
    monkeypatch.setattr(callgrind, "missing", lambda: "")
    with pytest.raises(InputError, match="order_book is not KERNEL/VARIANT"):
        place(["order_book"])
    assert place([], wanted=False).run is None
    assert machine_outcome(run_with([])).headline == "The limits of this machine were not measured."


def test_the_kernels_that_are_placed_by_default_exist():
    import kernels

    for name in machine_words.PLACED:
        kernel, _, variant = name.partition("/")
        assert not kernels.get(kernel).variant(variant).peer
