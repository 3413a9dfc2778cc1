"""Inside one replicate: variants timed side by side, in order-balanced blocks of equal work.

A block runs every variant once forward and once backward (A B C C B A, the first variant rotating from block to block),
so that each has the same mean place and a drift of the machine hits all alike. A side resets its state, untimed, and is
then timed whole, without a probe. The same places are then run again with the probe compiled in, for the latencies.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from kernels._jit import compile_listener, signature_count
from kernels.catalog import Instance, Kernel, Variant
from workbench import record
from workbench.errors import WorkbenchError
from workbench.measure.histogram import HIGHEST_NS, Histogram
from workbench.measure.machine import noise_between, read_disturbance
from workbench.measure.plan import Plan, Trial, balanced_order, choose_plan


@dataclass(eq=False)
class Subject:
    """One variant that is measured: its input, and its state without and with a probe."""

    variant: Variant
    events: Any  # what `kernel.prepare` made
    out: Any
    plain: Instance
    probed: Instance | None  # None for a peer, and on a machine whose counter cannot be trusted

    @property
    def name(self) -> str:
        """Return ``kernel/variant``."""
        return self.variant.full_name


def check_input(kernel: Kernel, events: np.ndarray, parameters: Mapping[str, int]) -> tuple[dict[str, Any], Any]:
    """Return all parameters of `kernel` and the input of its ``replay``. Raises ValueError for what it refuses."""
    checked = kernel.check_parameters(parameters)
    prepared = kernel.prepare(events, checked)
    if kernel.count_operations(prepared) < 1:
        raise ValueError(f"{kernel.name}: this workload holds no operation of the kernel, nothing to measure")
    return checked, prepared


def build_subjects(
    variants: Sequence[Variant], prepared: Any, parameters: Mapping[str, Any], clock: record.Clock | None
) -> list[Subject]:
    """Build the states of `variants` for what `check_input` returned; with a probe beside, where `clock` allows one."""
    subjects = []
    for variant in variants:
        plain = variant.build(**parameters)
        probed = None
        if not variant.peer and clock is not None and clock.source == "tsc":
            probed = variant.build(instrumented=True, ns_per_tick=clock.ns_per_tick, **parameters)
        subjects.append(Subject(variant, prepared, variant.kernel.output(prepared, plain.parameters), plain, probed))
    return subjects


def make_subjects(
    kernel: Kernel, variants: Sequence[Variant], events: np.ndarray, parameters: Mapping[str, int], clock: record.Clock
) -> list[Subject]:
    """Check and build what is measured. Raises ValueError for a parameter or input that the kernel refuses."""
    checked, prepared = check_input(kernel, events, parameters)
    return build_subjects(variants, prepared, checked, clock)


def warm_up(subject: Subject, instances: Sequence[Instance | None] | None = None) -> None:
    """Compile, and replay the whole input until the state has the room that it needs: growth is never timed.

    Both builds, unless `instances` names some of the subject's.
    """
    for instance in (subject.plain, subject.probed) if instances is None else instances:
        if instance is not None:
            for _ in range(2):  # the second from the reset state, as a timed run is
                instance.reset()
                subject.variant.replay(instance, subject.events, subject.out)


def replay_once(subject: Subject, instance: Instance) -> int:
    """Reset, replay the input once, and return how long the replay took in ns. Raises WorkbenchError if it stopped."""
    instance.reset()
    reached, elapsed = subject.variant.run(instance, subject.events, subject.out)
    length = subject.variant.kernel.length(subject.events)
    if reached < length:
        raise WorkbenchError(
            f"{subject.name} stopped at input {reached} of {length} while it was timed: its state must keep its room "
            "when it is reset"
        )
    return elapsed


def shortest_call_ns(subject: Subject) -> int:
    """Return what a call that does nothing costs, in ns: the part of a timed run that is not the kernel's."""
    length = subject.variant.kernel.length(subject.events)
    return min(subject.variant.run(subject.plain, subject.events, subject.out, length)[1] for _ in range(20))


def make_plan(
    subjects: Sequence[Subject], seconds: float, least_ns: float, most_blocks: int, least_blocks: int
) -> Plan:
    """Choose repeats and blocks from one trial run of each variant: see `workbench.measure.plan`."""
    return choose_plan([try_out(subject) for subject in subjects], seconds, least_ns, most_blocks, least_blocks)


