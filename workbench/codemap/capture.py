"""Keeps the machine code of everything that Numba compiles or loads in this process.

Numba drops the object of a library that it loads from a disk cache, and the one of a gufunc's wrapper. LLVM's object
cache hooks see all of them: `install` puts two functions in front of Numba's own that keep the bytes and pass them on.
Parsing waits until somebody asks, so an idle process pays a list append for each compiled library.
"""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, field
from typing import Any

from numba.core import registry
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

from workbench.codemap.elf import ObjectCode
from workbench.errors import WorkbenchError


@dataclass(eq=False)
class Captured:
    """One object that was linked into this process."""

    name: str  # of the LLVM module: the Python function's name as a rule
    code: ObjectCode
    base: dict[int, int] = field(default_factory=dict)  # section: address; empty until it was looked up
    lost: bool = False  # no symbol of it has an address: the library is gone


_objects: dict[bytes, Captured] = {}
_lock = threading.Lock()
_engines: set[int] = set()
_scanned = False


def engine() -> Any:
    """Return Numba's execution engine of the CPU target."""
    return registry.cpu_target.target_context.codegen()._engine


def install() -> None:
    """Keep every object from now on. Calling it again changes nothing."""
    jit = engine()
    with _lock:
        if id(jit) in _engines:
            return
        _engines.add(id(jit))
    library_class = registry.cpu_target.target_context.codegen()._library_class
    notify = getattr(jit._ee, "_object_cache_notify", None) or library_class._object_compiled_hook
    getbuffer = getattr(jit._ee, "_object_cache_getbuffer", None) or library_class._object_getbuffer_hook

    def keep_compiled(module: Any, data: bytes) -> None:
        keep(module.name, data)
        notify(module, data)

    def keep_loaded(module: Any) -> bytes | None:
        data: bytes | None = getbuffer(module)
        if data is not None:
            keep(module.name, data)
        return data

    jit.set_object_cache(keep_compiled, keep_loaded)


def keep(name: str, data: bytes) -> Captured:
    """Keep one object; the same bytes are kept once. Returns what is kept."""
    with _lock:
        if data not in _objects:
            _objects[data] = Captured(name, ObjectCode(data))
        return _objects[data]


def objects() -> list[Captured]:
    """Return every object of this process: the captured ones, and what was compiled or loaded before `install`."""
    global _scanned
    if not _scanned:
        _scanned = True
        alive = gc.get_objects()
        for library in [thing for thing in alive if type(thing) in _library_classes()]:
            data = getattr(library, "_compiled_object", None)
            if data:
                keep(library.name, data)
        for dispatcher in [thing for thing in alive if type(thing) is CPUDispatcher]:
            _keep_loaded_before(dispatcher)
    with _lock:
        return list(_objects.values())


def _keep_loaded_before(dispatcher: Any) -> None:
    """Keep the objects of what `dispatcher` loaded from its disk cache: its libraries do not have them any more."""
    for result in list(dispatcher.overloads.values()):
        if not getattr(result.library, "_compiled_object", None):
            stored = _from_cache(dispatcher, result.signature)
            if stored is not None:
                keep(result.library.name, stored)


def count() -> int:
    """Return how many objects are kept: it grows with every library that is compiled or loaded."""
    return len(_objects)


def object_of(dispatcher: Any, signature: Any) -> tuple[Captured, str]:
    """Return the object of one overload, and the mangled name of its function.

    `signature` is a tuple of Numba types or a signature. Raises WorkbenchError when the overload is not compiled, or
    when its code can be found neither in the process nor in its disk cache.
    """
    result = compile_result(dispatcher, signature)
    name: str = result.fndesc.llvm_func_name
    data = getattr(result.library, "_compiled_object", None)
    if data:
        return keep(result.library.name, data), name
    captured = find(name)
    if captured is not None:
        return captured, name
    stored = _from_cache(dispatcher, result.signature)
    if stored is None:
        raise not_kept(dispatcher.py_func.__qualname__)
    return keep(result.library.name, stored), name


def find(name: str) -> Captured | None:
    """Return the newest object that defines the function with the mangled name `name`, None where none is kept."""
    for captured in reversed(objects()):
        if name.encode() not in captured.code.data:  # spares parsing the others
            continue
        function = captured.code.functions_by_name.get(name)
        if function is not None and (function.is_global or function.is_weak):
            return captured
    return None


def not_kept(function: str) -> WorkbenchError:
    """Return the error that says that nobody kept the machine code of `function`, and what to do."""
    return WorkbenchError(
        f"the machine code of {function} is not kept: call workbench.codemap.install() before it is compiled or loaded"
    )


def compile_result(dispatcher: Any, signature: Any) -> Any:
    """Return Numba's compile result of one overload. Raises WorkbenchError when there is none."""
    arguments = tuple(getattr(signature, "args", signature))
    if arguments not in dispatcher.overloads:
        compiled = ", ".join(str(known) for known in dispatcher.signatures) or "nothing"
        raise WorkbenchError(
            f"{dispatcher.py_func.__qualname__} is not compiled for {arguments}: call it first (compiled: {compiled})"
        )
    return dispatcher.overloads[arguments]


def address_of(symbol: str) -> int:
    """Return the address of a function by its mangled name, 0 when the process has none of that name."""
    with global_compiler_lock:
        jit = engine()
        return int(jit.get_function_address(symbol)) if jit.is_symbol_defined(symbol) else 0


def _library_classes() -> tuple[type, ...]:
    return (registry.cpu_target.target_context.codegen()._library_class, CPUCodeLibrary)


def _from_cache(dispatcher: Any, signature: Any) -> bytes | None:
    """Return the object code that `dispatcher`'s disk cache holds for `signature`, or None."""
    cache = dispatcher._cache
    if getattr(cache, "_cache_file", None) is None:
        return None
    codegen = dispatcher.targetctx.codegen()
    for form in (signature.args, signature):  # the key is made of what was asked for: arguments, or a whole signature
        payload = cache._cache_file.load(cache._index_key(form, codegen))
        if payload is not None:
            _, kind, data = payload[0]  # a compile result becomes (library, ...), a library (name, kind, data)
            return data[0] if kind == "object" else None
    return None
