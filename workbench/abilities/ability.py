"""What an ability is, and how one is found out: by looking for a program or a package, and by trying it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 5.0
"""A trial that takes longer has failed. Each takes 0.01 to 0.4 s here; a busy machine may take some times that."""


@dataclass(frozen=True)
class Ability:
    """Whether something works here. `reason` says why (or why not); `fallback` and `remedy` are empty when it does."""

    name: str
    works: bool
    reason: str
    fallback: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


def program(name: str, file: str, fallback: str, package: str | None = None) -> Ability:
    """Return whether the program `file` is on the PATH; `package` is what Debian calls its package."""
    found = shutil.which(file)
    if found:
        return Ability(name, True, f"{file} is at {found}")
    return Ability(
        name, False, f"{file} is not on this machine", fallback, f"apt-get install {package or file} (Debian)"
    )


def tool(file: str) -> str:
    """Return the path of a program on the PATH, or beside Python, where pip puts it; empty where it is in neither."""
    return shutil.which(file) or shutil.which(file, path=str(Path(sys.executable).parent)) or ""


def tried(command: Sequence[str], *, patience_s: float = PATIENCE_S, folder: str | None = None) -> str:
    """Run `command` in `folder`; return an empty text when it ends well, else the last that it said, as one clause."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        return f"it does not start ({error.strerror})"
    try:
        told, _ = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        return f"it did not end within {patience_s:g} s"
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return said(told.decode(errors="replace")) or f"status {process.returncode}" if process.returncode else ""


def said(text: str) -> str:
    """Return the last line of what a program wrote that is no empty one, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:160].rstrip(".") if lines else ""


def imported(*packages: str) -> str:
    """Return which of `packages` cannot be found, as a clause; empty where all are there."""
    absent = [package for package in packages if not _found(package)]
    return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed" if absent else ""


def _found(package: str) -> bool:
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.find_spec(package) is not None
    return False


def read(path: str) -> str:
    """Return what a file of /proc or /sys says; empty where there is none."""
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return ""
