"""From what a user declared to a request that other processes understand, after one look at it in this process.

The look finds mistakes that would make a measurement worthless, and tells each in one sentence with the way out:
nothing to call the functions with, one that raises, that compiles anew at each call, variants that do different things;
and, as notes, a function that is not compiled, object mode, allocations, calls too short to be told from calling.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.np.ufunc.parallel import threading_layer

from kernels.messages import EVENT
from workbench import record
from workbench.codemap.wrapped import UFUNCS
from workbench.errors import InputError
from workbench.files import cache_folder, write_bytes
from workbench.measure.closed_loop import build_subjects, count_allocations, warm_up
from workbench.measure.functions import examine
from workbench.own.kernel import arguments_for, is_parallel, make_kernel
from workbench.own.registry import SESSION, Constant, Own, find
from workbench.own.session import importable, write_session

SHORT_NS = 5.0  # a call through a pointer takes 1 to 2 ns: below this, much of what is timed is calling


@dataclass(frozen=True)
class Asked:
    """The fields of a `workbench.measure.driver.Request` for a user's kernel, and what there is to know."""

    modules: list[str]
    paths: list[str]
    parameters: dict[str, int | str]
    input_file: str
    description: record.Workload
    notes: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """Return the request's fields."""
        names = ("modules", "paths", "parameters", "input_file", "description", "notes")
        return {name: getattr(self, name) for name in names}


def ask(
    name: str,
    variants: Sequence[str] | None,
    parameters: Mapping[str, int | str],
    folder: Path | None,
    workload: Any = None,
) -> Asked | None:
    """Return how other processes measure `variants` (None: all) of the user's kernel `name`; None for another kernel.

    `workload`, a tuple, is what they are called with in place of what was declared.

    What a session alone holds is written into `folder`, which has to outlive the measurement. Calls each function
    a few times, here. Raises InputError with one sentence.
    """
    own = find(name)
    if own is None:
        return None
    chosen = _chosen(own, variants)
    if workload is not None:
        if type(workload) is not tuple:
            raise InputError(
                f"{name} is made of functions: give what they are called with as a tuple, not {workload!r:.60}"
            )
        own = replace(own, make=Constant(workload), parameters=(), modules=(SESSION,))
    try:
        checked = make_kernel(own).check_parameters(parameters)
    except ValueError as error:
        raise InputError(str(error)) from None
    if "threads" in checked:
        numba.set_num_threads(checked["threads"])
    arguments = arguments_for(own, checked)
    functions = {each: own.variants[each].function for each in chosen}
    for each, function in functions.items():
        if isinstance(function, Dispatcher) and function.targetoptions.get("forceobj"):
            raise InputError(f"{name}/{each} is compiled in object mode, which runs at Python's speed: use @njit")
    looked = examine(name, functions, arguments, own.tolerance)
    settings: dict[str, int | str] = {**parameters}
    settings.setdefault("calls", looked.calls)
    settings.setdefault("restore", int(looked.changes))
    modules = importable(own)
    paths = [path for path in sys.path if path]
    if not modules:
        if folder is None:
            raise InputError(f"{name} lives in this session only: put it into a module, so that others can import it")
        modules, paths = [write_session(folder, own)], [str(folder), *paths]
    workload = looked.workload if not own.parameters else _described(own, checked, looked.workload)
    return Asked(
        modules,
        paths,
        settings,
        str(_no_events()),
        workload,
        [*looked.notes, *_notes(own, chosen, looked.call_ns, settings, checked)],
    )


def _chosen(own: Own, variants: Sequence[str] | None) -> list[str]:
    names = list(own.variants) if variants is None else list(variants)
    if not names:
        raise InputError(f'{own.name} has no variants: put @wb.variant("{own.name}", "baseline") above a function')
    for each in names:
        if each not in own.variants:
            raise InputError(f"{own.name} has no variant {each!r}: it has {', '.join(own.variants)}")
    return names


def _described(own: Own, checked: Mapping[str, int], arguments: record.Workload) -> record.Workload:
    """Return the description of arguments that were made, with what they were made from in the name."""
    told = ", ".join(f"{each.name}={checked[each.name]}" for each in own.parameters)
    return arguments.model_copy(update={"name": f"{getattr(own.make, '__name__', 'arguments')}({told})"})


def _no_events() -> Path:
    """Return a recording of one event, which a measurement needs; the functions' arguments are their workload."""
    path = cache_folder() / "no-events.npy"
    if not path.is_file():
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(1, EVENT))
        write_bytes(path, buffer.getvalue())
    return path


def _notes(
    own: Own,
    chosen: Sequence[str],
    call_ns: Mapping[str, float],
    settings: Mapping[str, Any],
    checked: Mapping[str, int],
) -> list[str]:
    """Return what a person should know of each function before believing its times."""
    notes = []
    kernel = make_kernel(own)
    for name in chosen:
        function, full = own.variants[name].function, f"{own.name}/{name}"
        if not isinstance(function, Dispatcher):
            if isinstance(function, (np.ufunc, *UFUNCS)):
                notes.append(f"{full} is a ufunc, called from Python: its time holds what Python takes for a call")
            else:
                notes.append(
                    f"{full} is not compiled by Numba, its time is Python's: where it should be, put @wb.variant above "
                    "@njit, not below it"
                )
            continue
        if is_parallel(function):
            notes.append(
                f"{full} runs in {checked['threads']} threads of Numba's {threading_layer()} layer, on all cores "
                "that this process may take"
            )
        if (allocations := _allocations(kernel, name, settings)) >= 1:
            notes.append(
                f"{full} allocates {allocations:,.3g} times in each call: take the output as a parameter, and see "
                "workbench profile memory"
            )
        if call_ns[name] < SHORT_NS:
            notes.append(
                f"a call of {full} takes {call_ns[name]:.1f} ns, much of it calling: give it more work in each call"
            )
    return notes


def _allocations(kernel: Any, name: str, settings: Mapping[str, Any]) -> float:
    """Return how often one call takes memory from Numba's heap."""
    calls = min(int(settings["calls"]), 100)
    parameters = kernel.check_parameters({**settings, "calls": calls})
    (subject,) = build_subjects([kernel.variants[name]], np.zeros(calls, np.int8), parameters, None)
    warm_up(subject)
    return count_allocations(subject) / calls
