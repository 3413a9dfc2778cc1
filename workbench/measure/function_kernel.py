"""A function as a kernel: its input is its arguments, its operation one call; what measures kernels then measures it.

What crosses to the measuring processes is a `Plan` in a folder of its own, with the arguments beside it and a module of
two lines that makes the kernel from them. Functions are named by module and name, and imported there: their code may be
another one than the caller's (another git revision), while the measuring code is always that of this workbench.

All functions of one kernel get the *same* arguments, at the same addresses: arrays begin at a cache line, and are put
back to what they were before each timed run where a call changes them. So no function is lucky with its memory.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from kernels._jit import kernel_jit
from kernels.catalog import Kernel, Parameter, Variant
from kernels.machine.memory import aligned
from workbench import record
from workbench.errors import InputError
from workbench.measure.calling import compiled_loop, python_loop
from workbench.measure.function_name import FunctionName, find_function

PLAN, ARGUMENTS = "plan.json", "arguments.pickle"
YARDSTICK = "yardstick"  # the variant that nobody changes
MOST_CALLS = 1 << 24


class Plan(record.Frozen):
    """What another process needs to know of a kernel that is made of functions."""

    kernel: str
    functions: dict[str, FunctionName]  # by the variant's name
    calls: int  # in one replay
    setup: FunctionName | None = None  # makes the arguments there; None: they lie beside the plan
    changes: bool = False  # whether a call changes the arguments
    percentiles: bool = False  # whether single calls are timed too, in a build of their own
    yardstick: int = 0  # rounds of the yardstick in one call; 0: without it


class Arguments:
    """What the functions are called with. `restore` puts the arrays back to what they were."""

    def __init__(self, values: Sequence[Any], changes: bool):
        self.values = tuple(values)
        kept = arrays_in(self.values) if changes else []
        self._kept = [(array, array.copy()) for array in kept if array.flags.writeable]

    def restore(self) -> None:
        """Undo what calls did to the arrays. What is no array cannot be put back."""
        for array, content in self._kept:
            np.copyto(array, content)


def arrays_in(value: Any) -> list[np.ndarray]:
    """Return the arrays in `value`, those in its tuples and lists included."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in arrays_in(part)] if isinstance(value, (tuple, list)) else []


def placed(value: Any) -> Any:
    """Return `value` with each plain array in it copied to the start of a cache line.

    Other layouts stay, and so do subclasses (recarray, MaskedArray, matrix, memmap): a copy would be another type.
    """
    if type(value) is np.ndarray and value.flags.c_contiguous and not value.dtype.hasobject and value.ndim:
        made = aligned(value.shape, value.dtype)
        np.copyto(made, value)
        made.flags.writeable = value.flags.writeable
        return made
    if type(value) is tuple:
        return tuple(map(placed, value))
    return value


def as_arguments(value: Any, setup: str) -> tuple[Any, ...]:
    """Return what a `setup` returned as the arguments: a tuple as it is, anything else as the only one."""
    if value is None:
        raise InputError(f"{setup} returned None: it must return the arguments, as a tuple")
    return value if type(value) is tuple else (value,)


def make_kernel(plan: Plan, functions: Mapping[str, Callable[..., Any]], arguments: Sequence[Any]) -> Kernel:
    """Return the kernel whose variants are `functions`, by name, each called with `arguments`.

    Raises InputError for a function that is called as the yardstick is: one of the two would be measured as the other.
    """
    if YARDSTICK in functions:
        raise InputError(f"{YARDSTICK} is the name of what runs beside a function: give the function another name")
    shared = Arguments(arguments, plan.changes)
    parameters = [Parameter("calls", plan.calls, 1, MOST_CALLS, "calls in one replay")]
    if plan.yardstick:
        parameters.append(Parameter("yardstick", plan.yardstick, 1, 2**40, "rounds of the yardstick in one call"))
    kernel = Kernel(
        name=plan.kernel,
        title=plan.kernel,
        card="Functions, called again and again with the same arguments.",
        operations={"call": "one call, from compiled code where the function is compiled"},
        counters={},
        invariants=(),
        parameters=tuple(parameters),
        package=__name__,
        reference=_no_reference,
        prepare=lambda events, parameters: np.zeros(parameters["calls"], np.int8),
        parameters_for=lambda events: {},
        output=lambda calls, parameters: np.zeros(1, np.int64),
        length=len,
        count_operations=len,
    )
    variants = {name: _variant(name, function, shared, plan.percentiles) for name, function in functions.items()}
    if plan.yardstick:
        variants[YARDSTICK] = Variant(
            YARDSTICK,
            None,
            "the same in every run: what the machine does to it, it did to the others",
            allocate=lambda parameters: (parameters["yardstick"],),
            reset=lambda state: None,
            replay_from=compiled_loop(_spin),  # type: ignore[arg-type]
            peer=not plan.percentiles,
        )
    for variant in variants.values():
        variant.kernel = kernel
    kernel.__dict__["variants"] = variants  # in place of those of a folder
    return kernel


def _variant(name: str, function: Callable[..., Any], arguments: Arguments, percentiles: bool) -> Variant:
    compiled = isinstance(function, Dispatcher)
    return Variant(
        name,
        None,
        "a function",
        allocate=lambda parameters: arguments.values,
        reset=lambda state: arguments.restore(),
        replay_from=compiled_loop(function) if isinstance(function, Dispatcher) else python_loop(function),
        peer=not (compiled and percentiles),  # a peer is measured without a probe
    )


def _no_reference(**parameters: Any) -> Any:
    raise NotImplementedError("a function has no reference: compare it with another one")


@kernel_jit
def _spin(rounds):  # type: ignore[no-untyped-def]
    """Multiply and shift (splitmix64) so often, each round waiting for the one before."""
    mixed = np.uint64(rounds)
    for _ in range(rounds):
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) + np.uint64(0x9E3779B97F4A7C15)
    return mixed


def write_plan(folder: Path, plan: Plan, arguments: Sequence[Any] | None) -> str:
    """Write `plan` and `arguments` into `folder`; return the module there whose KERNEL they make.

    Raises InputError for arguments that cannot cross to another process.
    """
    if arguments is not None:
        try:
            data = pickle.dumps(tuple(arguments), protocol=5)
        except Exception as error:  # an object's own code raises what it likes
            raise InputError(
                f"the arguments cannot be taken to another process ({_first_line(error)}): give setup=, a function of "
                "the module that makes and returns them"
            ) from None
        (folder / ARGUMENTS).write_bytes(data)
    (folder / PLAN).write_text(plan.model_dump_json(), encoding="utf-8")
    module = f"workbench_functions_{folder.name.replace('-', '_')}"
    text = f"from workbench.measure.function_kernel import read_plan\n\nKERNEL = read_plan({str(folder)!r})\n"
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    return module


def read_plan(folder: str) -> Kernel:
    """Return the kernel that `write_plan` described, with its functions imported. Raises InputError."""
    plan = Plan.model_validate_json((Path(folder) / PLAN).read_bytes())
    functions = {name: find_function(each) for name, each in plan.functions.items()}
    if plan.setup is not None:
        arguments = placed(as_arguments(find_function(plan.setup)(), str(plan.setup)))
    else:  # written a moment ago by the process that started this one, into a folder of its own
        try:
            arguments = placed(pickle.loads((Path(folder) / ARGUMENTS).read_bytes()))
        except Exception as error:
            raise InputError(
                f"the arguments cannot be read in another process ({_first_line(error)}): give setup=, a function of "
                "the module that makes and returns them"
            ) from None
    return make_kernel(plan, functions, arguments)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
