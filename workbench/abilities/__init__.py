"""What can be measured on this machine, what cannot, why, what is used instead, and what to install.

One function for each ability, so that the tool that needs it and `workbench doctor` say the same. Each tries what it
tells of, takes well under a second, and never raises in `examine`. What costs more is in `TRIALS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workbench.abilities.ability import Ability
from workbench.abilities.house import (
    browser,
    code_cache,
    compiler,
    dask,
    import_names,
    notebooks,
    postgres,
    real_data,
    results_store,
    try_browser,
    try_dask,
    try_notebooks,
    widgets,
)
from workbench.abilities.machine import clock, frequency, hardware_counters, huge_pages, pinning
from workbench.abilities.profilers import (
    bpftrace,
    callgrind,
    false_sharing,
    heaptrack,
    jitdump,
    line_sampler,
    massif,
    memray,
    perf,
    ptrace,
    scalene,
    strace,
    try_heaptrack,
    try_memray,
    try_scalene,
)

Check = Callable[[], Ability]

CHECKS: tuple[Check, ...] = (
    import_names,
    clock,
    pinning,
    frequency,
    huge_pages,
    line_sampler,
    callgrind,
    hardware_counters,
    perf,
    jitdump,
    false_sharing,
    ptrace,
    scalene,
    memray,
    heaptrack,
    massif,
    strace,
    bpftrace,
    compiler,
    notebooks,
    widgets,
    browser,
    code_cache,
    results_store,
    postgres,
    dask,
    real_data,
)

TRIALS: dict[Check, Check] = {
    scalene: try_scalene,
    memray: try_memray,
    heaptrack: try_heaptrack,
    notebooks: try_notebooks,
    browser: try_browser,
    dask: try_dask,
}
"""What takes seconds to try, by the check that it stands for."""


def examine(*, thoroughly: bool = False) -> Iterator[Ability]:
    """Yield every ability in the order of `CHECKS`; a check that fails itself is an ability that does not work.

    `thoroughly` also starts what takes seconds: a Jupyter kernel, a worker, a browser, scalene, memray, heaptrack.
    """
    for check in CHECKS:
        chosen = TRIALS.get(check, check) if thoroughly else check
        try:
            yield chosen()
        except Exception as error:  # a broken /proc must not hide the other answers
            yield Ability(check.__name__.replace("_", " "), False, f"could not be examined: {error}", "nothing")


__all__ = [
    "CHECKS",
    "TRIALS",
    "Ability",
    "bpftrace",
    "browser",
    "callgrind",
    "clock",
    "code_cache",
    "compiler",
    "dask",
    "examine",
    "false_sharing",
    "frequency",
    "hardware_counters",
    "heaptrack",
    "huge_pages",
    "import_names",
    "jitdump",
    "line_sampler",
    "massif",
    "memray",
    "notebooks",
    "perf",
    "pinning",
    "postgres",
    "ptrace",
    "real_data",
    "results_store",
    "scalene",
    "strace",
    "widgets",
]
