"""What lives in a session only, as the functions of a notebook's cells, taken to the processes that measure.

Functions are taken by value (cloudpickle), with what they refer to, into a folder that this process made and that only
this user can write; a module of a few lines there declares them again. Numba compiles them there anew, from the same
code objects, so that file names and lines in profiles are the cell's.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from dataclasses import replace
from pathlib import Path

from workbench.errors import InputError
from workbench.own.registry import SESSION, Own, restore

FILE = "declared.pickle"


def importable(own: Own) -> list[str]:
    """Return the modules that declare `own` when they are imported; empty where a session holds some of it."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in own.modules]
    return list(own.modules) if all(files) and SESSION not in own.modules else []


def write_session(folder: Path, own: Own) -> str:
    """Write what `own` declares into `folder`; return the module there that declares it again.

    Raises InputError, with the way out, for what cannot be taken along: an open file, a lock, a jitclass's instance.
    """
    import cloudpickle

    try:
        data = cloudpickle.dumps(own, protocol=5)
    except Exception as error:  # whatever a user's objects raise
        lines = str(error).strip().splitlines()
        raise InputError(
            f"{own.name} cannot be taken to another process ({lines[0] if lines else type(error).__name__}): let a "
            "function with @wb.workload make what it is called with, or put it into a module"
        ) from None
    (folder / FILE).write_bytes(data)
    module = f"workbench_session_{hashlib.sha256(data).hexdigest()[:12]}"
    text = f"from workbench.own.session import read_session\n\nread_session({str(folder)!r}, __name__)\n"
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    return module


def read_session(folder: str, module: str) -> None:
    """Declare what `write_session` wrote, as of `module`. Raises InputError where it cannot be read here."""
    try:  # written a moment ago by the process that started this one, into a folder of its own
        own = pickle.loads((Path(folder) / FILE).read_bytes())
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise InputError(
            f"what the session declared cannot be read by another process "
            f"({lines[0] if lines else type(error).__name__}): put it into a module"
        ) from None
    restore(replace(own, modules=(module,)))
