"""A user's own kernel by the name of its package, so that it can be profiled like a built-in one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from kernels.catalog import Kernel, catalog, register
from workbench.errors import InputError


def know(package: str) -> str:
    """Import the package, make its ``KERNEL`` known to this process, and return the kernel's name.

    `package` is an import name, or the path of the package's folder. Raises InputError with one sentence.
    """
    name = package
    folder = Path(package)
    if folder.is_dir():
        name = folder.resolve().name
        where = str(folder.resolve().parent)
        if where not in sys.path:
            sys.path.insert(0, where)
    elif str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise InputError(f"{package} cannot be imported: {type(error).__name__}: {error}") from None
    kernel = getattr(module, "KERNEL", None)
    if not isinstance(kernel, Kernel):
        raise InputError(f"{package} has no KERNEL: give the package whose __init__.py defines one")
    if catalog().get(kernel.name) is not kernel:
        try:
            register(kernel)
        except ValueError as error:
            raise InputError(str(error)) from None
    return str(kernel.name)
