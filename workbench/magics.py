"""The magics of IPython: ``%load_ext workbench`` adds ``%%lines`` and the rest of the registry below.

A magic is a thin adapter: it parses its line, calls the library, displays what comes back. To add one, write a function
``(shell, line, cell)`` and put ``@cell_magic("name")`` on it, or ``(shell, line)`` and ``@line_magic("name")``;
`run_cell_here` runs a cell as IPython would.
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

Magic = Callable[..., Any]
MAGICS: dict[str, Magic] = {}  # of cells
LINE_MAGICS: dict[str, Magic] = {}


def cell_magic(name: str) -> Callable[[Magic], Magic]:
    """Put a function into the registry as ``%%name``. What it raises as WorkbenchError becomes one sentence."""
    return functools.partial(_keep, MAGICS, name)


def line_magic(name: str) -> Callable[[Magic], Magic]:
    """Put a function into the registry as ``%name``; the same holds of what it raises."""
    return functools.partial(_keep, LINE_MAGICS, name)


def _keep(magics: dict[str, Magic], name: str, function: Magic) -> Magic:
    @functools.wraps(function)
    def adapter(*given: Any) -> Any:
        try:
            return function(*given)
        except WorkbenchError as error:
            print(f"workbench: {error}", file=sys.stderr)
            raise CellStopped from None

    magics[name] = adapter
    return function


class CellStopped(Exception):  # noqa: N818  # it is no error of its own: the sentence is already on stderr
    """Stops a cell whose magic has told what is wrong, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return []


class LineParser(argparse.ArgumentParser):
    """Parses the rest of a magic's line; a mistake is an InputError and does not end the Jupyter kernel."""

    def __init__(self, name: str, description: str, mark: str = "%%"):
        super().__init__(prog=f"{mark}{name}", description=description, add_help=False)

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
    for kind, magics in (("cell", MAGICS), ("line", LINE_MAGICS)):
        for name, magic in magics.items():
            shell.register_magic_function(functools.partial(magic, shell), kind, name)


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


@cell_magic("memory")
def memory_cell(shell: Any, line: str, cell: str) -> Any:
    """Run the cell, then the last call of each compiled function in it elsewhere: what allocates, what leaks, by line.

    ``%%memory [--seconds S] [--keep FOLDER]``: how long each runs unrecorded, and where memray's own files go. The last
    one is kept as ``_profile``.
    """
    from pathlib import Path

    from workbench.profile.memory import profile_memory

    parser = LineParser("memory", "Allocations, leaks and the peak by source line.")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--keep", type=Path, default=None)
    chosen = parser.parse(line)
    value, calls = _run_recorded(shell, cell, "memory")
    for function, arguments in calls.items():
        shell.user_ns["_profile"] = profile_memory(function, *arguments, seconds=chosen.seconds, keep=chosen.keep)
        _display(shell.user_ns["_profile"])
    return value


@line_magic("compare")
def compare_line(shell: Any, line: str) -> Any:
    """Compare two variants, or two functions of this session with the same arguments, in fresh processes.

    ``%compare [--seconds S] [--replicates N] [--workload NAME] order_book/baseline order_book/ladder``
    ``%compare [--seconds S] [--replicates N] f g -- values, 3``. The comparison is also kept as ``_comparison``.
    """
    from workbench import policy

    options, mark, arguments = f" {line} ".partition(" -- ")
    parser = LineParser("compare", "B against A, interleaved, with a verdict.", "%")
    parser.add_argument("--seconds", type=float, default=policy.SECONDS)
    parser.add_argument("--replicates", type=int, default=policy.REPLICATES)
    parser.add_argument("--workload", default=None)
    parser.add_argument("a")
    parser.add_argument("b")
    chosen = parser.parse(options)
    settings = {"seconds": chosen.seconds, "replicates": chosen.replicates}
    if "/" in chosen.a and "/" in chosen.b:
        if mark:
            raise InputError("variants have a workload, no arguments: leave out what follows --")
        found = _compare_variants(chosen.a, chosen.b, chosen.workload, settings)
    else:
        if chosen.workload is not None:
            raise InputError("functions have arguments, no workload: give them after --")
        functions = {name: _function(shell, name) for name in (chosen.a, chosen.b)}
        found = _compare_functions(functions, _evaluated(shell, arguments), settings)
    shell.user_ns["_comparison"] = found
    return found


def _compare_variants(a: str, b: str, workload: str | None, settings: dict[str, Any]) -> Any:
    from workbench.measure.api import compare

    (kernel, _, first), (other, _, second) = a.partition("/"), b.partition("/")
    if kernel != other:
        raise InputError(f"{a} and {b} are of two kernels, which do different work: name two variants of one")
    return compare(kernel, first, second, workload, **settings)


def _compare_functions(functions: dict[str, Any], arguments: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """Make the functions the variants of a kernel of the session, which the next comparison replaces."""
    from workbench.measure.api import compare
    from workbench.own.registry import SESSION, Constant, Declared, Own, restore

    if len(functions) < 2:
        raise InputError(f"{next(iter(functions))} is compared with itself: name two functions")
    a, b = functions
    variants = {name: Declared(name, function, None, "") for name, function in functions.items()}
    restore(Own("compared", (SESSION,), variants, Constant(arguments)))
    return compare("compared", a, b, **settings)


def _function(shell: Any, name: str) -> Any:
    if name not in shell.user_ns:
        raise InputError(f"there is no {name} here: name a function of this session, or KERNEL/VARIANT")
    return shell.user_ns[name]


def _evaluated(shell: Any, text: str) -> tuple[Any, ...]:
    """Return what `text`, expressions with commas between them, stands for in the session. Raises InputError."""
    try:
        return tuple(eval(f"({text.strip()},)" if text.strip() else "()", shell.user_ns))
    except Exception as error:  # the user's own expression raises what it likes
        raise InputError(f"the arguments {text.strip()!r} raise {type(error).__name__}: {error}") from None


@line_magic("doctor")
def doctor_line(shell: Any, line: str) -> None:
    """Say what can be measured here, what cannot, why, and what is used instead: ``%doctor [--try]``."""
    from workbench import abilities
    from workbench.commands.doctor import print_abilities

    parser = LineParser("doctor", "What can be measured on this machine.", "%")
    parser.add_argument("--try", dest="thoroughly", action="store_true")
    print_abilities(list(abilities.examine(thoroughly=parser.parse(line).thoroughly)))


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
