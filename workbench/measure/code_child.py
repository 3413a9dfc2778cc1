"""The machine code of variants in one arm, and the states that it works on: compiled and hashed, nothing is timed.

Run by `workbench.measure.fronted`. First it tells what each variant's source is, so that what has the same source in
all arms need not be compiled; then it compiles what it is asked for.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from kernels._jit import _imported_files
from kernels.catalog import Variant, catalog, get
from kernels.instance import _arrays
from kernels.machine.memory import CACHE_LINE_BYTES
from workbench.codemap.addresses import readable_name
from workbench.codemap.code_hash import Part, hash_of_parts, parts_of
from workbench.errors import InputError, WorkbenchError
from workbench.measure.child import Driver
from workbench.measure.closed_loop import Subject
from workbench.measure.fronted import check_origin
from workbench.measure.preparing import Prepared, RefusedError, find_variants, import_modules
from workbench.measure.turns_job import EVERYTHING, Code, TurnsJob


def work(text: str, driver: Driver) -> None:
    """Answer with the sources of all variants; then with the code of those that are asked for."""
    job = TurnsJob.model_validate_json(text)
    driver.tell(doing="find variants")
    everything = job.selectors == [EVERYTHING]
    if everything:
        job = job.model_copy(update={"selectors": _all_kernels(job)})
    chosen, notes = find_variants(job)
    check_origin([kernel.package for kernel in chosen], job.front)
    own = [variant for group in chosen.values() for variant in group if not variant.peer]
    driver.tell(
        answer={"sources": {each.full_name: source_of(each) for each in own}, "notes": [] if everything else notes}
    )
    names = json.loads(driver.line())["names"]
    driver.tell(answer={name: code.model_dump() for name, code in _codes(job, names, driver).items()})


def _all_kernels(job: TurnsJob) -> list[str]:
    """Return the names of the kernels in the job's modules; without modules, of all built-in ones."""
    import_modules(job)
    wanted = [kernel for kernel in catalog().values() if not job.modules or kernel.package in job.modules]
    return [kernel.name for kernel in wanted if job.modules or kernel.package.startswith("kernels.")]


def source_of(variant: Variant) -> str:
    """Return a hash of all source that decides how fast a built-in `variant` is; empty for a user's, or without a file.

    That is the source of its code, of its state, and of its kernel's parameters and input. It follows the import
    statements, of which built-in kernels use the absolute form only.
    """
    kernel = variant.kernel
    if not kernel.package.startswith("kernels.") or not isinstance(variant.replay_from, Dispatcher):
        return ""
    file = Path(variant.replay_from.py_func.__code__.co_filename)
    root = next(parent for parent in file.parents if parent.name == "kernels").parent
    others = (variant.allocate, variant.reset, kernel.parameters_for, kernel.prepare, kernel.output)
    files = {file, *(own for each in others if (own := _file_of(each)) and own.is_relative_to(root))}
    defaults = [(parameter.name, parameter.default) for parameter in kernel.parameters]
    digest = hashlib.sha256(repr(defaults).encode())
    for path in sorted(set().union(*map(_with_imports, files))):
        digest.update(repr((str(path.relative_to(root)), path.read_bytes())).encode())
    return digest.hexdigest()


@functools.cache  # variants share files, and each is parsed with all that it imports
def _with_imports(file: Path) -> set[Path]:
    return _imported_files(file)


def _file_of(function: Any) -> Path | None:
    """Return the file that `function`, compiled or not, is written in; None for what is no function of Python's."""
    code = getattr(getattr(function, "py_func", function), "__code__", None)
    return Path(code.co_filename) if code is not None else None


def _codes(job: TurnsJob, names: list[str], driver: Driver) -> dict[str, Code]:
    """Compile `names`, kernel by kernel; one by one where some cannot be built, so that the others are not lost."""
    found: dict[str, Code] = {}
    for kernel in dict.fromkeys(name.split("/")[0] for name in names):
        own = [name for name in names if name.split("/")[0] == kernel]
        known = {parameter.name for parameter in get(kernel).parameters}
        parameters = {name: value for name, value in job.parameters.items() if name in known}
        driver.tell(doing=f"prepare {kernel}")
        try:
            prepared = Prepared(job.model_copy(update={"selectors": own, "parameters": parameters}))
            subjects = [subject for group in prepared.build(None).values() for subject in group]
        except InputError as error:
            if len(own) == 1:
                found[own[0]] = Code(failure=str(error), unfit=isinstance(error, RefusedError))
            else:
                for name in own:
                    found |= _codes(job, [name], driver)
            continue
        for subject in subjects:
            driver.tell(doing=f"compile {subject.name}")
            found[subject.name] = _code(subject)
    return found


def _code(subject: Subject) -> Code:
    replay = subject.variant.replay_from
    if not isinstance(replay, Dispatcher):
        return Code(failure="it is not compiled by Numba", unfit=True)
    arguments = (subject.plain.state, subject.events, subject.out, 0, None)
    signature = tuple(replay.typeof_pyval(argument) for argument in arguments)
    try:
        replay.compile(signature)
        parts = parts_of(replay, signature)
    except WorkbenchError as error:
        return Code(failure=str(error))
    except Exception as error:  # the compiler's errors have no common class
        lines = str(error).strip().splitlines()
        return Code(failure=f"it does not compile: {lines[0] if lines else type(error).__name__}")
    return Code(hash=hash_of_parts(parts), functions=_functions(parts), state=_state(subject))


def _state(subject: Subject) -> str:
    """Return a hash of the parameters, and of the arrays of the state: their shapes, types and places."""
    arrays = [(array.shape, array.strides, str(array.dtype), place_of(array)) for array in _arrays(subject.plain.state)]
    return hashlib.sha256(repr((sorted(subject.plain.parameters.items()), arrays)).encode()).hexdigest()


def place_of(array: np.ndarray) -> Sequence[int]:
    """Return what is meant of where `array` lies: the bytes of the memory it was cut from, and its place in a line.

    Nothing for an array that fills its memory: that lies where the allocator happened to put it, elsewhere in the next
    process. One cut out of such memory without being aligned may look moved; it is then timed for nothing.
    """
    whole = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    if whole.nbytes == array.nbytes:
        return ()
    return whole.nbytes, array.ctypes.data % CACHE_LINE_BYTES


def _functions(parts: list[Part]) -> dict[str, str]:
    """Return the hash of each function's own bytes, by its readable name; of those of one name together.

    What its calls and constants refer to is left out: their places move when anything before them does.
    """
    together: dict[str, Any] = {}
    for part in parts:
        if not part.label.startswith("constant in "):
            together.setdefault(readable_name(part.label), hashlib.sha256()).update(part.data)
    return {name: digest.hexdigest() for name, digest in together.items()}
