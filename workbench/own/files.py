"""A user's file on the command line and in plans: ``path/to/vwap.py:vwap`` or ``path/to/vwap.py:vwap/fast``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from workbench.errors import InputError
from workbench.own.registry import declared_anew, declared_in

_imported: dict[str, str] = {}  # by file: a hash of what was imported
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
    """Import the file at `path`, which declares `kernel`; once more when it was edited. Raises InputError."""
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
    content = _hash_of(full)
    try:
        if known is None:
            importlib.import_module(name)
        elif _imported.get(str(full), content) != content:
            _import_again(known, full)
    except InputError:
        raise
    except SystemExit:
        raise InputError(
            f"{path} ends the program when it is imported: put what calls sys.exit under if __name__ == '__main__'"
        ) from None
    except Exception as error:  # a mistake in the user's file, told as one
        raise InputError(f"{path} fails when it is imported ({_reason(error)}): mend it, then try again") from error
    _imported[str(full)] = content
    declared = [own.name for own in declared_in(name)]
    if kernel not in declared:
        told = f"it declares {', '.join(declared)}" if declared else "it declares none"
        raise InputError(f'{path} declares no kernel {kernel}: {told}; put @wb.variant("{kernel}", "baseline") into it')


def _hash_of(path: Path) -> str:
    """Return a hash of a file's content. Raises InputError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): make it readable") from None


def _import_again(module: ModuleType, path: Path) -> None:
    """Import an edited file once more, in a session that has it. What it declares replaces what it declared."""
    # Python takes its compiled copy for fresh when the edit has the size and the second of what was there before.
    with contextlib.suppress(OSError, NotImplementedError):
        Path(importlib.util.cache_from_source(str(path))).unlink()
    importlib.invalidate_caches()
    with declared_anew(module.__name__):
        importlib.reload(module)


def _file_of(module: object) -> str | None:
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else None


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.msg} in line {error.lineno}"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
