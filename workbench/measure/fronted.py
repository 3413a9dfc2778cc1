"""A process that imports kernels from certain folders first: ``python -m workbench.measure.fronted MODULE FOLDER...``.

So one checkout's kernels are run by another checkout's workbench: `workbench` is this one, since it is imported before
the folders are put in front, and what measures is the same code for everyone who is compared.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.errors import Exit, InputError
from workbench.measure import switches
from workbench.measure.child import Driver, serve


def main() -> None:
    """Import the module with the folders in front, and serve its ``work``. What cannot be imported is told."""
    name, *folders = sys.argv[1:]
    sys.path[:0] = folders
    try:
        switches.apply()
        work = importlib.import_module(f"workbench.measure.{name}").work
        codemap = importlib.import_module("workbench.codemap")
    except Exception as error:
        reason = f"this workbench cannot use its kernels ({type(error).__name__}: {_first_line(error)})"
        Driver().tell(error=reason, code=int(Exit.FAILED))
        os._exit(Exit.FAILED)
    codemap.install()  # keeps object code, so it has to come before anything is compiled or loaded
    serve(work)


def check_origin(packages: Iterable[str], folders: Sequence[str]) -> None:
    """Raise InputError where a folder in front holds one of `packages` (imported) and another one was loaded.

    The workbench's own packages are meant to come from elsewhere.
    """
    for package in packages:
        top = package.split(".")[0]
        if top == "workbench":
            continue
        holders = [
            folder for folder in map(Path, folders) if (folder / top).is_dir() or (folder / f"{top}.py").is_file()
        ]
        origin = getattr(sys.modules[package], "__file__", None)
        if holders and origin is not None and not Path(origin).resolve().is_relative_to(holders[0].resolve()):
            raise InputError(f"{package} was loaded from {origin}, not from {holders[0]}: it is imported too early")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "without a word"


if __name__ == "__main__":
    main()
