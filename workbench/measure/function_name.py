"""Functions by name, so that another process can import them: which name a function has, and the way back."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench import record
from workbench.errors import InputError


class FunctionName(record.Frozen):
    """Where a function is found. `file` is None where the module may come from another place, as another revision."""

    module: str
    name: str  # with dots, as Class.method
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


def short_name(function: Callable[..., Any]) -> str:
    """Return what a person calls `function`."""
    python = getattr(function, "py_func", function)
    name = getattr(python, "__qualname__", None) or getattr(python, "__name__", None) or type(function).__name__
    return str(name).replace("<locals>.", "").replace("/", "_").replace("@", "_").replace(",", "_")


def name_function(function: Callable[..., Any], module: ModuleType | None = None) -> FunctionName:
    """Return the name by which another process finds `function`: in its own module, else in `module`.

    Raises InputError, with the way out, for a lambda, a closure, a local function and what a session has defined.
    """
    python = getattr(function, "py_func", function)
    home = sys.modules.get(getattr(python, "__module__", None) or "")
    for place in (home, module):
        if place is None or place.__name__ == "__main__":
            continue
        for name in (getattr(python, "__qualname__", None), getattr(python, "__name__", None)):
            if name and _get(place, name) is function:
                return FunctionName(module=place.__name__, name=name, file=_file_of(place))
        found = next((name for name, value in vars(place).items() if value is function), None)
        if found is not None:
            return FunctionName(module=place.__name__, name=found, file=_file_of(place))
    told = short_name(function)
    if "<lambda>" in told:
        told = "a lambda"
    raise InputError(
        f"{told} cannot be imported by another process: define it with def at the top of a module (arguments that it "
        "closes over become parameters)"
    )


def find_function(wanted: FunctionName) -> Any:
    """Import the function. Raises InputError when it is not there or comes from another file than it should."""
    module = _import(wanted)
    function = _get(module, wanted.name)
    if function is None:
        raise InputError(f"{wanted.module} has no {wanted.name} here: is it made only under some condition?")
    return function


def _import(wanted: FunctionName) -> ModuleType:
    """Import by name; from the very file where the name leads elsewhere or nowhere, as in pytest's importlib mode."""
    failure: Exception | None = None
    try:
        module = importlib.import_module(wanted.module)
        if wanted.file is None or _file_of(module) == wanted.file:
            return module
    except Exception as error:
        failure = error
    if wanted.file is not None and (failure is None or isinstance(failure, ModuleNotFoundError)):
        spec = importlib.util.spec_from_file_location(wanted.module, wanted.file)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            sys.modules[wanted.module] = module
            try:
                spec.loader.exec_module(module)
                return module
            except Exception as error:
                failure = error
    lines = str(failure).strip().splitlines()
    told = lines[0] if lines else type(failure).__name__
    raise InputError(
        f"{wanted.module} cannot be imported by another process ({told}): what it measures must be importable by name"
    )


def _get(module: ModuleType, dotted: str) -> Any:
    found: Any = module
    for part in dotted.split("."):
        found = getattr(found, part, None)
    return found


def _file_of(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else None
