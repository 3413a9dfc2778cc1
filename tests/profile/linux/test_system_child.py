"""The runs of a system profile end in the time that was asked for, also where the subject sleeps."""

import contextlib
import time

import pytest

from workbench.profile import system_child
from workbench.profile.system_work import GROWTH, Work


class Clocks:
    """Stands in for `time`: a run of the subject moves both clocks by what it is said to take."""

    def __init__(self):
        self.cpu = self.wall = 0.0

    def process_time(self):
        return self.cpu

    def monotonic(self):
        return self.wall


def work_of(clocks, cpu_s, wall_s):
    def run(size):
        clocks.cpu += cpu_s * size
        clocks.wall += wall_s * size

    sizes = [GROWTH**power for power in range(6)]
    return Work(sizes, lambda size: size, lambda size: None, run, dict)


@pytest.mark.parametrize(
    ("cpu_s", "wall_s"), [(0.0, 0.001), (0.0, 0.02), (0.001, 0.001), (0.001, 0.1)], ids=lambda value: f"{value} s"
)
def test_runs_grow_until_cpu_time_or_patience_is_used_up(monkeypatch, cpu_s, wall_s):
    clocks = Clocks()
    monkeypatch.setattr(system_child, "time", clocks)
    took = system_child._climb(work_of(clocks, cpu_s, wall_s), 2.0, lambda size: contextlib.nullcontext(), 6.0)
    assert clocks.cpu <= 2.0 and clocks.wall <= 6.0 and len(took) >= 2
    assert took == {size: pytest.approx(size * wall_s) for size in took}


def test_what_a_sleeping_subject_waits_in_is_seen():
    work = Work([1], lambda size: size, lambda size: None, lambda size: time.sleep(0.15), dict)
    seen = system_child._waits(work, 1, 0.0)
    assert sum(count for name, count in seen.items() if name != "running") > 10
    short = Work([1], lambda size: size, lambda size: None, lambda size: None, dict)
    assert system_child._waits(short, 1, 0.0) == {}
