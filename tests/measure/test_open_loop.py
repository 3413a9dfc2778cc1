"""Response times count from the intended start, so that a pause is told by everyone who had to wait for it."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kernels._jit import kernel_jit
from kernels.machine.cycles import read_cycles
from kernels.messages import EVENT
from workbench import record
from workbench.commands.run import command
from workbench.errors import InputError
from workbench.measure import schedule
from workbench.measure.clock import measure_clock
from workbench.measure.load import knee_row
from workbench.measure.open_loop import Opened, run_open

sys.path.insert(0, str(Path(__file__).parent))
import toy_peers

CLOCK = measure_clock()
KERNEL = toy_peers.KERNEL
BASELINE = KERNEL.variants["baseline"]
needs_tsc = pytest.mark.skipif(CLOCK.source != "tsc", reason="the time-stamp counter of this machine is not invariant")


@kernel_jit
def stalling(state, ticks, out, begin, probe):
    """Spin for as many ticks as the item says."""
    for i in range(begin, len(ticks)):
        end = read_cycles() + ticks[i]
        while read_cycles() < end:
            pass
    return len(ticks)


def variant_of(replay):
    changed = dataclasses.replace(BASELINE, replay_from=replay)
    changed.kernel = KERNEL
    return changed


@needs_tsc
def test_a_pause_is_told_by_all_who_waited_for_it():
    pause_ns, rate, count = 20_000_000, 1e5, 10_000
    ticks = np.zeros(count, np.int64)
    ticks[count // 2] = pause_ns / CLOCK.ns_per_tick
    variant = variant_of(stalling)
    opened = run_open(variant, variant.build(), ticks, None, schedule.fixed(rate, count), CLOCK)
    response, service = opened.histograms()
    analytic = np.zeros(count)
    analytic[count // 2 :] = np.maximum(pause_ns - np.arange(count // 2) * (1e9 / rate), 0)  # each waits for the rest
    for percentile in (85, 95, 99, 99.9):
        truth = np.percentile(analytic, percentile)
        assert response.value_at(percentile) >= truth * 0.999 - 1e9 / rate
    assert response.value_at(99) > 19_000_000 * 0.999
    assert service.value_at(99) < pause_ns / 10, "a closed loop would have told this, and hidden the pause"
    assert service.maximum >= pause_ns * 0.999


@needs_tsc
def test_no_operation_begins_before_it_is_due_or_before_the_one_above_has_ended():
    ticks = np.full(2000, round(3000 / CLOCK.ns_per_tick))
    variant = variant_of(stalling)
    opened = run_open(variant, variant.build(), ticks, None, schedule.poisson(2.5e5, 2000, 1), CLOCK)
    assert (opened.began_ns >= opened.due_ns - 1).all()
    assert (opened.began_ns[1:] >= opened.ended_ns[:-1] - 1).all()
    assert (opened.response_ns >= opened.service_ns - 1).all()
    assert (opened.service_ns >= 2990).all()


@needs_tsc
def test_the_work_that_is_done_is_that_of_a_replay():
    sizes = np.arange(500)
    instance, out = BASELINE.build(way="twice"), np.zeros(1, np.int64)
    opened = run_open(BASELINE, instance, sizes, out, schedule.fixed(1e6, 400), CLOCK)
    assert out[0] == 2 * sizes[:400].sum() == instance.state.total[0]
    assert opened.intended_per_s == pytest.approx(1e6)


@needs_tsc
def test_an_input_of_several_arrays_is_cut_as_its_kernel_says():
    @kernel_jit
    def until(items, end):
        return (items[0][:end], items[1][:end])

    @kernel_jit
    def replay(state, items, out, begin, probe):
        for i in range(begin, len(items[0])):
            out[i] = items[0][i] * items[1][i]
        return len(items[0])

    variant = variant_of(replay)
    variant.kernel = dataclasses.replace(
        KERNEL,
        until=until,
        length=lambda items: len(items[0]),
        count_operations=lambda items: len(items[0]),
        divide=None,
    )
    items, out = (np.arange(50), np.arange(50)), np.zeros(50, np.int64)
    run_open(variant, variant.build(), items, out, schedule.fixed(1e7, 50), CLOCK)
    assert (out == np.arange(50) ** 2).all()


@needs_tsc
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda call: call(variant=KERNEL.variants["peer_numpy"]), "not compiled by Numba"),
        (lambda call: call(threads=2), "runs in several threads"),
        (lambda call: call(count=11), "fewer than the 11 asked for"),
        (lambda call: call(clock=CLOCK.model_copy(update={"source": "clock_gettime"})), "not invariant"),
    ],
)
def test_what_cannot_be_begun_one_by_one_is_told(change, sentence):
    def call(variant=BASELINE, threads=1, count=10, clock=CLOCK):
        instance = variant.build(threads=threads)
        run_open(variant, instance, np.arange(10), np.zeros(1, np.int64), schedule.fixed(1e6, count), clock)

    with pytest.raises(InputError, match=sentence):
        change(call)


def test_when_a_burst_is_over():
    due = np.arange(0, 1000, 100)
    began = due + np.array([0, 0, 0, 900, 700, 500, 300, 0, 0, 0])
    assert Opened(due, began, began + 10).recovery_ns(3, 50) == began[7] - due[3]
    assert Opened(due, due, due + 10).recovery_ns(3, 50) == 0
    assert Opened(due, due + 60, due + 70).recovery_ns(3, 50) is None


def test_the_knee_is_the_last_load_below_which_all_hold():
    def rows(rate, p99, high, done=1.0):
        def row(metric, statistic, value, high=None):
            return record.Result(
                kernel="k", variant="v", metric=metric, statistic=statistic, unit="", value=value, low=None, high=high,
                samples=5, rate_per_s=rate,
            )  # fmt: skip

        return [row("response_time", "p99", p99, high), row("achieved_rate", "median", done * rate)]

    good = [*rows(10, 5, 8), *rows(20, 6, 9)]
    assert knee_row(good, "k/v", [10, 20], 10).value == 20
    assert knee_row([*good, *rows(30, 7, 11), *rows(40, 5, 6)], "k/v", [10, 20, 30, 40], 10).value == 20
    assert knee_row([*good, *rows(30, 7, 8, done=0.9)], "k/v", [10, 20, 30], 10).value == 20, "it did not keep up"
    assert knee_row(good, "k/v", [10, 20], 4).value == 0


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "timing.lock"))
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parent)])
    events = np.zeros(3000, EVENT)
    events["kind"], events["price_ticks"], events["size"], events["order_id"] = 1, 100, 5, np.arange(1, 3001)
    events["timestamp_ns"] = np.arange(3000) * 1000
    np.save(tmp_path / "events.npy", events)
    return ["-m", "toy_peers", "--input", str(tmp_path / "events.npy"), "--seconds", "0.4", "--replicates", "1"]


def invoke(*words):
    return CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)


@needs_tsc
def test_both_times_of_every_load_and_the_knee_from_the_command_line(data):
    result = invoke("toy_peers/baseline", "--rate", "100000", "--rate", "1000000", "--knee", "1e9", *data, "--json")
    run = record.from_json(result.stdout)
    found = {(row.metric, row.statistic, row.rate_per_s) for row in run.results}
    for rate in (1e5, 1e6):
        assert {
            ("response_time", "p99", rate),
            ("service_time", "p99", rate),
            ("achieved_rate", "median", rate),
        } <= found
    (knee,) = [row for row in run.results if row.metric == "knee"]
    assert knee.value in (0, 1e5, 1e6)


@needs_tsc
@pytest.mark.parametrize("words", [("--arrivals", "recorded", "--rate", "2"), ("--arrivals", "burst", "--rate", "1e6")])
def test_other_arrivals(data, words):
    told = invoke("toy_peers", *words, "--no-save", *data).stdout
    (row,) = [line for line in told.splitlines() if line.startswith("toy_peers/baseline ") and "M/s" in line][:1]
    assert ("2 M/s" if "recorded" in words else "1 M/s") in row
    assert "peer_numpy is not compiled by Numba: its operations cannot be begun one by one: it was left out" in told
    assert ("the burst" in told) is ("burst" in words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rate", "-1"], "a load is a number of operations a second above 0"),
        (["--arrivals", "recorded"], "give one with --rate"),
        (["--knee", "-5"], "is no limit of a response time"),
        (["--burst-factor", "5"], "give --arrivals burst with it"),
        (["--rate", "1e5", "-P", "threads=2"], "leave their number at 1"),
    ],
)
def test_what_is_no_open_loop_is_told(data, words, sentence):
    with pytest.raises(InputError, match=sentence):
        invoke("toy_peers/baseline", *words, *data)
