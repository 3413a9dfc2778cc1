"""The magics of IPython: ``%load_ext workbench`` adds ``%%lines`` and the rest of the registry below.

A magic is a thin adapter: it parses its line, calls the library, displays what comes back. To add one, write a function
``(shell, line, cell) -> None`` and put ``@cell_magic("name")`` on it; `run_cell_here` runs the cell as IPython would.
"""

from __future__ import annotations

import argparse
import ast
import functools
import shlex
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from workbench.errors import InputError, WorkbenchError

Magic = Callable[[Any, str, str], Any]
MAGICS: dict[str, Magic] = {}


def cell_magic(name: str) -> Callable[[Magic], Magic]:
    """Put a function into the registry as ``%%name``. What it raises as WorkbenchError becomes one sentence."""

    def keep(function: Magic) -> Magic:
        @functools.wraps(function)
        def adapter(shell: Any, line: str, cell: str) -> Any:
            try:
                return function(shell, line, cell)
            except WorkbenchError as error:
                print(f"workbench: {error}", file=sys.stderr)
                raise CellStopped from None

        MAGICS[name] = adapter
        return function

    return keep


class CellStopped(Exception):  # noqa: N818  # it is no error of its own: the sentence is already on stderr
    """Stops a cell whose magic has told what is wrong, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return []


class LineParser(argparse.ArgumentParser):
    """Parses the rest of a magic's line; a mistake is an InputError and does not end the Jupyter kernel."""

    def __init__(self, name: str, description: str):
        super().__init__(prog=f"%%{name}", description=description, add_help=False)

    def parse(self, line: str) -> argparse.Namespace:
        """Return the options in `line`."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InputError(f"{self.prog}: {error} in {line!r}") from None
        return self.parse_args(words)

    def error(self, message: str) -> NoReturn:
        """Raise InputError with the usage."""
        raise InputError(f"{message}; {self.format_usage().strip()}")


def register_all(shell: Any) -> None:
    """Add all magics to an IPython shell."""
    from workbench import codemap

    codemap.install()  # from here on all that is compiled is known, also what comes from a cache
    for name, magic in MAGICS.items():
        shell.register_magic_function(functools.partial(magic, shell), "cell", name)


def run_cell_here(shell: Any, cell: str, change: Callable[[ast.Module], ast.Module] | None = None) -> Any:
    """Run `cell` in the user's namespace and return the value of its last expression, None without one.

    Its source is known to tracebacks, to Numba and to the displays, as that of an ordinary cell. Exceptions pass.
    `change` may rewrite its syntax tree.
    """
    text = shell.transform_cell(cell)
    name = shell.compile.cache(text, shell.execution_count, raw_code=cell)
    tree = ast.parse(text, name)
    body = (change(tree) if change else tree).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    flags = shell.compile.flags
    exec(compile(ast.Module(body, []), name, "exec", flags, dont_inherit=True), shell.user_ns)
    if not isinstance(last, ast.Expr):
        return None
    value = eval(compile(ast.Expression(last.value), name, "eval", flags, dont_inherit=True), shell.user_ns)
    return None if text.rstrip().endswith(";") else value


@cell_magic("lines")
def lines(shell: Any, line: str, cell: str) -> Any:
    """Run the cell and show where its compiled functions spend their time, by source line.

    ``%%lines [--rate SAMPLES_PER_S] [--clock wall|cpu]``. The profile is also kept as ``_profile``.
    """
    from workbench.profile.attribute import profile_of
    from workbench.profile.sampler import sampling

    parser = LineParser("lines", "Time by source line.")
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    chosen = parser.parse(line)
    samples = None
    try:
        with sampling(chosen.rate, chosen.clock) as samples:
            value = run_cell_here(shell, cell)
    finally:
        if samples is not None:  # also when the cell was interrupted: what was sampled is shown
            shell.user_ns["_profile"] = profile_of(samples, "this cell")
            _display(shell.user_ns["_profile"])
    return value


@cell_magic("diagnose")
def diagnose_cell(shell: Any, line: str, cell: str) -> Any:
    """Run the cell, then say what a Numba expert would of each compiled function that it called, with measured effects.

    ``%%diagnose [--seconds S]``: how long one comparison of two builds takes. Also kept as ``_diagnoses``.
    """
    from workbench.profile.diagnosis import diagnose

    parser = LineParser("diagnose", "What costs time, by source line, and what to do about it.")
    parser.add_argument("--seconds", type=float, default=0.25)
    chosen = parser.parse(line)
    value, calls = _run_recorded(shell, cell, "diagnose")
    shell.user_ns["_diagnoses"] = found = []
    for function, arguments in calls.items():
        found.append(diagnose(function, *arguments, seconds=chosen.seconds))
        _display(found[-1])
    return value


@cell_magic("cache")
def cache_cell(shell: Any, line: str, cell: str) -> Any:
    """Run the cell, then simulate the last call of each compiled function that it called: cache misses by line.

    ``%%cache [--keep FOLDER]``: a folder for the files that KCachegrind opens. The last one is kept as ``_profile``.
    """
    from pathlib import Path

    from workbench.profile.cache import profile_cache

    parser = LineParser("cache", "Instructions and cache misses by source line, simulated.")
    parser.add_argument("--keep", type=Path, default=None)
    chosen = parser.parse(line)
    value, calls = _run_recorded(shell, cell, "cache")
    for function, arguments in calls.items():
        shell.user_ns["_profile"] = profile_cache(function, *arguments, keep=chosen.keep)
        _display(shell.user_ns["_profile"])
    return value


def _run_recorded(shell: Any, cell: str, magic: str) -> tuple[Any, dict[Any, tuple[Any, ...]]]:
    """Run the cell and return its value and the last call of each compiled function in it."""
    from workbench.profile.cell_calls import RECORDER, Calls, recorded

    calls = Calls()
    shell.user_ns[RECORDER] = calls
    try:
        value = run_cell_here(shell, cell, recorded)
    finally:
        shell.user_ns.pop(RECORDER, None)
    if not calls.last:
        raise InputError(f"%%{magic}: this cell calls no function compiled by numba.njit: call one in it")
    return value, calls.last


def _display(thing: Any) -> None:
    from IPython.display import display

    display(thing)
