"""The machine code of variants in one arm: compiled without a probe and hashed, nothing is timed.

Run by `workbench.measure.fronted`. First it tells what each variant's source is, so that what has the same source in
all arms need not be compiled; then it compiles what it is asked for.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher

from kernels._jit import _imported_files
from kernels.catalog import Variant, catalog, get
from workbench.codemap.addresses import readable_name
from workbench.codemap.code_hash import Part, hash_of_parts, parts_of
from workbench.errors import InputError, WorkbenchError
from workbench.measure.child import Driver
from workbench.measure.closed_loop import Subject
from workbench.measure.fronted import check_origin
from workbench.measure.preparing import Prepared, find_variants, import_modules
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
    """Return a hash of all source that decides the code of a built-in `variant`; empty for a user's, or without a file.

    It follows the import statements, of which built-in kernels use the absolute form only.
    """
    if not variant.kernel.package.startswith("kernels.") or not isinstance(variant.replay_from, Dispatcher):
        return ""
    file = Path(variant.replay_from.py_func.__code__.co_filename)
    root = next(parent for parent in file.parents if parent.name == "kernels").parent
    digest = hashlib.sha256()
    for path in sorted(_imported_files(file)):
        digest.update(repr((str(path.relative_to(root)), path.read_bytes())).encode())
    return digest.hexdigest()


def _codes(job: TurnsJob, names: list[str], driver: Driver) -> dict[str, Code]:
    """Compile `names`, kernel by kernel, so that one that cannot be built says so and the others are not lost."""
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
            found |= {name: Code(failure=str(error)) for name in own}
            continue
        for subject in subjects:
            driver.tell(doing=f"compile {subject.name}")
            found[subject.name] = _code(subject)
    return found


def _code(subject: Subject) -> Code:
    replay = subject.variant.replay_from
    if not isinstance(replay, Dispatcher):
        return Code(failure="it is not compiled by Numba")
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
    return Code(hash=hash_of_parts(parts), functions=_functions(parts))


def _functions(parts: list[Part]) -> dict[str, str]:
    """Return the hash of each function's own bytes, by its readable name; of those of one name together.

    What its calls and constants refer to is left out: their places move when anything before them does.
    """
    together: dict[str, Any] = {}
    for part in parts:
        if not part.label.startswith("constant in "):
            together.setdefault(readable_name(part.label), hashlib.sha256()).update(part.data)
    return {name: digest.hexdigest() for name, digest in together.items()}
