"""What is profiled: something that can be run again and again, and the compiled functions behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kernels.catalog import Kernel, Variant
from kernels.messages import EVENT
from workbench import workloads
from workbench.codemap import wrapped
from workbench.codemap.build import build_with_lines, is_compiled_function
from workbench.codemap.same_code import SameCode, prove
from workbench.errors import InputError
from workbench.own import PACKAGE as OWN


@dataclass
class Target:
    """A kernel's variant with its input, or a function with its arguments."""

    title: str
    function: Any  # the dispatcher, ufunc or gufunc whose code is of interest
    run: Callable[[Any], Any]  # calls the function it is given once, everything around it prepared
    prepare: Callable[[], None] = lambda: None  # before each run, outside what is counted

    def proofs(self) -> list[SameCode]:
        """Compile the function by one run, and compare its builds with and without line tables."""
        self.prepare()
        self.run(self.function)
        if isinstance(self.function, wrapped.UFUNCS):
            return wrapped.prove_all(self.function)
        return [prove(self.function, signature) for signature in self.function.signatures]

    def with_lines(self) -> Any:
        """Return the build with line tables, for all signatures that the function has."""
        if isinstance(self.function, wrapped.UFUNCS):
            return wrapped.build_again_with_lines(self.function)
        build = self.function
        for signature in self.function.signatures:
            build = build_with_lines(self.function, signature)
        return build


def target_of(subject: Any, *arguments: Any, workload: Any = None, **parameters: int) -> Target:
    """Return the target that `subject` and `arguments` name.

    A `kernels.Kernel` (or its name) takes the name of a variant, and a `workload`: an EVENT array, what
    `workbench.workloads` loaded, a path, or a workload's name; None is the default one. A function compiled by
    ``njit``, ``vectorize`` or ``guvectorize`` takes its own arguments; it is called many times with the same ones.
    Raises InputError with one sentence.
    """
    if is_compiled_function(subject) or isinstance(subject, wrapped.UFUNCS):
        if workload is not None or parameters:
            raise InputError("a compiled function takes its own arguments, no workload and no parameters")
        title = subject.__name__ if isinstance(subject, wrapped.UFUNCS) else subject.py_func.__qualname__
        return Target(title, subject, lambda function: function(*arguments))
    variant = _variant(subject, arguments)
    if variant.kernel.package == OWN:
        return _target_of_own(variant, workload, parameters)
    if not is_compiled_function(variant.replay_from):
        raise InputError(f"{variant.full_name} is not compiled by Numba: py-spy and scalene can profile it")
    return _target_of_variant(variant, _events(workload), parameters)


def _variant(subject: Any, arguments: Sequence[Any]) -> Variant:
    import kernels

    if isinstance(subject, Variant) and not arguments:
        return subject
    if isinstance(subject, str):
        if ".py:" in subject:
            from workbench.own.files import plain_name

            subject = plain_name(subject)
        name, _, variant = subject.partition("/")
        arguments = (variant, *arguments) if variant else arguments
        try:
            subject = kernels.get(name)
        except KeyError as error:
            raise InputError(str(error.args[0])) from None
    if not isinstance(subject, Kernel):
        raise InputError(f"{subject!r} is neither a kernel nor a function compiled by Numba")
    if len(arguments) != 1:
        raise InputError(f"name one variant of {subject.name}: it has {', '.join(subject.variants)}")
    try:
        return subject.variant(arguments[0])
    except KeyError as error:
        raise InputError(str(error.args[0])) from None


def own_call(variant: Variant, workload: Any, parameters: Mapping[str, int]) -> tuple[Any, tuple[Any, ...]]:
    """Return a user's function that was declared as `variant`, and the arguments that were declared for it.

    The function itself, no loop around it: every kind of profile calls it as it calls any function. Raises InputError.
    """
    from workbench.own.kernel import arguments_for
    from workbench.own.registry import find

    own = find(variant.kernel.name)
    assert own is not None
    if workload is not None:
        raise InputError(f"{own.name} is made of functions that bring their own arguments: leave the workload away")
    try:
        checked = variant.kernel.check_parameters(dict(parameters))
    except ValueError as error:
        raise InputError(str(error)) from None
    return own.variants[variant.name].function, arguments_for(own, checked)


def _target_of_own(variant: Variant, workload: Any, parameters: dict[str, int]) -> Target:
    function, arguments = own_call(variant, workload, parameters)
    if not is_compiled_function(function) and not isinstance(function, wrapped.UFUNCS):
        raise InputError(f"{variant.full_name} is not compiled by Numba: py-spy and scalene can profile it")
    return Target(variant.full_name, function, lambda build: build(*arguments))


def _events(workload: Any) -> np.ndarray:
    if workload is None:
        workload = workloads.default()
    if isinstance(workload, (str, Path)):
        workload = workloads.parse(str(workload))
    events = getattr(workload, "events", workload)
    if not isinstance(events, np.ndarray) or events.dtype != EVENT:
        raise InputError("the workload is not an array of kernels.messages.EVENT: load it with workbench.workloads")
    return events


def _parameters(kernel: Kernel, events: np.ndarray, chosen: dict[str, int]) -> dict[str, Any]:
    return {**kernel.parameters_for(events), **chosen}


def _target_of_variant(variant: Variant, events: np.ndarray, parameters: dict[str, int]) -> Target:
    kernel = variant.kernel
    try:
        instance = variant.build(**_parameters(kernel, events, parameters))
    except (ValueError, RuntimeError) as error:
        raise InputError(str(error)) from None
    prepared = kernel.prepare(events, instance.parameters)
    out = kernel.output(prepared, instance.parameters)
    variants: dict[int, Variant] = {}

    def run(function: Any) -> Any:
        if function is variant.replay_from:
            return variant.replay(instance, prepared, out)
        if id(function) not in variants:
            variants[id(function)] = replace(variant, replay_from=function)
            variants[id(function)].kernel = kernel
        return variants[id(function)].replay(instance, prepared, out)

    return Target(variant.full_name, variant.replay_from, run, instance.reset)
