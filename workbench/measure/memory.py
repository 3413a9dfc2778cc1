"""How much memory one variant takes: ``python -m workbench.measure.memory``, a fresh process for it alone.

The code comes from the cache, as in production: a process that compiles holds LLVM's working memory as well. What is
judged is the process while it handles messages, after it gave back the pages of the compiler's own code, as any process
can; see docs/decisions/0005-what-memory-is-counted.md.
"""

from __future__ import annotations

import gc
import re
import resource
from pathlib import Path
from typing import Any

import numpy as np

from kernels.machine.compiler_code import release_compiler_code
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
    before = _settled_bytes()
    variant.replay(variant.build(**parameters), events, out)  # loads the code
    loading = highest_bytes()
    _settled_bytes()
    highest_again = forget_highest()
    instance = variant.build(**parameters)
    variant.replay(instance, events, out)
    after = resident_bytes()
    peak = max(after, highest_bytes() if highest_again else 0)
    return Memory(
        peak_rss=peak,
        loading_rss=max(loading, peak),
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


def _settled_bytes() -> int:
    """Give back what this process need not hold; return what is left of it in RAM."""
    gc.collect()
    release_compiler_code()
    return resident_bytes()


def forget_highest() -> bool:
    """Let `highest_bytes` begin anew; False where Linux, or what stands in for it, does not grant that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def highest_bytes() -> int:
    """Return the most that lay in RAM of this process since `forget_highest`, or since its program was started.

    Not ``getrusage``, whose figure begins with that of the process that started this one.
    """
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def resident_bytes() -> int:
    """Return how much memory of this process lies in RAM now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def bytes_of(state: Any) -> int:
    """Return the bytes of the arrays of a state, those of states inside it included."""
    if isinstance(state, tuple):
        return sum(bytes_of(part) for part in state)
    return state.nbytes if isinstance(state, np.ndarray) else 0


if __name__ == "__main__":
    serve(work)
