"""What is simulated: a module with the function and the harness around it, its arguments as files.

The harness calls the function twice between client requests in compiled code: once to warm the simulated caches, and,
its arguments put back as they were, once counted.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels._jit import source_hash
from workbench.errors import InputError
from workbench.profile.portable import Module, pack, write_function

HARNESS = """

@_kernel_jit
def _put_back(live, saved):
    for i in range(live.shape[0]):
        live[i] = saved[i]


@_kernel_jit
def harness(name, live, saved, {arguments}):
    _start_instrumentation()
    _call_apart({target}, {arguments})
    for k in range(len(live)):
        _put_back(live[k], saved[k])
    _toggle_collect()
    _call_apart({target}, {arguments})
    _toggle_collect()
    _dump_at(name)
    _stop_instrumentation()


plain = {target}
"""

IMPORTS = """import numpy as _numpy
from kernels._jit import kernel_jit as _kernel_jit
from kernels.machine.valgrind import dump_at as _dump_at
from kernels.machine.valgrind import start_instrumentation as _start_instrumentation
from kernels.machine.valgrind import stop_instrumentation as _stop_instrumentation
from kernels.machine.valgrind import toggle_collect as _toggle_collect
from workbench.profile.call_apart import call_apart as _call_apart"""


@dataclass
class Job:
    """One simulated call."""

    title: str
    module: Module
    fields: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)  # file name: what the child reads


def variant_job(
    kernel: Any,
    variant: str,
    events: np.ndarray,
    parameters: Mapping[str, int] | None = None,
    *,
    modules: tuple[str, ...] = (),
) -> Job:
    """Return the job of one replay of `events` (kernels.messages.EVENT) by a variant of `kernel` (a `kernels.Kernel`).

    Raises InputError for what cannot be profiled.
    """
    chosen = kernel.variant(variant)
    if chosen.peer or not hasattr(chosen.replay_from, "py_func"):
        whose = "is a peer's code" if chosen.peer else "is not compiled by Numba"
        raise InputError(f"{chosen.full_name} {whose}: callgrind profiles compiled Numba functions only")
    module = Module(IMPORTS.splitlines())
    digest = source_hash(chosen.replay_from.py_func.__code__.co_filename)
    module.lines += [
        f"from {_module_of(chosen)} import VARIANT as _VARIANT  # source {digest[:16]}",
        "_target = _VARIANT.replay_from",
    ]
    fields = {
        "kernel": kernel.name,
        "variant": variant,
        "parameters": {**kernel.parameters_for(events), **(parameters or {})},
        "modules": list(modules),
    }
    _finish(module, "_target", ["state", "events", "out", "begin", "probe"])
    return Job(chosen.full_name, module, fields, {"events.npy": events})


def call_job(function: Any, *arguments: Any) -> Job:
    """Return the job of one call of a compiled function with these arguments; both may live in a notebook.

    Raises InputError when the function or an argument cannot be taken to another process.
    """
    if not hasattr(function, "py_func") or not hasattr(function, "targetoptions"):
        raise InputError(f"a function compiled with numba.njit can be profiled, not a {type(function).__name__}")
    name = function.py_func.__name__
    module = Module(IMPORTS.splitlines())
    write_function(module, function, name)
    arrays: dict[str, np.ndarray] = {}
    told = [pack(argument, arrays) for argument in arguments]
    _finish(module, name, [f"a{index}" for index in range(len(arguments))])
    files: dict[str, Any] = {"arguments.json": told, "arguments.npz": arrays}
    if module.arrays:
        files["constants.npz"] = module.arrays
    return Job(name, module, {"modules": []}, files)


def _module_of(variant: Any) -> str:
    """Return the module that holds the variant, by its kernel's package: the folder has one file for each."""
    package = importlib.import_module(variant.kernel.package)
    for info in pkgutil.iter_modules(package.__path__):
        module = sys.modules.get(f"{variant.kernel.package}.{info.name}")
        if module is not None and getattr(module, "VARIANT", None) is variant:
            return module.__name__
    raise InputError(f"{variant.full_name} lies in no module that another process can import")


def _finish(module: Module, target: str, arguments: list[str]) -> None:
    module.lines += HARNESS.format(target=target, arguments=", ".join(arguments)).splitlines()
