"""What a memory profile runs in a process of its own: a variant with its workload, or a function with its arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from workbench import record
from workbench.codemap.build import is_compiled_function
from workbench.errors import InputError
from workbench.measure.function_name import FunctionName, name_function
from workbench.own import PACKAGE as OWN
from workbench.profile.target import _events, _parameters, _variant, own_call

JOB, EVENTS, CALL, RESULT, PHASES = "job.json", "events.npy", "call.pickle", "result.json", "phases.jsonl"
LOG, TRACE, SCRATCH_TRACE = "log.txt", "memray.bin", "warm-up.bin"
SESSION = "__main__"


class FileFunction(record.Frozen):
    """A function in a file that need not be importable by name; `setup` is one beside it that returns its arguments."""

    file: str
    name: str
    setup: str = ""


class MemoryJob(record.Frozen):
    """One subject. Exactly one of `variant`, `file_function`, `function` and `by_value` is given."""

    title: str
    paths: list[str] = Field(default_factory=lambda: [str(Path.cwd()), *filter(None, sys.path)])
    variant: str = ""  # kernel/variant
    parameters: dict[str, int] = Field(default_factory=dict)
    modules: list[str] = Field(default_factory=list, description="import names whose KERNEL is a user's own")
    file_function: FileFunction | None = None
    function: FunctionName | None = None  # imported there; its arguments lie in CALL
    by_value: bool = False  # the function itself lies in CALL, with its arguments
    python_objects: bool = False  # whether the interpreter's own small objects are counted too
    seconds: float = 2.0


class Asked:
    """A job and the files that it needs: bytes by name, or an array."""

    def __init__(self, job: MemoryJob, files: Mapping[str, bytes | np.ndarray]):
        self.job = job
        self.files = files

    def write(self, folder: Path) -> None:
        """Write what the child reads into `folder`."""
        (folder / JOB).write_text(self.job.model_dump_json(), encoding="utf-8")
        for name, content in self.files.items():
            if isinstance(content, bytes):
                (folder / name).write_bytes(content)
            else:
                np.save(folder / name, np.ascontiguousarray(content), allow_pickle=False)


def asked_of(
    subject: Any,
    *arguments: Any,
    workload: Any = None,
    setup: str = "",
    modules: Sequence[str] = (),
    seconds: float = 2.0,
    **parameters: int,
) -> Asked:
    """Return the job for a variant, for ``file.py:function``, or for a function with its arguments.

    A variant of a user's functions (``file.py:kernel/variant``) is its function with the arguments declared for it.

    Raises InputError with one sentence for what there is not, or what cannot be taken to another process.
    """
    if isinstance(subject, str) and ".py:" in subject and "/" not in subject.rpartition(".py:")[2]:
        _refuse_workload(workload, parameters)
        if arguments:
            raise InputError(f"{subject} takes its arguments from a function beside it: name that as setup")
        function = file_function(subject, setup)
        title = f"{Path(function.file).name}:{function.name}"
        return Asked(MemoryJob(title=title, file_function=function, python_objects=True, seconds=seconds), {})
    if callable(subject) and not isinstance(subject, type):
        _refuse_workload(workload, parameters)
        return _function_job(subject, arguments, seconds)
    variant = _variant(subject, arguments)
    package = variant.kernel.package
    if package == OWN:
        function, own_arguments = own_call(variant, workload, parameters)
        asked = _function_job(function, own_arguments, seconds)
        asked.job = asked.job.model_copy(update={"title": variant.full_name})
        return asked
    if package.split(".")[0] == SESSION:
        raise InputError(f"{variant.full_name} lives in this session only: put it into a package to profile its memory")
    events = _events(workload)
    own = list(modules) if package.startswith("kernels.") else [*modules, package]
    job = MemoryJob(
        title=variant.full_name,
        variant=variant.full_name,
        parameters=_parameters(variant.kernel, events, parameters),
        modules=list(dict.fromkeys(own)),
        seconds=seconds,
    )
    return Asked(job, {EVENTS: events})


def file_function(text: str, setup: str = "") -> FileFunction:
    """Return what ``file.py:function`` names. Raises InputError where the file is not."""
    file, _, name = text.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {file}: give a function as file.py:function")
    if not name.isidentifier():
        raise InputError(f"{name!r} is no function's name: give a function as file.py:function")
    return FileFunction(file=str(path.resolve()), name=name, setup=setup)


def _refuse_workload(workload: Any, parameters: Mapping[str, int]) -> None:
    if workload is not None or parameters:
        raise InputError("a function takes its own arguments, no workload and no parameters")


def _function_job(function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Asked:
    """Take a function by its name where another process can import it, else as it is, with all that it refers to."""
    from numba.cloudpickle import cloudpickle  # Numba's copy: it knows compiled functions

    python = getattr(function, "py_func", function)
    title = str(getattr(python, "__qualname__", type(function).__name__))
    name: FunctionName | None = None
    if getattr(python, "__module__", SESSION) != SESSION:
        try:
            name = name_function(function)
        except InputError:
            name = None  # made inside another function, as a closure: it crosses by value
    try:
        data = cloudpickle.dumps(arguments if name else (function, arguments))
    except Exception as error:  # an object's own code raises what it likes
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{title} or its arguments cannot be taken to another process ({lines[0]})") from None
    job = MemoryJob(
        title=title,
        function=name,
        by_value=name is None,
        python_objects=not is_compiled_function(function),
        seconds=seconds,
    )
    return Asked(job, {CALL: data})
