import datetime
import math
import random

import pytest

from kernels.machine.histogram import bucket_index
from workbench import record
from workbench.measure import results
from workbench.measure.histogram import Histogram
from workbench.measure.job import Memory
from workbench.record import Verdict

CLOCK = record.Clock(source="tsc", ns_per_tick=0.5, cost_ns=10, step_ns=10, invariant=True)


def text_of(median_ns, samples, tail=0.0):
    """Latencies around a median, with a `tail` share of them ten times as long."""
    made = Histogram()
    long = round(samples * tail)
    for offset in range(-4, 5):
        made.counts[round(median_ns) + offset] += (samples - long) // 9
    made.counts[round(median_ns)] += samples - long - 9 * ((samples - long) // 9)
    made.counts[bucket_index(round(median_ns * 10))] += long
    return made.encode()


def make_replicates(speeds, replicates=6, blocks=4, samples=8000, clock=CLOCK, histograms=True, seed=1, tails=None):
    random_ = random.Random(seed)
    found = []
    for index in range(replicates):
        made = []
        for number in range(blocks):
            sides = []
            for place, name in enumerate([*speeds, *reversed(speeds)]):
                mean = speeds[name] * math.exp(random_.gauss(0, 0.003))
                tail = (tails or {}).get(name, 0.0)
                sides.append(
                    record.Side(
                        variant=f"k/{name}",
                        place=place,
                        operations=samples,
                        elapsed_ns=round(mean * samples),
                        histogram=text_of(speeds[name], samples, tail) if histograms else None,
                    )
                )
            made.append(record.Block(replicate=index, index=number, sides=sides))
        found.append(
            record.Replicate(
                index=index,
                core=1,
                clock=clock,
                started=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
                compile_s={"k/a": 2.0 if index == 0 else 0.0},
                peak_rss_bytes=100 + index,
                allocations={"k/a": index},
                blocks=made,
            )
        )
    return found


def rows_of(replicates, variant="k/a", **options):
    return {(row.metric, row.statistic): row for row in results.results_of(replicates, variant, **options)}


def test_figures_and_their_intervals():
    rows = rows_of(make_replicates({"a": 100.0, "b": 200.0}))
    assert rows[("service_time", "p50")].value == 100
    assert rows[("service_time", "p50")].samples == 6 * 4 * 2 * 8000
    assert rows[("service_time", "batch_mean")].value == pytest.approx(100, rel=0.01)
    throughput = rows[("throughput", "mean")]
    assert throughput.low < throughput.value < throughput.high
    assert throughput.value == pytest.approx(1e7, rel=0.01)
    assert rows[("compile_time", "max")].value == 2.0
    assert rows[("allocations", "max")].value == 5
    assert {row.operations_per_sample for row in rows.values()} == {1}
    assert ("peak_rss", "max") not in rows  # that of a process with several variants is nobody's


def test_memory_is_that_of_a_process_of_its_own():
    memory = Memory(peak_rss=400, loading_rss=500, baseline_rss=300, state_rss=90, state_arrays=None)
    rows = {row.metric: row for row in results.memory_rows("k/a", memory)}
    assert {metric: row.value for metric, row in rows.items()} == {
        "peak_rss": 400, "loading_rss": 500, "baseline_rss": 300, "state_rss": 90
    }  # fmt: skip
    assert (rows["peak_rss"].variant, rows["peak_rss"].statistic, rows["peak_rss"].unit) == ("a", "max", "bytes")


def test_below_the_clock_there_is_only_a_bound():
    row = rows_of(make_replicates({"a": 25.0}))[("service_time", "p50")]
    assert (row.value, row.bound, row.low) == (30, "upper", None)


def test_a_percentile_of_groups_says_so_and_a_mean_is_of_single_operations():
    rows = rows_of(make_replicates({"a": 100.0}), operations_per_sample=8)
    row = rows[("service_time", "p50")]
    assert (row.value, row.bound, row.operations_per_sample) == (100, "value", 8)
    assert rows[("service_time", "batch_mean")].operations_per_sample == 1


def test_below_the_floor_of_samples_there_is_no_interval():
    rows = rows_of(make_replicates({"a": 100.0}, replicates=6, blocks=1, samples=30))
    assert rows[("service_time", "p50")].low is not None
    assert rows[("service_time", "p99")].low is None
    assert rows[("service_time", "p99")].samples == 360


def test_without_latencies_there_are_means_only():
    replicates = make_replicates({"a": 100.0, "b": 120.0}, histograms=False)
    assert {row[0] for row in rows_of(replicates)} == {
        "service_time", "throughput", "compile_time", "allocations"
    }  # fmt: skip
    assert ("service_time", "p50") not in rows_of(replicates)
    assert [row.metric for row in results.compare(replicates, "k/a", "k/b")] == ["throughput"]
    assert "no latencies" in results.not_compared(replicates, "k/a", "k/b")[0]


def test_percentiles_are_merged_never_averaged():
    replicates = make_replicates({"a": 100.0}, tails={"a": 0.02})
    rows = rows_of(replicates)
    assert rows[("service_time", "p50")].value == 100
    assert rows[("service_time", "p99")].value == pytest.approx(1000, rel=0.001)


def test_a_comparison_is_of_costs():
    found = {row.statistic: row for row in results.compare(make_replicates({"a": 100.0, "b": 110.0}), "k/a", "k/b")}
    assert found["mean"].ratio == pytest.approx(1.10, rel=0.005)
    assert (found["mean"].verdict, found["p50"].verdict) == (Verdict.SLOWER, Verdict.SLOWER)
    assert (found["mean"].blocks, found["mean"].replicates, found["mean"].margin) == (24, 6, 0.03)
    assert found["p99"].margin == 0.10


def test_a_tail_alone_moves_the_tail_alone():
    replicates = make_replicates({"a": 100.0, "b": 100.0}, tails={"b": 0.02})
    found = {row.statistic: row.verdict for row in results.compare(replicates, "k/a", "k/b")}
    assert found == {
        "mean": Verdict.UNCHANGED,
        "p50": Verdict.UNCHANGED,
        "p99": Verdict.SLOWER,
        "p999": Verdict.SLOWER,
    }


def test_what_the_clock_cannot_tell_is_not_compared():
    replicates = make_replicates({"a": 25.0, "b": 120.0}, samples=1000)
    assert [row.statistic for row in results.compare(replicates, "k/a", "k/b")] == ["mean"]
    notes = results.not_compared(replicates, "k/a", "k/b")
    assert "below the clock's floor of 30 ns" in notes[0]
    assert "fewer than the 3,688 samples" in notes[2]


def test_blocks_that_hold_only_one_variant_do_not_count():
    replicates = make_replicates({"a": 100.0})
    assert results.compare(replicates, "k/a", "k/b") == []


def test_what_the_probe_costs_is_told_with_its_interval():
    replicates = make_replicates({"a": 50.0})
    assert not [row for row in results.results_of(replicates, "k/a") if row.metric == "probe_overhead"]
    probed = [
        replicate.model_copy(update={"blocks": [_probed(block) for block in replicate.blocks]})
        for replicate in replicates
    ]
    (row,) = [row for row in results.results_of(probed, "k/a") if row.metric == "probe_overhead"]
    assert row.unit == "times"
    assert row.low <= 1.5 <= row.high
    assert row.value == pytest.approx(1.5, rel=1e-6)


def _probed(block):
    """Every run took half as long again with the probe."""
    sides = [
        side.model_copy(
            update={"probed_elapsed_ns": 3 * (side.elapsed_ns // 2), "elapsed_ns": 2 * (side.elapsed_ns // 2)}
        )
        for side in block.sides
    ]
    return block.model_copy(update={"sides": sides})
