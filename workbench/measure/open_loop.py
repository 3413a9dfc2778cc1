"""Operations begun when they are due, however late the one before: response times without coordinated omission.

A closed loop waits for each operation before it begins the next, so a pause hides all the operations that would have
come meanwhile. Here every operation has an intended start. Its *response time* counts from there; its *service time*
from when it really began, which is what a closed loop would have reported. Both are kept, side by side (G. Tene, "How
not to measure latency", 2013; wrk2).

One operation is one call of the variant's compiled `replay` on one more item, from compiled code that spins on the
time-stamp counter. The call itself, some ns that a replay of many items pays once, is part of what is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from kernels._jit import kernel_jit
from kernels.catalog import Instance, Kernel, Variant
from kernels.machine.cycles import read_cycles
from kernels.machine.hints import pause
from kernels.machine.histogram import record as record_latency
from workbench import record
from workbench.errors import InputError, WorkbenchError
from workbench.measure.histogram import HIGHEST_NS, Histogram
from workbench.measure.schedule import rate_of

_LEAD_NS = 20_000  # between the driver's start and the first operation, so that none is late for that


@dataclass(frozen=True)
class Opened:
    """What an open loop saw of each operation, int64[n] each, in ns from the first intended start."""

    due_ns: np.ndarray
    began_ns: np.ndarray
    ended_ns: np.ndarray

    @property
    def response_ns(self) -> np.ndarray:
        """Return how long each took from its intended start."""
        response: np.ndarray = self.ended_ns - self.due_ns
        return response

    @property
    def service_ns(self) -> np.ndarray:
        """Return how long each took once it had begun."""
        service: np.ndarray = self.ended_ns - self.began_ns
        return service

    @property
    def intended_per_s(self) -> float:
        """Return the rate that was asked for."""
        return rate_of(self.due_ns)

    @property
    def achieved_per_s(self) -> float:
        """Return the rate at which operations ended."""
        return rate_of(self.ended_ns - self.ended_ns[0]) if len(self.ended_ns) else 0.0

    def histograms(self) -> tuple[Histogram, Histogram]:
        """Return the response times and the service times."""
        return _histogram(self.response_ns), _histogram(self.service_ns)

    def recovery_ns(self, after: int, within_ns: int) -> int | None:
        """Return how long after operation number `after` was due the lateness was back below `within_ns`, for good.

        None where it never came back.
        """
        late = np.flatnonzero(self.began_ns - self.due_ns > within_ns)
        late = late[late >= after]
        if not late.size:
            return 0
        if late[-1] + 1 >= len(self.due_ns):
            return None
        return int(self.began_ns[late[-1] + 1] - self.due_ns[after])


def refusal(variant: Variant) -> str | None:
    """Return why `variant` cannot run under an open loop, as one sentence, or None."""
    if not isinstance(variant.replay_from, Dispatcher):
        return f"{variant.full_name} is not compiled by Numba: its operations cannot be begun one by one"
    return None


def run_open(
    variant: Variant, instance: Instance, prepared: Any, out: Any, due_ns: np.ndarray, clock: record.Clock
) -> Opened:
    """Reset `instance` and begin operation ``i`` of `prepared` when ``due_ns[i]`` has come; return what was seen.

    The state must have its room already (a closed replay before gives it). `due_ns` is int64[n], not decreasing, n at
    most the operations of the input. Raises InputError for what cannot be run so, WorkbenchError where the state had
    no room.
    """
    reason = refusal(variant)
    kernel = variant.kernel
    if reason is None and clock.source != "tsc":
        reason = "this machine's time-stamp counter is not invariant: operations cannot be begun at a moment"
    if reason is None and len(kernel.shares(prepared, out, instance.parameters)) > 1:
        reason = f"{variant.full_name} runs in several threads: leave their number at 1 for an open loop"
    if reason is None and kernel.count_operations(prepared) != kernel.length(prepared):
        reason = f"an item of {kernel.name} is more than one operation: they cannot be begun one by one"
    if reason is None and len(due_ns) > kernel.length(prepared):
        reason = f"the input holds {kernel.length(prepared):,} operations, fewer than the {len(due_ns):,} asked for"
    if reason is not None:
        raise InputError(reason)
    drive = _driver(variant.replay_from, _until(kernel, prepared))
    due = np.round(due_ns / clock.ns_per_tick).astype(np.int64)
    began, ended = np.zeros(len(due), np.int64), np.zeros(len(due), np.int64)
    instance.reset()
    done = drive(instance.state, prepared, out, due, began, ended, round(_LEAD_NS / clock.ns_per_tick))
    if done < len(due):
        raise WorkbenchError(f"{variant.full_name} stopped at input {done}: its state must keep its room at a reset")
    scaled = [np.round(ticks * clock.ns_per_tick).astype(np.int64) for ticks in (began, ended)]
    return Opened(np.asarray(due_ns, np.int64), *scaled)


def _until(kernel: Kernel, prepared: Any) -> Any:
    """Return the compiled function that cuts an input off behind an item."""
    if kernel.until is not None:
        return kernel.until
    if isinstance(prepared, np.ndarray) and prepared.ndim == 1:
        return _array_until
    raise InputError(f"{kernel.name} does not say how its input is cut into operations (Kernel.until)")


@kernel_jit
def _array_until(items, end):  # type: ignore[no-untyped-def]
    """Return the first `end` items of an array."""
    return items[:end]


@lru_cache(maxsize=64)
def _driver(replay: Dispatcher, until: Any) -> Any:
    """Return the compiled loop around `replay`. It closes over both, so it is compiled anew in each process."""

    @kernel_jit
    def drive(state, items, out, due, began, ended, lead):  # type: ignore[no-untyped-def]
        first = read_cycles() + lead  # type: ignore[call-arg]
        for i in range(due.shape[0]):
            moment = first + due[i]
            now = read_cycles()  # type: ignore[call-arg]
            while now < moment:
                pause()
                now = read_cycles()  # type: ignore[call-arg]
            reached = replay(state, until(items, i + 1), out, i, None)
            ended[i] = read_cycles() - first  # type: ignore[call-arg]
            began[i] = now - first
            if reached <= i:
                return i
        return due.shape[0]

    return drive


@kernel_jit
def _record_all(counts, values):  # type: ignore[no-untyped-def]
    """Record every value into an HDR histogram."""
    for i in range(values.shape[0]):
        record_latency(counts, values[i])


def _histogram(values: np.ndarray) -> Histogram:
    found = Histogram(highest=HIGHEST_NS)
    _record_all(found.counts, values)
    return found
