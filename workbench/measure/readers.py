"""A writer with a reader beside it: how much slower it gets, what the reader gets, and whether that was ever torn.

For every variant that offers `read`. The writer replays a workload on one core; a thread on another core reads all
items in turn, at full speed or at a given rate, in compiled code without the GIL. Sides with and without the reader
alternate in the order A B B A, all variants in each round, so that a drift of the machine hits all alike::

    python -m workbench.measure.readers order_book/lock_free order_book/baseline --read-rate 1000000
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Instance, Variant, get
from kernels.machine import atomics
from kernels.machine.affinity import allowed_cores, pinned
from kernels.machine.atomics import RELAXED, RELEASE
from kernels.machine.cycles import read_cycles
from kernels.machine.hints import pause
from kernels.machine.memory import aligned
from workbench import record
from workbench.errors import InputError, WorkbenchError
from workbench.measure.clock import measure_clock
from workbench.measure.closed_loop import Subject, make_subjects, no_collection, warm_up
from workbench.measure.histogram import HIGHEST_NS, Histogram
from workbench.measure.timing_lock import timing_lock

STOP, READY = 0, 8  # words of `control`, each on a line of its own
READS, RETRIES, LOGGED, LOST = 16, 17, 18, 19
MOST_LOGGED = 1 << 20  # different snapshots that one side keeps; more are counted as unchecked
PATIENCE_S = 60.0


@dataclass
class Beside:
    """What was measured of one variant. Times are of the writer, in ns per operation, medians over the sides."""

    variant: str
    read_rate_per_s: float | None  # what was asked for; None: as fast as it goes
    cores: tuple[int, int]  # of the writer and of the reader; equal on a machine with one
    alone_ns: float = 0.0
    beside_ns: float = 0.0
    slow_down: float = 0.0  # median over the rounds of (time beside a reader / time alone) - 1
    latency_alone_ns: dict[str, int] = field(default_factory=dict)  # p50 and p99, instrumented
    latency_beside_ns: dict[str, int] = field(default_factory=dict)
    reads: int = 0
    reads_per_s: float = 0.0
    retries: int = 0
    torn: int = 0  # different snapshots that are no state the writer was ever in
    unchecked: int = 0  # different snapshots that there was no room to keep

    @property
    def beside_per_s(self) -> float:
        """Return the writer's operations per second beside the reader."""
        return 1e9 / self.beside_ns


def measure_beside(
    variants: Sequence[Variant],
    events: np.ndarray,
    parameters: dict[str, int],
    *,
    items: int,
    read_rate_per_s: float | None = None,
    rounds: int = 5,
    clock: record.Clock | None = None,
) -> list[Beside]:
    """Measure every variant with and without a reader of the items 0 .. `items` - 1.

    Raises InputError for a variant without `read` and for a rate that is not above 0.
    """
    if read_rate_per_s is not None and not read_rate_per_s > 0:
        raise InputError(f"a reader cannot read {read_rate_per_s} times a second: give a rate above 0")
    for variant in variants:
        if variant.read is None:
            raise InputError(f"{variant.full_name} offers nothing that another thread can read: choose another variant")
    clock = clock or measure_clock()
    cores = allowed_cores()
    chosen = (cores[0], cores[min(1, len(cores) - 1)])
    period = 0 if read_rate_per_s is None else max(round(1e9 / read_rate_per_s / clock.ns_per_tick), 1)
    kernel = variants[0].kernel
    stages = []
    for subject in make_subjects(kernel, variants, events, parameters, clock):
        warm_up(subject)
        stages.append(_Stage(subject, items, period, Beside(subject.name, read_rate_per_s, chosen)))
    with pinned(chosen[0]), no_collection():
        for _ in range(rounds):
            for stage in stages:
                stage.round()
    return [stage.result() for stage in stages]


