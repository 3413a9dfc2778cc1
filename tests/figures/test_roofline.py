"""The roofline and the latency curve show what the record says."""

import factory
import pytest

from workbench import figures
from workbench.figures import figure_name, figure_table
from workbench.figures.roofline import REFUSED_PAGES
from workbench.record import Result


def result(kernel, variant, metric, value, statistic="median", unit="ns"):
    return Result(
        kernel=kernel, variant=variant, metric=metric, statistic=statistic, unit=unit, value=value, low=value * 0.9,
        high=value * 1.1, samples=7,
    )  # fmt: skip


def limits(*others):
    rows = [
        result("machine", "4096", "chase_latency", 1.5),
        result("machine", "8388608", "chase_latency", 30.0),
        result("machine", "core", "instruction_rate", 12e9),
        result("machine", "L2", "read_bandwidth", 60e9),
        result("machine", "memory", "read_bandwidth", 12e9),
        *others,
    ]
    return factory.run(with_blocks=False).model_copy(update={"results": rows})


def point(name, intensity, rate):
    kernel, _, variant = name.partition("/")
    return [
        result(kernel, variant, "intensity", intensity, "roofline"),
        result(kernel, variant, "instruction_rate", rate, "roofline"),
        result(kernel, variant, "ll_misses", 0.25, "roofline"),
    ]


def test_a_roof_is_the_lower_of_the_core_and_of_what_memory_brings():
    figure = figures.roofline(limits(*point("k/a", 2.0, 6e9), *point("k/<b>", 0.1, 1e9)))
    lines = {trace.name: trace for trace in figure.data if trace.mode == "lines"}
    memory = lines["memory: 12.0 GB/s"]
    assert memory.x[1] == pytest.approx(1.0), "12 G instructions a second at 12 GB/s: one instruction a byte"
    assert memory.y[1] == memory.y[2] == 12e9 and memory.y[0] == pytest.approx(memory.x[0] * 12e9)
    points = {trace.name: (trace.x[0], trace.y[0]) for trace in figure.data if trace.mode == "markers"}
    assert points == {"k/a": (2.0, 6e9), "k/&lt;b&gt;": (0.1, 1e9)}
    rows = {row[0]: row for row in figure_table(figure).rows}
    assert rows["k/a"] == ("k/a", "2.00", "6.00 G instructions/s", "50 %", "0.250")


def test_no_two_of_many_points_look_alike():
    names = [f"k/{number}" for number in range(20)]
    figure = figures.roofline(limits(*(row for name in names for row in point(name, 2.0, 6e9))))
    looks = [(trace.marker.color, trace.marker.symbol) for trace in figure.data if trace.mode == "markers"]
    assert len(set(looks)) == len(names)


def test_a_roofline_without_kernels_says_so():
    assert "no kernel was placed" in figures.roofline(limits()).layout.annotations[0].text
    nothing = factory.run(with_blocks=False).model_copy(update={"results": []})
    assert "the core was not measured" in figures.roofline(nothing).layout.annotations[0].text


def test_the_latency_curve_has_every_working_set_and_the_caches():
    figure = figures.working_set_latency(limits(), [("L1d", 32768), ("L2", 2**20)])
    assert list(figure.data[0].x) == [4096, 8388608] and list(figure.data[0].y) == [1.5, 30.0]
    assert figure_table(figure).rows[1] == ("8 MB", "30.0 ns", "27.0 ns", "33.0 ns")
    assert [note.text for note in figure.layout.annotations] == ["L1d", "L2"]
    assert "asked for, to keep misses of the TLB out" in figure_name(figure)[1]
    refused = limits().model_copy(update={"notes": [f"{REFUSED_PAGES} for a working set of 4 KB: so"]})
    assert "asked for and refused: misses of the TLB" in figure_name(figures.working_set_latency(refused, []))[1]
    empty = factory.run(with_blocks=False).model_copy(update={"results": []})
    assert "no working set" in figures.working_set_latency(empty, []).layout.annotations[0].text
