import os
import signal
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

from workbench.profile import keeper, posix, sampler, senders

VALUES = np.linspace(1.0, 2.0, 1000)


@numba.njit
def holds_the_lock(values, rounds):
    total = 0.0
    for _ in range(rounds):
        for i in range(values.shape[0]):
            total += 1.0 / values[i] + total * 1e-30
    return total


@pytest.fixture
def pinned():
    """This thread, and those that it makes, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


def sample_mine(rate_per_s: float, rounds: int) -> tuple[int, float, sampler.Samples]:
    """Return the samples of this thread, its CPU time, and all of them."""
    holds_the_lock(VALUES, 1)
    with sampler.sampling(rate_per_s) as samples:
        began = time.thread_time()
        holds_the_lock(VALUES, rounds)
        spent_s = time.thread_time() - began
    return int((samples.thread == threading.get_native_id()).sum()), spent_s, samples


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="one core: there are timers")
def test_code_that_holds_pythons_lock_is_sampled_by_a_thread_that_needs_none():
    assert isinstance(senders.best(keeper.SIGNAL, 10**6, cpu_time=False), senders.Sender)
    mine, spent_s, samples = sample_mine(1000, 200_000)
    assert spent_s > 0.1
    assert mine > 0.5 * 1000 * spent_s
    assert not [name for name in samples.names.values() if name.startswith("workbench sampler")]
    assert not [each for each in threading.enumerate() if each.name.startswith("workbench sampler")]


def test_on_one_core_and_for_cpu_time_there_are_timers(pinned):
    assert isinstance(senders.best(keeper.SIGNAL, 10**6, cpu_time=False), senders.Timers)
    mine, spent_s, _ = sample_mine(1000, 100_000)
    assert mine > 0.3 * 1000 * spent_s


def test_cpu_time_is_watched_by_timers():
    assert isinstance(senders.best(keeper.SIGNAL, 10**6, cpu_time=True), senders.Timers)


def test_where_linux_refuses_to_send_there_are_timers(monkeypatch):
    monkeypatch.setattr(posix, "can_queue", lambda: False)
    assert isinstance(senders.best(keeper.SIGNAL, 10**6, cpu_time=False), senders.Timers)


def test_a_thread_that_ended_is_passed_over_and_its_place_used_again(monkeypatch):
    monkeypatch.setattr(senders, "TABLE_THREADS", 2)
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    sender = senders.Sender(0, 10**6)  # signal 0: Linux looks for the thread and sends nothing
    assert sender.arm(ended.native_id) and sender.arm(threading.get_native_id()) and not sender.arm(1)
    sender.begin()
    time.sleep(0.02)
    assert sender.own_threads() and threading.get_native_id() not in sender.own_threads()
    sender.disarm(ended.native_id)
    assert sender.arm(1)
    sender.end()
    sender.end()  # also where it ended before


def test_a_low_rate_does_not_delay_the_end():
    sender = senders.Sender(0, 60 * 10**9)
    sender.begin()
    began = time.monotonic()
    sender.end()
    assert time.monotonic() - began < 10


def test_rounds_keep_no_beat():
    words = np.ones(8, np.int64)
    drawn = np.array([senders.random_below(words, 1000) for _ in range(2000)])
    assert drawn.min() >= 0 and drawn.max() < 1000
    assert np.histogram(drawn, 10, (0, 1000))[0].min() > 120  # of 200
    assert len(set(drawn.tolist())) > 700


@pytest.mark.parametrize("cpu_time", [False, True])
def test_a_pause_stops_either_way_to_send(cpu_time):
    arms = senders.best(keeper.SIGNAL, 10**6, cpu_time=cpu_time)
    came = []
    before = signal.signal(keeper.SIGNAL, lambda *_: came.append(None))
    try:
        arms.begin()
        arms.arm(threading.get_native_id())
        counts = []
        for change in (arms.pause, arms.resume):
            change()
            time.sleep(0.02)
            began, end = len(came), time.thread_time() + 0.1
            while time.thread_time() < end:
                holds_the_lock(VALUES, 10)
            counts.append(len(came) - began)
        assert counts[0] == 0 and counts[1] > 5
    finally:
        arms.end()
        time.sleep(0.01)
        signal.signal(keeper.SIGNAL, before)


def test_threads_are_those_that_there_are():
    assert posix.threads() == {int(each.name) for each in Path("/proc/self/task").iterdir()}
    seen = []
    other = threading.Thread(target=lambda: seen.append(threading.get_native_id() in posix.threads()))
    other.start()
    other.join()
    assert seen == [True]


def test_the_cost_of_a_signal_is_measured_once():
    with sampler.sampling(1000) as samples:
        pass
    with sampler.sampling(1000) as again:
        pass
    assert 0 <= samples.sample_cost_ns < 10**7
    assert again.sample_cost_ns == samples.sample_cost_ns


def test_what_sampling_costs_in_its_own_threads_is_known_while_it_runs():
    assert sampler.own_cpu_s() == 0
    with sampler.sampling(2000):
        time.sleep(0.1)
        first = sampler.own_cpu_s()
        time.sleep(0.1)
        assert 0 < first < sampler.own_cpu_s() < 10
    assert sampler.own_cpu_s() == 0
