"""A user's file on the command line and in plans: ``path/to/vwap.py:vwap`` or ``path/to/vwap.py:vwap/fast``."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from workbench.errors import InputError
from workbench.own.registry import declared_in

_SELECTOR = re.compile(r"(?P<file>.+\.py):(?P<kernel>[^/:]+)(?P<variant>/[^/:]+)?")


def plain_name(text: str) -> str:
    """Return ``kernel`` or ``kernel/variant``: as `text` says, after importing the file that it names, if it does.

    The file's folder comes first on the path of imports, as when Python runs it. Raises InputError, one sentence.
    """
    match = _SELECTOR.fullmatch(text)
    if match is None:
        return text
    load_file(Path(match["file"]), match["kernel"])
    return match["kernel"] + (match["variant"] or "")


def load_file(path: Path, kernel: str) -> None:
    """Import the file at `path`, which declares `kernel`. Raises InputError."""
    if not path.is_file():
        raise InputError(f"there is no file {path}: give the path of a Python file, as strategies/vwap.py:vwap")
    full = path.resolve()
    name = full.stem
    if not name.isidentifier():
        raise InputError(f"{path} cannot be imported: rename it to letters, digits and '_', without a digit first")
    known = sys.modules.get(name)
    if known is not None and _file_of(known) != str(full):
        raise InputError(
            f"{path} cannot be imported, as {_file_of(known) or 'a built-in module'} is called {name} too: rename it"
        )
    folder = str(full.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        importlib.import_module(name)
    except InputError:
        raise
    except Exception as error:  # a mistake in the user's file, told as one
        raise InputError(f"{path} fails when it is imported ({_reason(error)}): mend it, then try again") from error
    declared = [own.name for own in declared_in(name)]
    if kernel not in declared:
        told = f"it declares {', '.join(declared)}" if declared else "it declares none"
        raise InputError(f'{path} declares no kernel {kernel}: {told}; put @wb.variant("{kernel}", "baseline") into it')


def _file_of(module: object) -> str | None:
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else None


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.msg} in line {error.lineno}"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
