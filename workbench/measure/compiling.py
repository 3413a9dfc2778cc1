"""One build of one variant compiled into the code cache: ``python -m workbench.measure.compiling``.

LLVM takes seconds for a variant, and Numba's compiler runs one function at a time in a process. So what the cache lacks
is compiled by several processes at once, before anything is timed; the replicates then load it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numba.core.dispatcher import Dispatcher

from kernels._jit import compile_listener, lacks_code
from kernels.catalog import Instance
from workbench import record
from workbench.errors import WorkbenchError
from workbench.measure import closed_loop
from workbench.measure.child import Driver, serve
from workbench.measure.closed_loop import Subject
from workbench.measure.job import TOGETHER, Errand
from workbench.measure.preparing import Prepared
from workbench.measure.shards import ShardedInstance

_ANY_CLOCK = record.Clock(source="tsc", ns_per_tick=1.0, cost_ns=0.0, step_ns=1.0, invariant=True)  # times nothing


def uncompiled(subjects: Mapping[str, Sequence[Subject]]) -> list[tuple[str, bool]]:
    """Return what a warm-up would have to compile: the full names of variants, each with whether it is with a probe."""
    found = []
    for subject in (subject for group in subjects.values() for subject in group):
        replay = subject.variant.replay_from
        if not isinstance(replay, Dispatcher) or subject.name.endswith(
            TOGETHER
        ):  # the same code as one after the other
            continue
        for instance in (subject.plain, subject.probed):
            if instance is not None and lacks_code(replay, *_arguments(subject, instance)):
                found.append((subject.name, instance is subject.probed))
    return found


def _arguments(subject: Subject, instance: Instance) -> tuple[Any, ...]:
    """Return what the compiled function is called with; for shards, what it is called with for the first."""
    if isinstance(instance, ShardedInstance):
        return instance.shards[0].state, subject.events[0], subject.out[0], 0, instance.probe
    return instance.state, subject.events, subject.out, 0, instance.probe


def work(text: str, driver: Driver) -> None:
    """Compile what the errand names, and tell for how many seconds the compiler ran."""
    errand = Errand.model_validate_json(text)
    name = errand.selectors[0]
    driver.tell(doing="compile")
    prepared = Prepared(errand)
    prepared.keep([name])
    ((subject,),) = prepared.build(_ANY_CLOCK if errand.instrumented else None).values()
    spent: list[float] = []
    with compile_listener(lambda function, seconds: spent.append(seconds)):
        try:
            closed_loop.warm_up(subject, [subject.probed if errand.instrumented else subject.plain])
        except Exception as error:
            lines = str(error).strip().splitlines()
            reason = lines[0] if lines else type(error).__name__
            raise WorkbenchError(f"{name} could not be compiled: {reason}") from error
    driver.tell(result=sum(spent))


if __name__ == "__main__":
    serve(work)