class _Stage:
    """One variant: its reader's loop, and what its sides gave."""

    def __init__(self, subject: Subject, items: int, period: int, result: Beside):
        assert subject.variant.read is not None
        self.subject, self.items, self.period, self._result = subject, items, period, result
        fields = subject.out.dtype.names or ()
        self._possible = _rows(np.stack([subject.out[name] for name in fields], axis=1).astype(np.int64), len(fields))
        self.watch = make_watch(subject.variant.read)
        self._log = np.zeros((min(2 * len(subject.out) + items, MOST_LOGGED), len(fields)), np.int64)
        self._times: dict[bool, list[int]] = {False: [], True: []}
        self._latencies = {False: Histogram(), True: Histogram()}
        self._read_s = 0.0
        self.side(subject.plain, reader=True)  # compiles the loop

    def round(self) -> None:
        """Run alone, beside, beside, alone; then the same instrumented."""
        for reader in (False, True, True, False):
            self._times[reader].append(self.side(self.subject.plain, reader=reader, counts=True))
        probed = self.subject.probed
        if probed is None or probed.probe is None:
            return
        for reader in (False, True):
            self.side(probed, reader=reader)
            self._latencies[reader].add(Histogram(probed.probe.histogram, HIGHEST_NS))

    def side(self, instance: Instance, *, reader: bool, counts: bool = False) -> int:
        """Replay once, alone or beside a reader; return the ns that it took."""
        instance.reset()
        if not reader:
            return self._replay(instance)
        with self._reading(instance) as control:
            elapsed = self._replay(instance)
        if counts:
            result = self._result
            result.reads += int(control[READS])
            result.retries += int(control[RETRIES])
            result.unchecked += int(control[LOST])
            self._read_s += elapsed / 1e9
            seen = _rows(self._log[: int(control[LOGGED])], self._log.shape[1])
            result.torn += len(np.setdiff1d(seen, self._possible))
        return elapsed

    def _replay(self, instance: Instance) -> int:
        subject = self.subject
        replay, state, events, out, probe = (
            subject.variant.replay_from,
            instance.state,
            subject.events,
            subject.out,
            instance.probe,
        )
        begin = time.perf_counter_ns()
        reached = replay(state, events, out, 0, probe)
        elapsed = time.perf_counter_ns() - begin
        if reached < subject.variant.kernel.length(events):
            raise WorkbenchError(f"{subject.name} stopped at input {reached}: its state must keep its room at a reset")
        return elapsed

    @contextmanager
    def _reading(self, instance: Instance) -> Iterator[np.ndarray]:
        """Have a thread read inside the ``with`` block; give the control words, which hold its counts afterwards."""
        control = aligned(24, np.int64)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                with pinned(self._result.cores[1]):
                    self.watch(instance.state, self.items, self.period, control, self._log)
            except BaseException as error:  # told to the thread that waits
                failures.append(error)

        thread = threading.Thread(target=run, name=f"reader of {self.subject.name}")
        thread.start()
        try:
            limit = time.monotonic() + PATIENCE_S
            while control[READY] == 0 and thread.is_alive() and time.monotonic() < limit:
                time.sleep(0.0005)
            yield control
        finally:
            control[STOP] = 1
            thread.join()
        if failures:
            raise failures[0]

    def result(self) -> Beside:
        """Return the figures of all rounds."""
        result = self._result
        operations = self.subject.variant.kernel.count_operations(self.subject.events)
        alone, beside = self._times[False], self._times[True]
        result.alone_ns = statistics.median(alone) / operations
        result.beside_ns = statistics.median(beside) / operations
        pairs = zip(zip(alone[::2], alone[1::2], strict=True), zip(beside[::2], beside[1::2], strict=True), strict=True)
        result.slow_down = statistics.median(sum(with_one) / sum(without) for without, with_one in pairs) - 1
        result.reads_per_s = result.reads / self._read_s
        for reader, into in ((False, result.latency_alone_ns), (True, result.latency_beside_ns)):
            for name, percentile in (("p50", 50.0), ("p99", 99.0)):
                into[name] = self._latencies[reader].value_at(percentile)
        return result


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
        due = read_cycles()  # type: ignore[call-arg, var-annotated]
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

    return watch


def _rows(values: np.ndarray, width: int) -> np.ndarray:
    """Return the different rows of int64[:, width], and a row of zeros (the empty state), each as one item."""
    rows = np.concatenate([np.zeros((1, width), np.int64), values])
    return np.unique(np.ascontiguousarray(rows).view([("", np.int64)] * width).ravel())


def table(results: Sequence[Beside]) -> str:
    """Return the results as lines of text."""
    heads = ("variant", "alone", "beside", "slower", "M/s", "p50", "p99", "M reads/s", "retries", "torn", "unchecked")
    lines = [heads]
    for r in results:
        lines.append(
            (
                r.variant,
                f"{r.alone_ns:.1f} ns",
                f"{r.beside_ns:.1f} ns",
                f"{r.slow_down:+.1%}",
                f"{r.beside_per_s / 1e6:.2f}",
                f"{r.latency_beside_ns['p50']} ns",
                f"{r.latency_beside_ns['p99']} ns",
                f"{r.reads_per_s / 1e6:.2f}",
                str(r.retries),
                str(r.torn),
                str(r.unchecked),
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


@click.command(help="Measure variants with and without a reading thread beside the writer.")
@click.argument("variants", nargs=-1, required=True)
@click.option("--workload", default="default", show_default=True, help="A named workload, or a file.")
@click.option("--read-rate", type=float, help="Reads per second; without it as many as possible.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of alone, beside, beside, alone.")
def main(variants: tuple[str, ...], workload: str, read_rate: float | None, rounds: int) -> None:
    """Print one table."""
    from workbench import workloads

    chosen = []
    for name in variants:
        kernel, _, variant = name.partition("/")
        try:
            chosen.append(get(kernel).variant(variant))
        except KeyError as error:
            raise click.BadParameter(str(error.args[0])) from None
    loaded = workloads.parse(workload)
    kernel_parameters = chosen[0].kernel.parameters_for(loaded.events)
    with timing_lock("readers beside a writer", click.echo):
        results = measure_beside(
            chosen,
            loaded.events,
            kernel_parameters,
            items=loaded.symbols,
            read_rate_per_s=read_rate,
            rounds=rounds,
        )
    rate = "full speed" if read_rate is None else f"{read_rate:,.0f} reads/s"
    click.echo(f"{loaded.workload.name}, {len(loaded.events):,} events, one reader at {rate}, {rounds} rounds")
    click.echo(table(results))


if __name__ == "__main__":
    main()
