"""Measuring functions: looked at once in this process, then timed in fresh ones, as the variants of a kernel.

`examine` calls each function a few times and finds what would make a measurement worthless: it raises, it compiles anew
at each call, the two do different things. It also finds how many calls a replay needs to last a millisecond. `request`
then describes the measurement to the processes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from kernels._jit import compile_listener
from kernels.catalog import Kernel
from kernels.messages import EVENT
from workbench import codemap, record
from workbench.errors import InputError
from workbench.measure.alike import digest, is_alike
from workbench.measure.driver import Request
from workbench.measure.function_kernel import (
    MOST_CALLS,
    YARDSTICK,
    Plan,
    as_arguments,
    make_kernel,
    placed,
    write_plan,
)
from workbench.measure.function_name import name_function, short_name
from workbench.measure.replicate import hash_of
from workbench.workloads import write_recording

REPLAY_NS = 1_000_000  # entering a compiled loop from Python takes some 500 ns: 0.05 % of it
LEAST_REPLAY_NS, LONG_REPLAY_NS = 100_000, 20_000_000
SPIN_NS = 1_000  # what the yardstick takes at least in a call
Functions = Mapping[str, Callable[..., Any]]


@dataclass
class Examined:
    """What was learned of functions by calling them here."""

    kernel: str
    functions: Functions
    calls: int  # in one replay
    changes: bool  # whether a call changes the arguments
    call_ns: dict[str, float]  # by name: one call, roughly
    code_hash: dict[str, str]  # by name; none for what is not compiled
    workload: record.Workload  # the arguments
    notes: list[str] = field(default_factory=list)


def arguments_of(arguments: Sequence[Any], setup: Callable[[], Any] | None) -> tuple[Any, ...]:
    """Return the arguments: those given, or what `setup` returns. Raises InputError for both, or a failure."""
    if setup is None:
        return tuple(arguments)
    if arguments:
        raise InputError("arguments and setup= were both given: setup makes the arguments, so give one of them")
    if not callable(setup):
        raise InputError(f"setup is a {type(setup).__name__}, which cannot be called: give a function")
    try:
        return as_arguments(setup(), short_name(setup))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{short_name(setup)}, which makes the arguments, raised {_told(error)}") from None


def examine(kernel: str, functions: Functions, arguments: Sequence[Any], tolerance: float | None = 1e-9) -> Examined:
    """Call each function with `arguments` (copies of them), and compare what they do: results and changed arguments.

    `tolerance` is relative, for floating-point results; None: they are not compared. Raises InputError, one sentence,
    for what cannot be measured.
    """
    if any(isinstance(function, Dispatcher) for function in functions.values()):
        codemap.install()
    before, outcomes, changes, notes = _copied(arguments), {}, False, []
    for name, function in functions.items():
        if not callable(function):
            raise InputError(f"{name} is a {type(function).__name__}, which cannot be called: give a function")
        own = _copied(arguments)
        outcomes[name] = (_call(name, function, own), own)
        changed = not is_alike(own, before, 0.0)
        if changed:
            changes = True
            notes.append(
                f"{name} changes its arguments: arrays are put back before each timed run of calls, not before each "
                "call, so later calls of a run work on what the one before left"
            )
        _refuse_recompiling(name, function, own)
    if tolerance is not None:
        notes += _refuse_differences(outcomes, tolerance)
    plan = Plan(kernel=kernel, functions={}, calls=1, changes=changes)
    built = make_kernel(plan, functions, placed(_copied(arguments)))
    call_ns = {name: _time_call(built, name) for name in functions}
    return Examined(
        kernel=kernel,
        functions=functions,
        calls=_calls_for(min(call_ns.values()), max(call_ns.values())),
        changes=changes,
        call_ns=call_ns,
        code_hash={name: found for name in functions if (found := hash_of(built.variants[name]))},
        workload=describe_arguments(kernel, before),
        notes=notes,
    )


def request(
    examined: Examined,
    folder: Path,
    *,
    arguments: Sequence[Any] | None,
    setup: Callable[[], Any] | None = None,
    module: ModuleType | None = None,
    paths: Sequence[str] = (),
    replicates: int,
    seconds: float,
    settings: Mapping[str, int] | None = None,
    percentiles: bool = False,
    yardstick: bool = False,
    any_file: bool = False,
) -> Request:
    """Return the request that measures what was examined. What the processes read is written into `folder`.

    `module` is where functions are looked for that do not know their own; `settings` are ``calls`` and ``yardstick`` of
    a run that this one is to be compared with. With `any_file` the functions may come from other files than here, as
    those of another revision. Raises InputError for what cannot cross to another process.
    """
    names = {name: name_function(function, module) for name, function in examined.functions.items()}
    if any_file:
        names = {name: each.model_copy(update={"file": None}) for name, each in names.items()}
    settings = dict(settings or {})
    plan = Plan(
        kernel=examined.kernel,
        functions=names,
        calls=settings.get("calls", examined.calls),
        setup=None if setup is None else name_function(setup, module),
        changes=examined.changes,
        percentiles=percentiles,
        yardstick=settings.get("yardstick", _rounds(examined)) if yardstick else 0,
    )
    own_module = write_plan(folder, plan, arguments if setup is None else None)
    write_recording(folder / "nothing.npy", np.zeros(1, EVENT))  # a measurement has a workload; ours are the arguments
    return Request(
        selectors=[f"{examined.kernel}/{name}" for name in [*names, *([YARDSTICK] if yardstick else [])]],
        replicates=replicates,
        seconds=seconds,
        modules=[own_module],
        paths=[str(folder), *paths],
        input_file=str(folder / "nothing.npy"),
        description=examined.workload,
    )


def describe_arguments(kernel: str, arguments: Sequence[Any]) -> record.Workload:
    """Return the arguments as a record's workload: their number and their hash."""
    return record.Workload(
        name=f"arguments of {kernel}",
        content="arguments",
        events=len(arguments),
        symbols=0,
        source=None,
        sha256=digest(tuple(arguments)).hex(),
    )


