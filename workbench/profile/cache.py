"""``profile(..., kind="cache")``: instructions and cache misses by line, of a variant or of a function, simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.codemap.build import is_compiled_function
from workbench.errors import InputError
from workbench.own import PACKAGE as OWN
from workbench.profile import callgrind
from workbench.profile.profile import Profile
from workbench.profile.target import _events, _variant, own_call

USERS = "__main__"


def profile_cache(
    subject: Any, *arguments: Any, workload: Any = None, keep: Path | None = None, **parameters: int
) -> Profile:
    """Return instructions, misses, unused bytes, atomics and mispredictions by line, as callgrind simulates them.

    `subject` and `arguments` are a kernel and a variant's name, with a `workload` and parameters; or a compiled
    function with its own arguments, called once. `keep` is a folder for the files that KCachegrind opens. Raises
    InputError with one sentence for what cannot be simulated, WorkbenchError when valgrind is absent or fails.
    """
    if is_compiled_function(subject):
        if workload is not None or parameters:
            raise InputError("a compiled function takes its own arguments, no workload and no parameters")
        return callgrind.profile_call(subject, *arguments, keep=keep)
    variant = _variant(subject, arguments)
    package = variant.kernel.package
    if package == OWN:
        function, own_arguments = own_call(variant, workload, parameters)
        if not is_compiled_function(function):
            raise InputError(f"{variant.full_name} is not compiled by Numba: callgrind would see the interpreter only")
        profile = callgrind.profile_call(function, *own_arguments, keep=keep)
        profile.title = variant.full_name
        return profile
    if package.split(".")[0] == USERS:
        raise InputError(f"{variant.full_name} lives in this session only: put it into a package to simulate it")
    modules = () if package.startswith("kernels.") else (package,)
    return callgrind.profile_variant(
        variant.kernel, variant.name, _events(workload), parameters, modules=modules, keep=keep
    )
