"""Profile, compare and gate Numba kernels: in JupyterLab, in nightly batches, from the command line."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = ("codemap", "measure", "profile", "workloads")
_CALLS = {
    "compare": "workbench.measure.api",
    "variant": "workbench.own.registry",
    "workload": "workbench.own.registry",
    "diagnose": "workbench.profile.diagnosis",
    "compile_time": "workbench.profile.compile_time",
}


def __getattr__(name: str) -> Any:
    """Import a room, or the module of a call, when it is first used: ``import workbench`` alone stays quick."""
    if name in _ROOMS:
        return importlib.import_module(f"workbench.{name}")
    if name in _CALLS:
        return getattr(importlib.import_module(_CALLS[name]), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to IPython: ``%load_ext workbench``."""
    from workbench.magics import register_all

    register_all(shell)
