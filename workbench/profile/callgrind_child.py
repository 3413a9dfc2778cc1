"""Runs inside the child process of a cache profile: builds the function, runs it between client requests.

``python -m workbench.profile.callgrind_child FOLDER MODE PARENT``. MODE ``prepare`` runs without valgrind: it
compiles into the disk cache and notes which arguments the function changes. MODE ``simulate`` runs under valgrind: it
loads the compiled code, calls it, and writes where the code lay and what the objects were. PARENT is the process id of
the starter, with which it ends.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.parent import end_with_parent


def main(folder: Path, mode: str) -> None:
    """Do what the job in `folder` says."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    sys.path[:0] = [path for path in job["paths"] if path not in sys.path]
    for module in job["modules"]:
        _register(importlib.import_module(module))
    arguments = _variant_arguments(job, folder) if "variant" in job else _call_arguments(folder)
    live = [array for argument in arguments for array in _buffers(argument)]
    if mode == "prepare":
        plain = _build(_load(job, folder, "plain"), arguments)
        changed = _changed(plain, arguments, live)
        (folder / "changed.json").write_text(json.dumps(changed))
    changed = json.loads((folder / "changed.json").read_text())
    restored = [live[index] for index in changed] or [np.zeros(1, np.uint8)]
    saved = tuple(buffer.copy() for buffer in restored)
    harness = _build(_load(job, folder, "harness"), (_name(), tuple(restored), saved, *arguments))
    harness(_name(), tuple(restored), saved, *arguments)
    if mode == "simulate":
        _write_map(folder)


def _register(module: Any) -> None:
    """Make a user's kernel known that no entry point announces; other modules were imported for what they define."""
    from kernels.catalog import Kernel, catalog, register

    kernel = getattr(module, "KERNEL", None)
    if isinstance(kernel, Kernel) and catalog().get(kernel.name) is not kernel:
        register(kernel)


def _name() -> np.ndarray:
    return np.frombuffer(b"workbench\0", np.uint8).copy()


def _load(job: dict[str, Any], folder: Path, name: str) -> Any:
    """Return a function of the written module. It is imported from its file, so that its cache has a stable place."""
    if "workbench_target" not in sys.modules:
        spec = importlib.util.spec_from_file_location("workbench_target", job["module"])
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        arrays = folder / "constants.npz"
        if arrays.is_file():
            with np.load(arrays, allow_pickle=False) as stored:
                module.__dict__["_ARRAYS"] = dict(stored)
        sys.modules["workbench_target"] = module
        spec.loader.exec_module(module)
    return getattr(sys.modules["workbench_target"], name)


def _build(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the build with line tables for these arguments, from the disk cache when it is there."""
    import numba

    from workbench.codemap import build_with_lines

    return build_with_lines(function, tuple(numba.typeof(argument) for argument in arguments))


def _call_arguments(folder: Path) -> tuple[Any, ...]:
    from workbench.profile.portable import unpack

    told = json.loads((folder / "arguments.json").read_text(encoding="utf-8"))
    with np.load(folder / "arguments.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    return tuple(unpack(argument, arrays) for argument in told)


def _variant_arguments(job: dict[str, Any], folder: Path) -> tuple[Any, ...]:
    """Return what `replay_from` takes: a book that has grown on these events already, and is empty again."""
    import kernels

    kernel = kernels.get(job["kernel"])
    variant = kernel.variant(job["variant"])
    events = np.load(folder / "events.npy", mmap_mode="r", allow_pickle=False)
    instance = variant.build(**job["parameters"])
    prepared = kernel.prepare(events, instance.parameters)
    out = kernel.output(prepared, instance.parameters)
    if len(kernel.shares(prepared, out, instance.parameters)) > 1:
        raise WorkbenchError("valgrind runs one thread at a time: leave the number of threads of the kernel at 1")
    # The build with line tables does the work here too: one build less to compile.
    variant.replay_from = _build(variant.replay_from, (instance.state, prepared, out, 0, None))
    variant.replay(instance, prepared, out)
    instance.reset()
    return instance.state, prepared, out, 0, None


def _buffers(argument: Any) -> list[np.ndarray]:
    """Return the writeable arrays inside an argument as flat bytes."""
    if isinstance(argument, np.ndarray):
        return [_flat(argument)] if argument.flags.writeable and argument.size else []
    if isinstance(argument, tuple):
        return [buffer for part in argument for buffer in _buffers(part)]
    return []


def _flat(array: np.ndarray) -> np.ndarray:
    """Return the bytes that an array lies over, holes included: writes to it show there."""
    low, high = np.lib.array_utils.byte_bounds(array)
    memory: Any = (ctypes.c_uint8 * (high - low)).from_address(low)
    flat: np.ndarray = np.frombuffer(memory, np.uint8)
    _OWNERS.append(array)
    return flat


_OWNERS: list[np.ndarray] = []  # keeps the memory below `_flat` alive


def _changed(function: Any, arguments: tuple[Any, ...], live: list[np.ndarray]) -> list[int]:
    """Call once and return the indices of the buffers that the call wrote to; they are put back."""
    before = [buffer.copy() for buffer in live]
    function(*arguments)
    changed = []
    for index, (buffer, old) in enumerate(zip(live, before, strict=True)):
        if not np.array_equal(buffer, old):
            buffer[:] = old
            changed.append(index)
    return changed


def _write_map(folder: Path) -> None:
    """Write the objects of compiled code and where each function lies; the parent reads the lines."""
    from workbench.codemap import code_map

    numbers: dict[int, int] = {}
    rows = []
    for each in code_map().functions:
        number = numbers.setdefault(id(each.code), len(numbers))
        file = folder / f"object-{number}.o"
        if not file.is_file():
            file.write_bytes(each.code.data)
        rows.append([each.begin, each.end, number, each.symbol.name, each.symbol.section, each.symbol.offset])
    (folder / "map.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    end_with_parent(int(sys.argv[3]))
    main(Path(sys.argv[1]), sys.argv[2])
