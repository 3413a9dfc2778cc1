"""Which functions of a user are variants of which kernel: the decorators write it down, everything else reads it.

::

    @wb.workload("vwap")
    def ticks(size: int = 100_000, seed: int = 1):
        ...
        return prices, volumes

    @wb.variant("vwap", "baseline")
    @njit
    def vwap(prices, volumes): ...

Running a cell again replaces what it had declared. Nothing is called or compiled here.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from kernels.catalog import Parameter, register
from workbench.errors import InputError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
MOST = 2**40
SESSION = "__main__"
RESERVED = ("calls", "restore", "threads")  # parameters that every kernel of functions has, or may have


@dataclass(frozen=True)
class Declared:
    """One function: a variant of a user's kernel."""

    name: str
    function: Callable[..., Any]  # compiled by Numba, or not
    parent: str | None
    idea: str


@dataclass(frozen=True)
class Own:
    """What a user declared of one kernel so far."""

    name: str
    modules: tuple[str, ...] = ()  # where it was declared; `SESSION` is no module
    variants: dict[str, Declared] = field(default_factory=dict)
    make: Callable[..., Any] | None = None  # returns the arguments; its parameters are the kernel's
    parameters: tuple[Parameter, ...] = ()
    tolerance: float | None = 1e-9  # relative, between the variants' results; None: they are not compared


_owned: dict[str, Own] = {}


def variant(
    kernel: str, name: str, *, parent: str | None = None, idea: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that declares a function as the variant `name` of `kernel`, and returns it as it is.

    It stands above ``@njit``, so that it gets the compiled function. `parent` is the variant that it changes, by one
    `idea`: the step is then compared too. Raises InputError for a name that cannot be, or that the library has.
    """
    _check_name(kernel, "a kernel")
    _check_name(name, "a variant")
    place = _place()

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function):
            raise InputError(f"{kernel}/{name} is a {type(function).__name__}, which cannot be called: decorate a def")
        before = _before(kernel, place)
        _keep(replace(before, variants={**before.variants, name: Declared(name, function, parent, idea)}))
        return function

    return declare


def workload(kernel: str, *arguments: Any, tolerance: float | None = 1e-9) -> Any:
    """Say what the variants of `kernel` are called with: `arguments`, or what the decorated function returns.

    ``wb.workload("vwap", prices, volumes)`` gives the arguments themselves. ``@wb.workload("vwap")`` stands above a
    function that makes and returns them, as a tuple; its parameters must be whole numbers with defaults, and become
    parameters of the kernel: ``-P size=1000``. `tolerance` is relative, for the comparison of what the variants return;
    None compares nothing. Raises InputError.
    """
    _check_name(kernel, "a kernel")
    place = _place()
    if arguments:
        _keep(replace(_before(kernel, place), make=Constant(arguments), parameters=(), tolerance=tolerance))
        return None

    def declare(make: Callable[..., Any]) -> Callable[..., Any]:
        parameters = _parameters(kernel, make)
        _keep(replace(_before(kernel, place), make=make, parameters=parameters, tolerance=tolerance))
        return make

    return declare


@dataclass(frozen=True)
class Constant:
    """Makes the same arguments each time: those that were given."""

    arguments: tuple[Any, ...]

    def __call__(self) -> tuple[Any, ...]:
        """Return the arguments."""
        return self.arguments


def find(kernel: str) -> Own | None:
    """Return what was declared of `kernel`; None where it is no kernel of a user's functions."""
    return _owned.get(kernel)


def declared_in(module: str) -> list[Own]:
    """Return the kernels that the module of that name declared."""
    return [own for own in _owned.values() if module in own.modules]


@contextlib.contextmanager
def declared_anew(module: str) -> Iterator[None]:
    """Forget what the module of that name alone declared while it runs again, and remember it where it fails.

    So a variant that was taken out of a file is gone, and a file that was broken by an edit loses nothing.
    """
    before = dict(_owned)
    for own in declared_in(module):
        if own.modules == (module,):
            del _owned[own.name]
    try:
        yield
    except BaseException:
        _owned.clear()
        for own in before.values():
            _keep(own)
        raise


def restore(owned: Own) -> None:
    """Declare what another process did."""
    _keep(owned)


def _keep(own: Own) -> None:
    """Write it down and make the kernel known. Raises InputError where the library has one of that name."""
    from workbench.own.kernel import make_kernel

    try:
        register(make_kernel(own))
    except ValueError as error:
        raise InputError(str(error)) from None
    _owned[own.name] = own


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{str(name)[:60]!r} cannot be the name of {what}: take letters, digits, '_', '-' and '.', a letter first"
        )


def _place() -> str:
    """Return the module whose code called the decorator."""
    return str(sys._getframe(2).f_globals.get("__name__", SESSION))


def _before(kernel: str, place: str) -> Own:
    """Return what is known of `kernel`, as declared at `place` too."""
    known = _owned.get(kernel) or Own(kernel)
    return replace(known, modules=tuple(dict.fromkeys((*known.modules, place))))


def _parameters(kernel: str, make: Any) -> tuple[Parameter, ...]:
    """Return the kernel's parameters: those of the function that makes its arguments. Raises InputError."""
    if not callable(make):
        raise InputError(f"the workload of {kernel} is a {type(make).__name__}: decorate a function that returns it")
    found = []
    for each in inspect.signature(make).parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            continue
        if type(each.default) is not int:
            raise InputError(
                f"the workload of {kernel}: {each.name} has no whole number as its default, which a parameter of a "
                f"kernel needs: write {each.name}=1000"
            )
        if each.name in RESERVED:
            raise InputError(f"the workload of {kernel}: {each.name} is a parameter of every kernel: rename it")
        found.append(Parameter(each.name, each.default, -MOST, MOST, f"of {make.__name__}"))
    return tuple(found)