def try_out(subject: Subject) -> Trial:
    """Run `subject` once without and once with its probe, for the plan."""
    fastest, whole = replay_once(subject, subject.plain), 0.0
    for instance in (subject.plain, subject.probed):
        if instance is not None:
            begin = time.perf_counter_ns()
            replay_once(subject, instance)
            whole += 2 * (time.perf_counter_ns() - begin)  # with its reset, and forward and backward
    return Trial(fastest, whole)


def run_block(subjects: Sequence[Subject], plan: Plan, replicate: int, index: int, rotation: int) -> record.Block:
    """Time one block and return it. Raises WorkbenchError when anything was compiled meanwhile."""
    order = balanced_order(len(subjects), rotation)
    with nothing_compiles(subjects):
        timed = [time_plain(subjects[i], plan.repeats) for i in order]
        latencies = [time_probed(subjects[i], plan.repeats) for i in order]
    sides = []
    together = zip(order, timed, latencies, strict=True)
    for place, (i, (elapsed, noise), probed) in enumerate(together):
        operations = subjects[i].variant.kernel.count_operations(subjects[i].events) * plan.repeats
        sides.append(
            record.Side(
                variant=subjects[i].name,
                place=place,
                operations=operations,
                elapsed_ns=elapsed,
                noise=noise,
                **asdict(probed),
            )
        )
    return record.Block(replicate=replicate, index=index, sides=sides)


def time_plain(subject: Subject, repeats: int) -> tuple[int, record.Noise]:
    """Return how long `repeats` replays without a probe took in ns, their resets not counted, and what disturbed."""
    before = read_disturbance()
    elapsed = sum(replay_once(subject, subject.plain) for _ in range(repeats))
    return elapsed, noise_between(before, read_disturbance())


@dataclass(eq=False)
class Latencies:
    """What the runs with a probe recorded, in the fields of a `record.Side`; nothing for what has none."""

    probed_elapsed_ns: int | None = None
    histogram: str | None = None  # encoded
    stages: dict[str, str] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)


def time_probed(subject: Subject, repeats: int) -> Latencies:
    """Replay with the probe compiled in; a reset clears the probe, so its counts are added up here."""
    instance = subject.probed
    if instance is None or instance.probe is None:
        return Latencies()
    elapsed = 0
    counts = np.zeros_like(instance.probe.histogram)
    stages: dict[str, Any] = {}
    counters: dict[str, int] = {}
    for _ in range(repeats):
        elapsed += replay_once(subject, instance)
        counts += instance.probe.histogram
        for name, histogram in instance.stages().items():
            stages[name] = stages.get(name, 0) + histogram
        for name, value in instance.counters().items():
            counters[name] = counters.get(name, 0) + value
    encoded = {name: Histogram(histogram, HIGHEST_NS).encode() for name, histogram in stages.items()}
    return Latencies(elapsed, Histogram(counts, HIGHEST_NS).encode(), encoded, counters)


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python's garbage collector out of the timed part: around all blocks, since a collection takes 0.1 s."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextlib.contextmanager
def nothing_compiles(subjects: Sequence[Subject]) -> Iterator[None]:
    """Raise WorkbenchError, on leaving, when a function was compiled or a signature added inside the block."""
    compiled: list[str] = []
    dispatchers = {s.name: s.variant.replay_from for s in subjects if isinstance(s.variant.replay_from, Dispatcher)}
    before = {name: signature_count(dispatcher) for name, dispatcher in dispatchers.items()}
    with compile_listener(lambda name, seconds: compiled.append(name)):
        yield
    grown = [name for name, dispatcher in dispatchers.items() if signature_count(dispatcher) != before[name]]
    if compiled or grown:
        what = ", ".join(dict.fromkeys(compiled + grown))
        raise WorkbenchError(
            f"{what} was compiled while it was timed: its arguments changed type after the warm-up, so the times are "
            "not the kernel's"
        )


def count_allocations(subject: Subject) -> int:
    """Return how many NRT allocations one replay makes; those of the call from Python are not counted.

    A call wraps each array in an allocation of its own, so what an empty call allocates is taken off. Numba counts
    only while its statistics are on, which they never are while a kernel is timed.
    """
    if subject.variant.peer:
        return 0
    from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]
    from numba.core.runtime.nrt import rtsys

    was = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        subject.plain.reset()
        length = subject.variant.kernel.length(subject.events)
        counts = []
        for begin in (length, 0):
            before = int(rtsys.get_allocation_stats().alloc)
            subject.variant.run(subject.plain, subject.events, subject.out, begin)
            counts.append(int(rtsys.get_allocation_stats().alloc) - before)
        return max(counts[1] - counts[0], 0)
    finally:
        if not was:
            _nrt_python.memsys_disable_stats()
