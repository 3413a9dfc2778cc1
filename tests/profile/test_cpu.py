"""Planted costs: each loop of a function costs what doubling its trip count adds. Shares, so that load divides out."""

import importlib
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import workbench
from workbench import codemap
from workbench.errors import InputError
from workbench.profile import cpu, sampler
from workbench.profile.counted import Line

SOURCE = """
import numpy as np
from kernels._jit import kernel_jit


@kernel_jit
def planted(values, counts, divisions, sines):
    total = 0.0
    for i in range(divisions):
        total = 1.0 / (values[i & 1023] + total)
    for i in range(sines):
        total += np.sin(values[i & 1023])
    return total
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted_costs.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("planted_costs").planted
    sys.path.remove(str(folder))


def number_of(needle: str) -> int:
    return next(number for number, text in enumerate(SOURCE.splitlines(), 1) if needle in text)


def shares(planted, divisions: int, sines: int):
    values = np.linspace(1.0, 2.0, 1024)
    found = workbench.profile(planted, values, np.zeros(8, np.int64), divisions, sines, seconds=1.0)
    file = planted.py_func.__code__.co_filename
    by_line = found.shares_by_source()
    division = by_line.get((file, number_of("1.0 / ")), 0.0)
    sine = by_line.get((file, number_of("np.sin")), 0.0)
    return found, division, sine


def test_time_falls_on_the_lines_that_cost_it(planted):
    found, division, sine = shares(planted, 40_000, 20_000)
    assert found.badges == {"planted": "same code"}
    assert division + sine >= 0.9
    assert division > 0.1 and sine > 0.1
    _, twice, rest = shares(planted, 80_000, 20_000)
    # Doubling the division loop turns d : s into 2 d : s. Shares of some hundred samples: a wide band holds under load.
    assert twice / (twice + rest) == pytest.approx(2 * division / (2 * division + sine), abs=0.1)
    line = Line("planted", planted.py_func.__code__.co_filename, number_of("np.sin"))
    assert found.counters[line]["in_calls"] > 0.5 * found.counters[line]["samples"]  # in libm, charged to the caller
    assert found.notes_by_line[line].assembly
    assert "division" in found.notes_by_line[line._replace(line=number_of("1.0 / "))].detail
    assert {
        "slowdown",
        "slowdown_low",
        "slowdown_high",
        "keeper_core_share",
        "sample_cost_ns",
        "lost",
    } <= found.overhead.keys()
    assert Path(line.file).read_text().splitlines()[line.line - 1] == found.source(line)


def test_a_variant_is_profiled_on_a_workload():
    from workbench import workloads

    events = workloads.parse("synthetic").events[:20_000]
    found = workbench.profile("signals/baseline", workload=events, seconds=0.5)
    assert found.title == "signals/baseline"
    assert set(found.badges.values()) == {"same code"}
    assert any("kernels/signals" in line.file for line in found.counters)


def test_a_ufunc_is_profiled_by_line():
    codemap.install()

    @numba.vectorize(["f8(f8)"])
    def third(value):
        return np.exp(value) / 3.0  # here

    found = workbench.profile(third, np.linspace(1.0, 2.0, 20_000), seconds=0.3)
    assert found.title == "third"
    assert found.badges == {"third": "same code"}
    (line,) = [line for line in found.counters if found.source(line).endswith("# here")]
    assert found.share(line) > 0.5


def test_inside_a_sampled_region_nothing_is_paused_and_the_cost_is_an_estimate(planted):
    arguments = np.linspace(1.0, 2.0, 1024), np.zeros(8, np.int64), 40_000, 20_000
    with sampler.sampling(1000) as outer:
        inner = workbench.profile(planted, *arguments, seconds=0.2)
    assert "slowdown" not in inner.overhead and inner.overhead["estimated_slowdown"] >= 1
    assert "an estimate" in str(inner)
    assert outer.duration_s >= inner.overhead["duration_s"] >= 0.2


def test_a_run_that_is_long_against_the_seconds_is_sampled_without_pairs(planted, monkeypatch):
    segments = []
    segment = cpu._segment
    monkeypatch.setattr(cpu, "_segment", lambda *given: segments.append(given) or segment(*given))
    arguments = np.linspace(1.0, 2.0, 1024), np.zeros(8, np.int64), 20_000_000, 0
    found = workbench.profile(planted, *arguments, seconds=0.05)
    assert 3 <= len(segments) < 2 * cpu.MIN_PAIRS
    assert found.total > 0
    assert "slowdown" not in found.overhead and found.overhead["estimated_slowdown"] >= 1
    assert any("12 pairs of runs" in note and "is an estimate" in note for note in found.notes)
    assert "an estimate" in str(found)


def test_the_slowdown_is_the_median_of_pairs_with_its_interval():
    plain = cpu.Spent(1.0, 2.0, 0.0)
    pairs = [(cpu.Spent(1.0 + k / 1000, 2.0 + k / 100, 0.5), plain) for k in range(1, 20)] + [
        (cpu.Spent(9.0, 9.0, 0.5), plain)
    ]
    found = cpu._slowdown(pairs)
    assert found["slowdown_pairs"] == 20
    assert found["slowdown"] == pytest.approx(1.0105)
    assert (found["slowdown_low"], found["slowdown_high"]) == pytest.approx((1.006, 1.015))  # ranks 6 and 15 of 20
    assert found["wall_slowdown"] == pytest.approx(1.0525)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("order_book",), {}, "name one variant"),
        (("order_book/nothing",), {}, "no variant 'nothing'"),
        (("nothing/ladder",), {}, "no kernel 'nothing'"),
        ((len,), {}, "neither a kernel nor a function"),
        (("order_book/ladder",), {"workload": np.zeros(3)}, "not an array of kernels.messages.EVENT"),
        (("order_book/ladder",), {"seconds": 0}, "0 s cannot"),
        (("order_book/ladder",), {"kind": "moon"}, "no profile of kind 'moon'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, options, said):
    with pytest.raises(InputError, match=said):
        workbench.profile(*arguments, **options)
