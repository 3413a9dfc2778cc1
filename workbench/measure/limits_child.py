"""The process that meets the limits of the machine: one loop after the other, each several times, pinned."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kernels import crew
from kernels.machine import limits as loops
from kernels.machine.memory import CACHE_LINE_BYTES, aligned, huge, huge_bytes
from workbench.measure import closed_loop
from workbench.measure.child import Driver, serve
from workbench.measure.clock import measure_clock
from workbench.measure.limits import MEMORY, REFUSED_PAGES, REPEATS, LimitsJob, Sample
from workbench.measure.replicate import pin

_LEAST_NS = 200_000  # of one timed call: the call from Python takes a microsecond


def work(text: str, driver: Driver) -> None:
    """Compile the loops, then measure every limit and tell each as it comes."""
    job = LimitsJob.model_validate_json(text)
    driver.tell(doing="compile the loops")
    _compile()
    driver.ask("lock")
    pin()
    Meeting(job, driver).all()


def _compile() -> None:
    words, one = aligned(64, np.int64), aligned(8, np.int64)
    loops.make_chase(words)
    loops.chase(words, 0, 8)
    loops.read_all(words, 1)
    loops.write_all(words, 1)
    loops.copy_all(words, aligned(64, np.int64), 1)
    loops.chained_adds(1)
    loops.wide_adds(1)
    loops.plain_adds(one, 1)
    loops.atomic_adds(one, 1)
    loops.exchanges(one, 1)
    loops.bounce(one, one, 0, True)


class Meeting:
    """The loops under way: each gets the same part of the time."""

    def __init__(self, job: LimitsJob, driver: Driver):
        self._job = job
        self._driver = driver
        self._of = len(job.sizes) + 4 * len(job.levels) + 8
        self._done = 0
        self._refused = False  # whether Linux has given ordinary pages where huge ones were asked for
        self._least_ns = max(_LEAST_NS, job.seconds * 1e9 / self._of / (REPEATS + 1))

    def all(self) -> None:
        """Measure everything."""
        with closed_loop.no_collection():
            self._core()
            self._between_cores()
            for level, size in self._job.levels.items():
                self._level(level, size)
            for size in self._job.sizes:
                words = self._huge_words(size)
                loops.make_chase(words)
                self._tell(str(size), "chase_latency", self._chased(words))

    def _core(self) -> None:
        """Measure the clock, the core and its atomics, on lines that stay in its first cache."""
        clocks = [measure_clock() for _ in range(REPEATS)]
        self._tell("clock", "cost", [clock.cost_ns for clock in clocks])
        self._tell("clock", "step", [clock.step_ns for clock in clocks])
        self._tell("core", "frequency", _rates(self._timed(loops.chained_adds), loops.CHAIN))
        self._tell("core", "instruction_rate", _rates(self._timed(loops.wide_adds), loops.WIDE_ADDS))
        for name, loop in (("plain add", loops.plain_adds), ("atomic add", loops.atomic_adds),
                           ("compare-exchange", loops.exchanges)):  # fmt: skip
            self._tell(name, "cost", self._timed(partial(loop, aligned(8, np.int64))))

    def _between_cores(self) -> None:
        """Measure what passes between two cores; told as not to be had where there is only one."""
        if len(crew.cores()) < 2:
            self._driver.tell(note="there is one core only: nothing passes between cores, and it was not measured")
            return
        rounds = max(1000, int(self._least_ns / 200))
        found, shared = [], []
        for _ in range(REPEATS):
            one, two = aligned(16, np.int64, 2 * CACHE_LINE_BYTES), aligned(16, np.int64, 2 * CACHE_LINE_BYTES)
            calls = [partial(loops.bounce, one, two, rounds, True), partial(loops.bounce, two, one, rounds, False)]
            found.append(crew.run_together(calls)[1] / rounds)
            counters = aligned(8, np.int64)
            both = [partial(loops.atomic_adds, counters, rounds)] * 2
            shared.append(crew.run_together(both)[1] / rounds)  # what one core waits, as where nobody shares it
        self._tell("two cores", "round_trip", found)
        self._tell("atomic add, two cores", "cost", shared)

    def _level(self, level: str, size: int) -> None:
        """Measure latency and bandwidths of one level by a working set of `size` bytes."""
        words = self._huge_words(size)
        loops.make_chase(words)
        self._tell(level, "load_latency", self._chased(words))
        if level == MEMORY:
            small = aligned(size // 8, np.int64)  # on pages of 4 KB: a load may miss the TLB as well
            loops.make_chase(small)
            self._tell(f"{MEMORY}, 4 KB pages", "load_latency", self._chased(small))
        half = words.shape[0] // 2
        self._bandwidth(level, "read_bandwidth", partial(loops.read_all, words), words.nbytes)
        self._bandwidth(level, "write_bandwidth", partial(loops.write_all, words), words.nbytes)
        copied = partial(loops.copy_all, words[:half], words[half : 2 * half])
        self._bandwidth(level, "copy_bandwidth", copied, half * 8)

    def _huge_words(self, size: int) -> np.ndarray:
        """Return `size` bytes as int64, on huge pages where Linux gives them: the TLB is then out of the picture.

        Where it did not, that is told, once.
        """
        words = huge(size // CACHE_LINE_BYTES * loops.WORDS_PER_LINE, np.int64)
        if not self._refused and huge_bytes(words) < size:
            self._refused = True
            self._driver.tell(
                note=f"{REFUSED_PAGES} for a working set of {size >> 10:,} KB: loads that miss the TLB are in the "
                "latencies and bandwidths, which are then not of the caches and the memory alone"
            )
        return words

    def _chased(self, words: np.ndarray) -> list[float]:
        """Return ns per load of a chase, once every line has been seen."""
        place = loops.chase(words, 0, words.shape[0] // loops.WORDS_PER_LINE)

        def go_on(steps: int) -> None:  # from where it was: the first lines of the circle would be in the caches
            nonlocal place
            place = loops.chase(words, place, steps)

        return self._timed(go_on, least=1000)

    def _bandwidth(self, level: str, metric: str, call: Callable[[int], Any], size: int) -> None:
        self._tell(level, metric, _rates(self._timed(call), size))

    def _timed(self, call: Callable[[int], Any], least: int = 1) -> list[float]:
        """Return ns per operation of ``call(operations)``, for as many operations as fill this loop's time."""
        count, took = least, _elapsed_ns(call, least)
        while took < self._least_ns:
            count = max(2 * count, int(count * self._least_ns / max(took, 1) * 1.05))
            took = _elapsed_ns(call, count)
        return [_elapsed_ns(call, count) / count for _ in range(REPEATS)]

    def _tell(self, variant: str, metric: str, values: list[float]) -> None:
        self._done += 1
        sample = Sample(variant=variant, metric=metric, values=values)
        part = min(1.0, self._done / self._of)
        self._driver.tell(sample=sample.model_dump(), part=part, doing=f"{metric.replace('_', ' ')} of {variant}")


def _elapsed_ns(call: Callable[[int], Any], count: int) -> int:
    began = time.perf_counter_ns()
    call(count)
    return time.perf_counter_ns() - began


def _rates(costs_ns: list[float], units: int) -> list[float]:
    """Return how many units a second, from ns per operation of so many `units`."""
    return [units * 1e9 / cost for cost in costs_ns]


if __name__ == "__main__":
    serve(work)
