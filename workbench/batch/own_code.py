"""The code of a person's own that a job's parameters name: a file, as ``x.py:kernel``, or a module or package.

A notebook imports what these parameters say, so a plan that came from elsewhere must not name just any file, and a job
has to be done again when that code was changed.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder, all_suffixes
from pathlib import Path
from typing import Any

MODULES = ("module", "modules")  # parameters that hold import names, or the paths of packages
_SUFFIXES = tuple(all_suffixes())  # of what Python imports: also compiled files


def named_files(parameters: Mapping[str, Any]) -> list[tuple[str, str, Path]]:
    """Return what the parameters name by its path: each parameter, what it says, and the file or folder.

    Relative paths are those of the current folder, as where the notebooks run. Nothing need exist.
    """
    found = []
    for name, value in parameters.items():
        for text in _texts(value):
            file = text.rpartition(":")[0]
            if file.endswith(_SUFFIXES):
                found.append((name, text, Path(file)))
                if file.startswith("~"):  # some notebooks expand it, others do not
                    found.append((name, text, _home(file)))
            elif name in MODULES and _is_path(text):
                found.append((name, text, Path(text)))
    return found


def own_code_hash(parameters: Mapping[str, Any]) -> str:
    """Hash the named files, and every Python file of the named modules and packages; nothing is imported.

    What these import from elsewhere does not count: only a notebook that runs knows it.
    """
    digest = hashlib.sha256()
    places = [path for _, _, path in named_files(parameters)]
    for name in MODULES:
        for text in _texts(parameters.get(name)):
            places += _found(text)
    for place in places:
        for file in _sources(place):
            digest.update(str(file).encode("utf-8", "surrogateescape") + b"\0")
            try:
                digest.update(hashlib.sha256(file.read_bytes()).digest())
            except (OSError, ValueError):  # the job tells that it is missing
                digest.update(b"-")
    return digest.hexdigest()


def _texts(value: Any) -> Iterator[str]:
    """Yield every string in a parameter's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)


def _is_path(text: str) -> bool:
    try:
        return "/" in text or text.startswith(".") or Path(text).exists()
    except (OSError, ValueError):  # too long for a path
        return False


def _home(file: str) -> Path:
    try:
        return Path(file).expanduser()
    except RuntimeError:  # nobody is called so
        return Path(file)


def _found(name: str) -> list[Path]:
    """Return where Python would find the module `name`, looked up without importing it."""
    places = [*sys.path, str(Path.cwd())]  # a notebook's process has the current folder on its path
    spec = None
    try:
        for part in name.split("."):
            spec = PathFinder.find_spec(part, places)
            if spec is None:
                return []
            places = list(spec.submodule_search_locations or [])
    except (ImportError, OSError, ValueError):
        return []
    if places:
        return [Path(place) for place in places]
    return [Path(spec.origin)] if spec is not None and spec.origin else []


def _sources(place: Path) -> list[Path]:
    try:
        return sorted(place.rglob("*.py")) if place.is_dir() else [place]
    except (OSError, ValueError):
        return [place]
