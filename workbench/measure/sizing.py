"""What a variant's machine code is: how long it takes to compile from nothing, and how many bytes it has.

Run by `workbench.measure.fronted` with an empty cache of compiled code, so that everything is compiled here.
"""

from __future__ import annotations

from numba.core.dispatcher import Dispatcher

from kernels._jit import compile_listener
from workbench.codemap.code_hash import parts_of
from workbench.errors import InputError, WorkbenchError
from workbench.measure import closed_loop
from workbench.measure.child import Driver
from workbench.measure.job import Errand
from workbench.measure.preparing import Prepared


def work(text: str, driver: Driver) -> None:
    """Compile what the errand names; tell for how many seconds the compiler ran, and what it made."""
    errand = Errand.model_validate_json(text)
    driver.tell(doing="compile from nothing")
    prepared = Prepared(errand)
    prepared.keep(errand.selectors)
    ((subject,),) = prepared.build(None).values()
    dispatcher = subject.variant.replay_from
    if not isinstance(dispatcher, Dispatcher):
        raise InputError(f"{subject.name} is not compiled by Numba: it has no size of its own")
    spent: list[float] = []
    with compile_listener(lambda function, seconds: spent.append(seconds)):
        closed_loop.warm_up(subject, [subject.plain])
    if not dispatcher.signatures:
        raise WorkbenchError(f"{subject.name} was replayed without being compiled")
    functions = [
        each for each in parts_of(dispatcher, dispatcher.signatures[-1]) if not each.label.startswith("constant")
    ]
    size = sum(len(function.data) for function in functions)
    driver.tell(result={"seconds": sum(spent), "code_bytes": size, "functions": len(functions)})
