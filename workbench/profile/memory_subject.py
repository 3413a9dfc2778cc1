"""The subject of a memory profile in the process that runs it: what a call is, and how many operations it holds."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.codemap.build import is_compiled_function
from workbench.errors import InputError
from workbench.profile.memory_job import CALL, EVENTS, FileFunction, MemoryJob


def _cannot_be_shortened(share: float) -> int:
    """Leave nothing out: the arguments of a function are its own."""
    return 0


@dataclass
class Subject:
    """What is called again and again. `prepare` runs before each call; `shorten` keeps a share of a call's work."""

    title: str
    run: Callable[[], Any]
    operations: int = 1
    compiled: bool = False
    prepare: Callable[[], Any] | None = None
    shorten: Callable[[float], int] = _cannot_be_shortened


def subject_of(job: MemoryJob, folder: Path) -> Subject:
    """Return the subject of `job`. Raises InputError with one sentence."""
    sys.path += [path for path in job.paths if path not in sys.path]
    if job.variant:
        return _variant(job, np.load(folder / EVENTS, mmap_mode="r", allow_pickle=False))
    if job.file_function is not None:
        function, arguments = _from_file(job.file_function)
    elif job.by_value:
        function, arguments = _unpickled(folder / CALL)
    else:
        from workbench.measure.function_name import find_function

        assert job.function is not None
        function, arguments = find_function(job.function), _unpickled(folder / CALL)
    return Subject(job.title, lambda: function(*arguments), compiled=is_compiled_function(function))


def _unpickled(path: Path) -> Any:
    """Return what the process that started this one wrote a moment ago, into a folder of its own."""
    try:
        return pickle.loads(path.read_bytes())
    except Exception as error:
        raise InputError(
            f"the function or its arguments cannot be read in another process ({type(error).__name__}: {error}): put "
            "it into a file and give it as file.py:function"
        ) from None


def _variant(job: MemoryJob, events: np.ndarray) -> Subject:
    import kernels
    from workbench.profile.users import know

    for module in job.modules:
        know(module)
    name, _, chosen = job.variant.partition("/")
    kernel = kernels.get(name)
    variant = kernel.variant(chosen)
    try:
        parameters: dict[str, Any] = dict(job.parameters)
        instance = variant.build(**parameters)
        prepared = kernel.prepare(events, instance.parameters)
        out = kernel.output(prepared, instance.parameters)
    except (ValueError, RuntimeError) as error:
        raise InputError(str(error)) from None
    subject = Subject(
        job.title,
        lambda: variant.replay(instance, prepared, out),
        kernel.count_operations(prepared),
        is_compiled_function(variant.replay_from),
        instance.reset,
    )

    def shorten(share: float) -> int:
        kept = max(1, int(len(events) * share))
        shorter = kernel.prepare(np.array(events[:kept]), instance.parameters)
        results = kernel.output(shorter, instance.parameters)
        subject.run = lambda: variant.replay(instance, shorter, results)
        subject.operations = kernel.count_operations(shorter)
        return len(events) - kept

    subject.shorten = shorten
    return subject


def _from_file(wanted: FileFunction) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return the function of a file, and what its setup returned. Raises InputError with one sentence."""
    from workbench.measure.function_kernel import as_arguments

    path = Path(wanted.file)
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else "profiled_file"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file: give a function as file.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        told = next(iter(str(error).strip().splitlines()), "")
        raise InputError(f"{path} cannot be imported ({type(error).__name__}: {told}): it fails by itself") from None
    function = _callable(module, wanted.name, path)
    if not wanted.setup:
        return function, ()
    setup = _callable(module, wanted.setup, path)
    try:
        return function, as_arguments(setup(), wanted.setup)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{wanted.setup} of {path} raised {type(error).__name__} ({error})") from None


def _callable(module: Any, name: str, path: Path) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{path} has no function {name}: it has {', '.join(_functions(module)) or 'none'}")
    found: Callable[..., Any] = function
    return found


def _functions(module: Any) -> list[str]:
    own = [(name, getattr(value, "py_func", value)) for name, value in vars(module).items() if callable(value)]
    return [name for name, value in own if getattr(value, "__module__", "") == module.__name__]
