"""Measuring from Python: `measure` gives a record, `compare` a comparison that displays itself."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import policy, record
from workbench.errors import InputError
from workbench.measure.comparison import Comparison
from workbench.measure.driver import Measurement, Request
from workbench.measure.progress import Progress, choose_progress
from workbench.measure.results import not_compared
from workbench.measure.runs import build_run, peer_pairs
from workbench.own import PACKAGE as OWN

if TYPE_CHECKING:
    from kernels import Kernel
    from workbench.own.asking import Asked


def measure(
    kernel: Kernel | str,
    variants: Sequence[str] | None = None,
    workload: Any = None,
    *,
    replicates: int = policy.REPLICATES,
    seconds: float = policy.SECONDS,
    parameters: Mapping[str, int | str] | None = None,
    progress: Progress | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    memory: bool = True,
    peers: bool = False,
) -> record.Run:
    """Measure `variants` (None: all that can run here) of `kernel`, interleaved, in fresh pinned processes.

    `kernel` may also be a user's file and what it declares, ``path/to/vwap.py:vwap``. `workload` is a name or path, a
    loaded workload, an EVENT array, or None for the default; for a kernel of a user's own functions it is a tuple of
    what they are called with, or None for what they declared. `seconds` are spent on the
    blocks, over all `replicates`; starting and compiling come on top. A user's kernel must lie in a package that can be
    imported, because it is measured in other processes. Every variant is compared with the first and with its parent,
    unless `pairs` of variants say otherwise; with `peers`, every peer that can run here is measured too, and each
    variant compared with each of them. With `memory`, each variant runs once more in a process of its own, for
    what it takes there. Returns the record; nothing is stored. Raises InputError for what cannot be measured,
    WorkbenchError when a process fails.
    """
    if isinstance(kernel, str) and ".py:" in kernel:
        from workbench.own.files import plain_name

        kernel = plain_name(kernel)
    name, modules = _identify(kernel)
    selectors = [f"{name}/{variant}" for variant in variants] if variants is not None else [name]
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        own = _own(name, variants, workload, parameters or {}, Path(folder))
        request = Request(
            selectors=selectors,
            replicates=replicates,
            seconds=seconds,
            memory=memory,
            peers=peers,
            **own.fields()
            if own
            else {
                "modules": modules,
                "paths": [path for path in sys.path if path] if modules else [],
                "parameters": dict(parameters or {}),
                **_workload(workload, Path(folder)),
            },
        )
        report = Measurement(request, choose_progress() if progress is None else progress).run()
    if peers:
        return build_run(report, peer_pairs(report.outcomes[0].chosen))
    wanted = None if pairs is None else [(f"{name}/{a}", f"{name}/{b}") for a, b in pairs]
    return build_run(report, wanted)


def compare(kernel: Kernel | str, a: str, b: str, workload: Any = None, **options: Any) -> Comparison:
    """Compare variant `b` of `kernel` with its variant `a`, interleaved. The options are those of `measure`."""
    if a == b:
        raise InputError(f"{a} is compared with itself: name two variants")
    run = measure(kernel, [a, b], workload, **{"pairs": [(a, b)], "memory": False, **options})
    first, second = run.comparisons[0].a, run.comparisons[0].b
    return Comparison(first, second, tuple(run.comparisons), tuple(not_compared(run.replicates, first, second)), run)


def _identify(kernel: Any) -> tuple[str, list[str]]:
    """Return the name of a Kernel or of what is named, and the module that another process has to import to know it."""
    if isinstance(kernel, str):
        if "kernels.catalog" not in sys.modules:
            return kernel, []
        known = sys.modules["kernels.catalog"].catalog()
        if kernel not in known:
            return kernel, []  # the process that measures will say what there is
        kernel = known[kernel]
    package = kernel.package
    if package.startswith("kernels.") or package == OWN:
        return kernel.name, []
    if package == "__main__":
        raise InputError(
            f"{kernel.name} lives in this session only: put it into a package, so that others can import it"
        )
    return kernel.name, [package]


def _own(
    name: str, variants: Sequence[str] | None, workload: Any, parameters: Mapping[str, int | str], folder: Path
) -> Asked | None:
    """Return how a kernel of a user's functions is measured; None for any other."""
    if "workbench.own.registry" not in sys.modules:
        return None
    from workbench.own.asking import ask

    return ask(name, variants, parameters, folder, workload)


def _workload(workload: Any, folder: Path) -> dict[str, Any]:
    """Return the fields of a request that name the workload; an array is written into `folder` as a recording."""
    if workload is None:
        return {}
    if isinstance(workload, str):
        return {"workload": workload}
    if isinstance(workload, Path):
        return {"input_file": str(workload)}
    from workbench.workloads import write_recording

    events, description = getattr(workload, "events", workload), getattr(workload, "workload", None)
    file = folder / "array.npy"
    write_recording(file, events)
    return {"input_file": str(file), "description": description}
