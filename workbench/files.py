"""Where things lie, and writing that leaves the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from workbench.errors import InputError, WorkbenchError

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the folder ``notebooks`` or ``reports`` of the checkout, or its copy inside an installed wheel."""
    beside = _PACKAGE.parent / name
    return beside if (_PACKAGE.parent / "pyproject.toml").is_file() else _PACKAGE / "_shipped" / name


def cache_folder() -> Path:
    """Return where things lie that can be made again: ``$WORKBENCH_CACHE``, else ``~/.cache/kernel-workbench``.

    For a user without a home folder it is a path that nobody can write, as in `kernels._jit.cache_root`.
    """
    chosen = os.environ.get("WORKBENCH_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or (_home() or Path(os.devnull)) / ".cache"
    return Path(base) / "kernel-workbench"


def data_folder() -> Path:
    """Return where results are kept: ``$WORKBENCH_HOME``, else ``~/.local/share/kernel-workbench``.

    Raises InputError for a user without a home folder.
    """
    chosen = os.environ.get("WORKBENCH_HOME")
    if chosen:
        return Path(chosen)
    base, home = os.environ.get("XDG_DATA_HOME"), _home()
    if base:
        return Path(base) / "kernel-workbench"
    if home is None:
        raise InputError("this user has no home folder: set WORKBENCH_HOME to a folder for results")
    return home / ".local" / "share" / "kernel-workbench"


def _home() -> Path | None:
    """Return the home folder; None where HOME is relative, or not set for a user that the system does not know."""
    home = Path(os.path.expanduser("~"))  # Path.home raises where there is none, and takes a relative one
    return home if home.is_absolute() else None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a scratch file beside `path` that takes its place when the block ends well, and vanishes when it does not.

    Raises InputError when the folder cannot be written, WorkbenchError when the disk is full; `path` is then as it was.
    """
    scratch: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".writing")
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
        scratch = None
    except PermissionError as error:
        why = error.strerror
        raise InputError(f"{path} cannot be written ({why}): choose a folder that you may write to") from None
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{path} cannot be written: a part of that path is a file, not a folder") from None
    except OSError as error:
        raise WorkbenchError(f"{path} was not written ({error.strerror}): nothing that lay there was changed") from None
    finally:
        if scratch is not None:
            with contextlib.suppress(OSError):
                os.unlink(scratch)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as stream:
        stream.write(data)
