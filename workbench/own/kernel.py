"""What a user declared as a `kernels.Kernel`: one replay calls the function so many times with the same arguments.

All variants get the same arguments, at the same addresses, each array at the start of a cache line; see
`workbench.measure.function_kernel`, whose loops these are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numba
import numpy as np
from numba.core import config
from numba.core.dispatcher import Dispatcher

from kernels import crew
from kernels.catalog import Kernel, Parameter, Variant
from workbench.errors import InputError
from workbench.measure.calling import compiled_loop, python_loop
from workbench.measure.function_kernel import MOST_CALLS, Arguments, as_arguments, placed
from workbench.own import PACKAGE
from workbench.own.registry import Declared, Own

CALLS = 1000  # in one replay, where nobody has looked how long a call takes


def is_parallel(function: Any) -> bool:
    """Return whether Numba runs `function` in several threads."""
    return isinstance(function, Dispatcher) and bool(function.targetoptions.get("parallel"))


def make_kernel(own: Own) -> Kernel:
    """Return the kernel of what was declared. Nothing is called before a variant is built."""
    shared = _Shared(own)
    parallel = any(is_parallel(each.function) for each in own.variants.values())
    parameters = [
        *own.parameters,
        Parameter("calls", CALLS, 1, MOST_CALLS, "calls in one replay"),
        Parameter("restore", 1, 0, 1, "whether arrays are put back before each timed run"),
    ]
    if parallel:
        most = int(getattr(config, "NUMBA_NUM_THREADS"))  # noqa: B009  # made at run time
        parameters.append(Parameter("threads", most, 1, most, "threads of Numba's parallel loops"))
    kernel = Kernel(
        name=own.name,
        title=own.name,
        card="Functions of your own, called again and again with the same arguments.",
        operations={"call": "one call, from compiled code where the function is compiled"},
        counters={},
        invariants=(),
        parameters=tuple(parameters),
        package=PACKAGE,
        reference=_no_reference,
        prepare=lambda events, parameters: np.zeros(parameters["calls"], np.int8),
        parameters_for=lambda events: {},
        output=lambda calls, parameters: np.zeros(1, np.int64),
        length=len,
        count_operations=len,
    )
    variants = {each.name: _variant(each, shared) for each in _known_parents(own)}
    for variant in variants.values():
        variant.kernel = kernel
    kernel.__dict__["variants"] = variants  # in place of those of a folder
    return kernel


def arguments_for(own: Own, parameters: Mapping[str, int]) -> tuple[Any, ...]:
    """Return what the variants are called with. Raises InputError where there is nothing, or making it fails."""
    if own.make is None:
        raise InputError(
            f'{own.name} has nothing to be called with: say wb.workload("{own.name}", argument, ...), or put '
            f'@wb.workload("{own.name}") above a function that returns the arguments'
        )
    title = getattr(own.make, "__name__", "the workload")
    try:
        made = own.make(**{each.name: parameters.get(each.name, each.default) for each in own.parameters})
    except Exception as error:
        lines = str(error).strip().splitlines()
        told = f"{type(error).__name__}{f' ({lines[0]})' if lines else ''}"
        raise InputError(f"{title}, which makes the arguments of {own.name}, raised {told}") from None
    return as_arguments(made, title)


class _Shared:
    """The arguments of all variants: made once for each choice of parameters."""

    def __init__(self, own: Own):
        self._own = own
        self._made: tuple[tuple[int, ...], Arguments] | None = None

    def get(self, parameters: Mapping[str, int]) -> Arguments:
        """Return the arguments for `parameters`."""
        key = (parameters["restore"], *(parameters[each.name] for each in self._own.parameters))
        if self._made is None or self._made[0] != key:
            try:
                arguments = arguments_for(self._own, parameters)
            except InputError as error:  # a variant that cannot be built raises ValueError
                raise ValueError(str(error)) from None
            self._made = key, Arguments(placed(arguments), bool(parameters["restore"]))
        return self._made[1]


def _variant(declared: Declared, shared: _Shared) -> Variant:
    function = declared.function
    compiled = isinstance(function, Dispatcher)
    held: list[Arguments] = []

    def allocate(parameters: Mapping[str, int]) -> tuple[Any, ...]:
        held[:] = [shared.get(parameters)]
        if "threads" in parameters:
            _use_threads(parameters["threads"])
        return held[0].values

    return Variant(
        declared.name,
        declared.parent,
        declared.idea or "a function",
        allocate=allocate,
        reset=lambda state: held[0].restore(),
        replay_from=compiled_loop(function) if isinstance(function, Dispatcher) else python_loop(function),
        peer=not compiled,  # Python has no probe
    )


def _use_threads(number: int) -> None:
    """Let Numba's parallel loops run in so many threads, on all cores: a process that measures is pinned to one."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, crew.cores())
    numba.set_num_threads(number)


def _known_parents(own: Own) -> list[Declared]:
    """Return the variants in the order of their declaration; a parent that was never declared is none."""
    return [
        each if each.parent in own.variants and each.parent != each.name else replace(each, parent=None)
        for each in own.variants.values()
    ]


def _no_reference(**parameters: Any) -> Any:
    raise NotImplementedError("functions have no reference: they are compared with each other")
