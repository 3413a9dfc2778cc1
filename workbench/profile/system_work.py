"""What a system profile runs in its child: a variant or a function, prepared in inputs of growing size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.profile import callgrind_child
from workbench.profile.written_lines import lines_written

GROWTH = 8  # from one size to the next
LEAST_EVENTS = 64
MOST_CALLS = 1 << 15


@dataclass
class Work:
    """Something that can be run in several sizes."""

    sizes: list[int]  # ascending
    operations: Callable[[int], int]
    prepare: Callable[[int], None]  # before each run, outside what is counted
    run: Callable[[int], None]
    badge: Callable[[], dict[str, str]]
    written: Callable[[], list[Any]] = lambda: []
    threads: int = 1


def variant_work(job: dict[str, Any], folder: Path) -> Work:
    """Return replays of a variant, of its first events and of more and more of them."""
    import kernels
    from workbench.codemap.same_code import prove

    kernel = kernels.get(job["kernel"])
    variant = kernel.variant(job["variant"])
    shipped: Any = variant.replay_from
    events = np.load(folder / "events.npy", mmap_mode="r", allow_pickle=False)
    instance = variant.build(**job["parameters"])
    sizes = _grown(min(LEAST_EVENTS, len(events)), len(events))
    inputs: dict[int, tuple[Any, Any]] = {}
    for size in sizes:
        prepared = kernel.prepare(np.ascontiguousarray(events[:size]), instance.parameters)
        inputs[size] = prepared, kernel.output(prepared, instance.parameters)
    seen: dict[int, int] = {}
    for size in sizes:  # a kernel may make the same input of any number of events: then there is one size
        seen.setdefault(kernel.count_operations(inputs[size][0]), size)
    sizes = sorted(seen.values())
    shares = kernel.shares(*inputs[sizes[0]], instance.parameters)
    first = shares[0]
    lined = callgrind_child._build(shipped, (instance.state, first[0], first[1], 0, None))
    variant.replay_from = lined

    def badge() -> dict[str, str]:
        signature = lined.signatures[0]
        shipped.compile(signature)
        return {variant.full_name: prove(shipped, signature).badge}

    def run(size: int) -> None:
        variant.replay(instance, *inputs[size])

    return Work(
        sizes,
        lambda size: kernel.count_operations(inputs[size][0]),
        lambda size: instance.reset(),
        run,
        _guarded(badge),
        lambda: lines_written(kernel, variant, instance, *inputs[sizes[0]]),
        len(shares),
    )


def call_work(job: dict[str, Any], folder: Path) -> Work:
    """Return calls of a function with its arguments: an operation is one call."""
    arguments = callgrind_child._call_arguments(folder)
    live = [array for argument in arguments for array in callgrind_child._buffers(argument)]
    saved = [array.copy() for array in live]
    function: Any
    if "function" in job:
        from workbench.measure.function_name import FunctionName, find_function

        function = find_function(FunctionName(**job["function"]))
    else:
        function = callgrind_child._load(job, folder, "plain")
    build = callgrind_child._build(function, arguments)

    def prepare(size: int) -> None:
        for array, content in zip(live, saved, strict=True):
            array[:] = content

    def run(size: int) -> None:
        for _ in range(size):
            build(*arguments)

    def badge() -> dict[str, str]:
        from workbench.codemap.same_code import prove

        function.compile(build.signatures[0])
        return {function.py_func.__name__: prove(function, build.signatures[0]).badge}

    return Work(_grown(1, MOST_CALLS), lambda size: size, prepare, run, _guarded(badge))


def _guarded(badge: Callable[[], dict[str, str]]) -> Callable[[], dict[str, str]]:
    def told() -> dict[str, str]:
        try:
            return badge()
        except WorkbenchError as error:
            return {"build": f"not compared with the code that ships: {error}"}

    return told


def _grown(least: int, most: int) -> list[int]:
    sizes = [least]
    while sizes[-1] * GROWTH < most:
        sizes.append(sizes[-1] * GROWTH)
    return [*sizes, most] if most > sizes[-1] else sizes
