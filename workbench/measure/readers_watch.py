"""Readers beside a writer: compiled loops in threads of their own, and whether what they saw was ever a state.

A reader reads all items in turn, at full speed or at a given rate, without the GIL, and keeps each snapshot that
differs from the last one of its item. A snapshot that is none of the states the writer passed through was torn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine.affinity import pinned
from kernels.machine.atomics import RELAXED, RELEASE
from kernels.machine.cycles import read_cycles
from kernels.machine.hints import pause
from kernels.machine.memory import aligned
from workbench.errors import WorkbenchError

STOP, READY = 0, 8  # words of `control`, each on a line of its own
READS, RETRIES, LOGGED, LOST, TICKS = 16, 17, 18, 19, 20
MOST_LOGGED = 1 << 20  # different snapshots that one side keeps; more are counted as unchecked
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Seen:
    """What the readers of one side did, added up; `per_s` is what all of them read in a second."""

    reads: int = 0
    per_s: float = 0.0
    retries: int = 0
    torn: int = 0  # different snapshots that are no state the writer was ever in
    unchecked: int = 0  # different snapshots that there was no room to keep

    def counters(self) -> dict[str, int]:
        """Return the counts for a record's side."""
        return {
            "reads": self.reads,
            "reads_per_s": round(self.per_s),
            "read_retries": self.retries,
            "torn": self.torn,
            "unchecked": self.unchecked,
        }


class Watchers:
    """The readers of one variant: `cores` has one core for each. `possible` is what `replay` wrote for each event."""

    def __init__(
        self,
        read: Callable[..., Any],
        possible: np.ndarray,
        items: int,
        cores: Sequence[int],
        period_ticks: int,
        ns_per_tick: float,
    ):
        fields = possible.dtype.names or ()
        self._width = len(fields)
        together = np.stack([possible[name] for name in fields], axis=1).astype(np.int64)
        self._possible = _rows(together, self._width)
        self._watch = make_watch(read)
        self._items, self._cores, self._period, self._ns_per_tick = items, list(cores), period_ticks, ns_per_tick
        room = min(2 * len(possible) + items, MOST_LOGGED)
        self._logs = [np.zeros((room, self._width), np.int64) for _ in cores]

    @contextmanager
    def reading(self, state: Any) -> Iterator[list[Seen]]:
        """Have the threads read `state` inside the block; the list then holds what they saw; all are at work.

        Raises WorkbenchError when a reader does not begin or fails.
        """
        controls = [aligned(24, np.int64) for _ in self._cores]
        failures: list[BaseException] = []
        seen: list[Seen] = []

        def run(place: int) -> None:
            try:
                with pinned(self._cores[place]):
                    self._watch(state, self._items, self._period, controls[place], self._logs[place])
            except BaseException as error:  # told to the thread that waits
                failures.append(error)

        threads = [threading.Thread(target=run, args=(place,)) for place in range(len(controls))]
        for thread in threads:
            thread.start()
        try:
            self._wait(controls, threads, failures)
            yield seen
        finally:
            for control in controls:
                control[STOP] = 1
            for thread in threads:
                thread.join()
        if failures:
            raise WorkbenchError(f"a reader failed: {failures[0]}") from failures[0]
        seen += [self._seen(control, log) for control, log in zip(controls, self._logs, strict=True)]

    def _wait(self, controls: list[np.ndarray], threads: list[threading.Thread], failures: list[BaseException]) -> None:
        limit = time.monotonic() + PATIENCE_S
        while not failures and any(control[READY] == 0 for control in controls):
            if time.monotonic() > limit:
                raise WorkbenchError(f"a reader did not begin within {PATIENCE_S:.0f} s: is its core taken?")
            time.sleep(0.0002)

    def _seen(self, control: np.ndarray, log: np.ndarray) -> Seen:
        elapsed_s = max(int(control[TICKS]), 1) * self._ns_per_tick / 1e9
        kept = _rows(log[: int(control[LOGGED])], self._width)
        return Seen(
            reads=int(control[READS]),
            per_s=int(control[READS]) / elapsed_s,
            retries=int(control[RETRIES]),
            torn=len(np.setdiff1d(kept, self._possible)),
            unchecked=int(control[LOST]),
        )


def added(seen: Sequence[Seen]) -> Seen:
    """Return the counts of several readers of one side as one."""
    return Seen(
        reads=sum(each.reads for each in seen),
        per_s=sum(each.per_s for each in seen),
        retries=sum(each.retries for each in seen),
        torn=sum(each.torn for each in seen),
        unchecked=sum(each.unchecked for each in seen),
    )


def make_watch(read: Callable[..., Any]) -> Any:
    """Return the compiled loop ``watch(state, items, period, control, log)`` of a reader.

    It reads the items in turn until ``control[STOP]``, one every `period` ticks (0: as fast as it goes), and keeps each
    snapshot that differs from the last one of its item in `log`, int64[:, width].
    """

    @kernel_jit
    def watch(state, items, period, control, log):  # type: ignore[no-untyped-def]
        width = log.shape[1]
        last = np.zeros((items, width), np.int64)
        reads, retries, logged, lost, item = 0, 0, 0, 0, 0
        began = read_cycles()  # type: ignore[call-arg, var-annotated]
        due = began
        while atomics.load(control, STOP, RELAXED) == 0:  # type: ignore[call-arg]  # RELAXED: seen soon is enough
            if period > 0:
                if read_cycles() < due:  # type: ignore[call-arg]
                    pause()  # type: ignore[call-arg]
                    continue
                due += period
            snapshot = read(state, item)
            different = False
            for i in range(width):
                different |= snapshot[i] != last[item, i]
                last[item, i] = snapshot[i]
            if different:
                if logged < log.shape[0]:
                    log[logged] = last[item]
                    logged += 1
                else:
                    lost += 1
            retries += snapshot[width]
            reads += 1
            item = item + 1 if item + 1 < items else 0
            if reads == 1:
                atomics.store(control, READY, 1, RELEASE)  # type: ignore[call-arg]  # RELEASE: the reader is at work
        control[READS], control[RETRIES], control[LOGGED], control[LOST] = reads, retries, logged, lost
        control[TICKS] = read_cycles() - began  # type: ignore[call-arg]

    return watch


def _rows(values: np.ndarray, width: int) -> np.ndarray:
    """Return the different rows of int64[:, width], and a row of zeros (the empty state), each as one item."""
    rows = np.concatenate([np.zeros((1, width), np.int64), values])
    return np.unique(np.ascontiguousarray(rows).view([("", np.int64)] * width).ravel())
