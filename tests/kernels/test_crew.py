"""Several threads on one state: all at once, each with its share and its probe, and nothing of it lost."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from kernels import crew
from kernels.messages import EVENT

sys.path.insert(0, str(Path(__file__).parents[1] / "measure"))
import toy_peers

SIZES = np.arange(1, 1001)
VARIANT = toy_peers.KERNEL.variants["baseline"]


def events():
    made = np.zeros(len(SIZES), EVENT)
    made["size"] = SIZES
    return made


def test_calls_run_at_the_same_time_and_answer_in_their_order():
    together = threading.Barrier(3)

    def call(number):
        together.wait(30)  # nobody passes before all are there
        return number, threading.get_ident()

    answers, elapsed_ns = crew.run_together([lambda number=number: call(number) for number in range(3)])
    assert [number for number, _ in answers] == [0, 1, 2]
    assert len({thread for _, thread in answers}) == 3
    assert elapsed_ns > 0


def test_what_a_call_raises_is_raised():
    with pytest.raises(ValueError, match="no more"):
        crew.run_together([lambda: 1, lambda: int("no more")])


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_each_thread_has_a_core_of_its_own_where_there_are_enough(monkeypatch):
    allowed = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(crew, "_cores", ())
    answers, _ = crew.run_together([lambda: os.sched_getaffinity(0)] * 2)
    assert answers[0] == {allowed[-1]}
    assert answers[1] == {allowed[-2 % len(allowed)]}
    assert sorted(os.sched_getaffinity(0)) == allowed, "the caller stays where it was"
    crew.use_cores(allowed[:1])
    assert crew.run_together([lambda: os.sched_getaffinity(0)] * 2)[0] == [{allowed[0]}] * 2


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_share_the_work_and_their_probes_are_added_up(threads):
    instance = VARIANT.build(instrumented=True, threads=threads)
    VARIANT.replay(instance, events())
    assert instance.state.total[0] == SIZES.sum()
    assert instance.counters() == {"added": 1000}
    assert instance.probe.histogram.sum() == 1000
    assert {name: counts.sum() for name, counts in instance.stages().items()} == {"read": 1000, "add": 1000}
    instance.reset()
    assert not instance.probe.histogram.any() and not instance.probe.stages.any()


def test_a_run_from_the_end_does_nothing():
    instance = VARIANT.build(threads=3)
    reached, _ = VARIANT.run(instance, SIZES, np.zeros(1, np.int64), len(SIZES))
    assert reached == len(SIZES)
    assert instance.state.total[0] == 0


def test_a_state_that_threads_share_is_not_grown_below_them():
    with pytest.raises(RuntimeError, match="cannot grow while 2 threads use it"):
        VARIANT.replay(VARIANT.build(threads=2, room=10), events())


def test_a_parameter_may_have_names():
    assert VARIANT.build(way="twice").parameters["way"] == 1
    assert VARIANT.build(way=1).parameters["way"] == 1
    with pytest.raises(ValueError, match="way must be one of plain, twice, not 'thrice'"):
        VARIANT.build(way="thrice")


def test_a_variant_that_refuses_parameters_says_why():
    with pytest.raises(ValueError, match=r"toy_peers/peer_numpy cannot run so: it adds once"):
        toy_peers.KERNEL.variants["peer_numpy"].build(way="twice")


def test_states_inside_a_state_are_copied_and_put_back():
    instance = VARIANT.build()
    inner = type(instance.state)(*(array + 7 for array in instance.state))
    instance.state = (instance.state.total, inner)

    class Outer(tuple):
        def __new__(cls, *parts):
            return super().__new__(cls, parts)

    instance.state = Outer(instance.state[0], inner)
    saved = instance.snapshot()
    instance.state[0][0], instance.state[1].total[0] = 5, 6
    instance.restore(saved)
    assert (instance.state[0][0], instance.state[1].total[0]) == (0, 7)
