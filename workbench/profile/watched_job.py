"""What another program watches: a variant or a function with its arguments, to be called in a child process."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np

from workbench.codemap.build import is_compiled_function
from workbench.codemap.wrapped import UFUNCS
from workbench.errors import InputError
from workbench.own import PACKAGE as OWN
from workbench.profile.callgrind_job import Job, call_job
from workbench.profile.portable import Module, pack
from workbench.profile.target import _events, _parameters, _variant, own_call

USERS = "__main__"


def job_of(subject: Any, *arguments: Any, workload: Any = None, **parameters: int) -> Job:
    """Return the job of a variant, peers included, or of a function with its arguments, compiled or not.

    What can be given is what `workbench.profile.target` takes, and a Python function of a module. Raises InputError
    for what cannot be taken to another process.
    """
    if isinstance(subject, (*UFUNCS, np.ufunc)):
        raise InputError(
            f"{subject.__name__} is a ufunc, which cannot be taken to another process: watch it with the line sampler, "
            "or give a function of a module that calls it"
        )
    if is_compiled_function(subject) or isinstance(subject, FunctionType):
        if workload is not None or parameters:
            raise InputError("a function takes its own arguments, no workload and no parameters")
        return call_job(subject, *arguments) if is_compiled_function(subject) else _python_job(subject, arguments)
    variant = _variant(subject, arguments)
    package = variant.kernel.package
    if package == OWN:
        function, own_arguments = own_call(variant, workload, parameters)
        return replace(job_of(function, *own_arguments), title=variant.full_name)
    if package.split(".")[0] == USERS:
        raise InputError(f"{variant.full_name} lives in this session only: put it into a package to watch it")
    reason = variant.missing()
    if reason:
        raise InputError(f"{variant.full_name} cannot run here: {reason}")
    events = _events(workload)
    fields = {
        "kernel": variant.kernel.name,
        "variant": variant.name,
        "parameters": _parameters(variant.kernel, events, parameters),
        "modules": [] if package.startswith("kernels.") else [package],
    }
    return Job(variant.full_name, Module(), fields, {"events.npy": events})


def _python_job(function: FunctionType, arguments: tuple[Any, ...]) -> Job:
    home, name = function.__module__, function.__qualname__
    if home == USERS or getattr(importlib.import_module(home), name, None) is not function:
        raise InputError(f"{name} cannot be imported by another process: define it at the top of a module")
    arrays: dict[str, np.ndarray] = {}
    told = [pack(argument, arrays) for argument in arguments]
    files = {"arguments.json": told, "arguments.npz": arrays}
    return Job(name, Module(), {"function": [home, name], "modules": [home]}, files)
