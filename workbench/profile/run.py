"""``workbench.profile(...)``: chooses the profiler by its kind. A further kind is one row here and one file."""

from __future__ import annotations

import importlib
from typing import Any

from workbench.errors import InputError
from workbench.profile.profile import Profile

KINDS = {
    "cpu": "workbench.profile.cpu:profile_cpu",
    "cache": "workbench.profile.cache:profile_cache",
    "memory": "workbench.profile.memory:profile_memory",
    "system": "workbench.profile.system:profile_system",
    "contention": "workbench.profile.contention:profile_contention",
}


def profile(subject: Any, *arguments: Any, kind: str = "cpu", **options: Any) -> Profile:
    """Profile a variant, ``profile("order_book", "ladder", workload=...)``, or a function, ``profile(f, x, y)``.

    `kind` says what is counted: ``cpu`` (time by line), ``cache`` (instructions and misses by line, simulated),
    ``memory`` (who allocates), ``system`` (what Linux is asked for and what it takes) or ``contention`` (what threads
    cost each other). `options` go to the profiler of that kind, whose docstring tells them: `workload`, the kernel's
    parameters, `seconds` and others. The answer displays itself in Jupyter. Raises InputError with one sentence.
    """
    if kind not in KINDS:
        raise InputError(f"there is no profile of kind {kind!r}: take one of {', '.join(KINDS)}")
    module, _, name = KINDS[kind].partition(":")
    found: Profile = getattr(importlib.import_module(module), name)(subject, *arguments, **options)
    return found
