"""How much memory one variant takes: ``python -m workbench.measure.memory``, a fresh process for it alone.

The code comes from the cache, as in production: a process that compiles holds LLVM's working memory as well.
"""

from __future__ import annotations

import gc
import resource
from pathlib import Path
from typing import Any

import numpy as np

from workbench.measure.child import Driver, serve
from workbench.measure.job import Errand, Memory
from workbench.measure.preparing import Prepared


def work(text: str, driver: Driver) -> None:
    """Replay the workload once through the variant of the errand, and tell what that took."""
    errand = Errand.model_validate_json(text)
    driver.tell(doing="replay")
    driver.tell(result=measure_memory(errand).model_dump())


def measure_memory(errand: Errand) -> Memory:
    """Return what this process takes for the errand's variant; it must have run no other."""
    prepared = Prepared(errand)
    (group,) = prepared.chosen.values()
    (variant,) = group
    parameters, events = prepared.input_of(variant.kernel)
    out = variant.kernel.output(events, parameters)
    _touch(events, out)
    gc.collect()
    before = resident_bytes()
    instance = variant.build(**parameters)
    variant.replay(instance, events, out)
    after = resident_bytes()
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux brings it up to date now and then
    return Memory(
        peak_rss=max(highest, before, after),
        baseline_rss=before,
        state_rss=max(after - before, 0),
        state_arrays=None if variant.peer else bytes_of(instance.state),
    )


def _touch(events: Any, out: Any) -> None:
    """Bring a mapped input and an output of zeros into RAM, so that their pages do not count as the state's."""
    if isinstance(events, np.ndarray):
        np.ascontiguousarray(events).reshape(-1).view(np.uint8)[:: resource.getpagesize()].sum()
    if isinstance(out, np.ndarray):
        out[...] = np.zeros((), out.dtype)


def resident_bytes() -> int:
    """Return how much memory of this process lies in RAM now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def bytes_of(state: Any) -> int:
    """Return the bytes of the arrays of a state."""
    return sum(array.nbytes for array in state if isinstance(array, np.ndarray))


if __name__ == "__main__":
    serve(work)