def _copied(arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return copies of the arguments; what refuses to be copied, as a jitclass, stands for itself."""
    made = []
    for argument in arguments:
        try:
            made.append(argument.copy(order="K") if type(argument) is np.ndarray else copy.deepcopy(argument))
        except Exception:
            made.append(argument)
    return tuple(made)


def _call(name: str, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise InputError(f"{name} raised {_told(error)}: give arguments that it takes") from None


def _refuse_recompiling(name: str, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Raise InputError when calls go on compiling after the first two."""
    _call(name, function, arguments)
    compiled: list[str] = []
    with compile_listener(lambda told, seconds: compiled.append(told)):
        _call(name, function, arguments)
    if compiled:
        raise InputError(
            f"{name} compiles {compiled[0]} again at each call: make the compiled function once, outside of it"
        )


def _refuse_differences(outcomes: Mapping[str, Any], tolerance: float) -> list[str]:
    """Raise InputError when functions do different things. Returns notes of what could not be compared."""
    (first, one), *others = outcomes.items()
    notes = []
    for name, other in others:
        refused: list[str] = []
        for part, what in ((0, "return different results"), (1, "leave different arguments behind")):
            if not is_alike(one[part], other[part], tolerance, refused):
                raise InputError(
                    f"{first} and {name} {what} for the same arguments: mend one, or give tolerance= (relative; None "
                    "compares nothing)"
                )
        if refused:
            kinds = ", ".join(dict.fromkeys(refused))
            notes.append(f"the results of {first} and {name} cannot be compared where they hold a {kinds}")
    return notes


def _time_call(kernel: Kernel, name: str) -> float:
    """Return what one call takes in ns, from runs of more and more calls until one lasts a while."""
    variant = kernel.variants[name]
    calls = 1
    while True:
        instance = variant.build(calls=calls)
        prepared = np.zeros(calls, np.int8)
        best = float("inf")
        for attempt in range(3):
            instance.reset()
            began = time.perf_counter_ns()
            try:
                variant.run(instance, prepared, np.zeros(1, np.int64))
            except Exception as error:
                raise InputError(f"{name} raised {_told(error)}: give arguments that it takes") from None
            if attempt or calls > 1:  # the very first compiles the loop
                best = min(best, time.perf_counter_ns() - began)
            if LONG_REPLAY_NS < best < float("inf"):
                break
        if best >= REPLAY_NS / 4 or calls >= MOST_CALLS:
            return best / calls
        calls = min(calls * 8, MOST_CALLS)


def _calls_for(fastest_ns: float, slowest_ns: float) -> int:
    """Return how many calls a replay has: the fastest function's lasts `REPLAY_NS`, unless the slowest's takes long.

    A power of two, so that small differences do not change it.
    """
    wanted = REPLAY_NS / fastest_ns
    if wanted * slowest_ns > LONG_REPLAY_NS:
        wanted = max(LONG_REPLAY_NS / slowest_ns, LEAST_REPLAY_NS / fastest_ns)
    return min(1 << round(float(np.log2(max(wanted, 1.0)))), MOST_CALLS)


def _rounds(examined: Examined) -> int:
    """Return how many rounds of the yardstick take as long as a call of the function, a microsecond at least."""
    return max(round(max(*examined.call_ns.values(), SPIN_NS) / 4), 1)


def _told(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__} ({lines[0]})" if lines else type(error).__name__
