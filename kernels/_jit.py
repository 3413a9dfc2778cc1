"""How every kernel is compiled: the only place where ``njit`` options live.

Numba's own disk cache has three defects that a measuring tool cannot live with (numba#10821, and read in
``numba/core/caching.py`` of 0.68): its key knows nothing of the compile flags; a function is not recompiled when a
function that it *calls*, in another file, has changed; and two processes that save at the same moment can leave an
index that points at the other one's code. `_Store` therefore keeps one file for each key, with no index, and the key
holds everything that decides the machine code.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import caching, config, types
from numba.core.dispatcher import Dispatcher
from numba.core.registry import CPUDispatcher

OPTIONS: dict[str, Any] = {
    "nogil": True,  # a kernel never touches Python objects, so threads may run it side by side
    "error_model": "numpy",  # no branch before each division; kernels check their divisors themselves
    "boundscheck": False,  # the Python wrapper validates once, at the border
    "fastmath": False,  # a variant that may reorder floating point says so, and states its tolerance
}

CompileListener = Callable[[str, float], None]


def cache_root() -> Path:
    """Return the folder of compiled kernels: ``$WORKBENCH_CACHE``, else ``~/.cache/kernel-workbench``.

    A user without a home folder gets a path that nobody can write, so every process compiles anew: a folder in
    ``/tmp`` could be made beforehand by another user, and what lies in it is loaded as code.
    """
    chosen = os.environ.get("WORKBENCH_CACHE")
    if chosen:
        return Path(chosen) / "compiled"
    home = Path(os.path.expanduser("~"))  # Path.home raises where there is none, and takes a relative one
    base = os.environ.get("XDG_CACHE_HOME") or (home if home.is_absolute() else Path(os.devnull)) / ".cache"
    return Path(base) / "kernel-workbench" / "compiled"


@functools.cache
def source_hash(file: str) -> str:
    """Hash the source of `file` and of what it imports, however far, from its own package and from ``kernels``.

    Numba inlines callees into the machine code of their caller, so any of them may have changed it. Read from the
    ``import`` statements, without running anything.
    """
    digest = hashlib.sha256()
    for path in sorted(_imported_files(Path(file))):
        digest.update(str(path).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _imported_files(start: Path) -> set[Path]:
    """Return `start` and the files that it imports, directly or not, from its own package and from ``kernels``."""
    holder = start.parent
    while (holder / "__init__.py").exists():
        holder = holder.parent  # ends at the folder that holds the top-level package
    holders = {holder, Path(__file__).resolve().parents[1]}
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.walk(ast.parse(path.read_bytes())):
                waiting += [file for name in _names_imported(node) for file in _module_files(holders, name)]
    return found


def _names_imported(node: ast.AST) -> list[str]:
    """Return the dotted names that an import statement may refer to; relative imports are not used in this project."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _module_files(holders: set[Path], name: str) -> list[Path]:
    """Return the file of the module called `name`. A package's own ``__init__`` holds no compiled code here."""
    files = [holder.joinpath(*name.split(".")).with_suffix(".py") for holder in holders]
    return [file for file in files if file.is_file()]


def environment_key() -> tuple[str, ...]:
    """Return everything outside the source that decides the machine code: versions, target, NUMBA_* settings."""
    settings = sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith("NUMBA_") and name not in ("NUMBA_CACHE_DIR", "NUMBA_DEBUG_CACHE")
    )
    return (
        sys.version.split()[0],
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        str(config.OPT),  # type: ignore[attr-defined]
        *settings,
    )


class _Store:
    """One file for each key; written beside its place and moved there, so a reader never sees half a file."""

    def __init__(self, folder: Path):
        self._folder = folder

    def _path(self, key: tuple[Any, ...]) -> Path:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:40]
        return self._folder / f"{name}.nbc"

    def load(self, key: tuple[Any, ...]) -> Any:
        try:
            return pickle.loads(self._path(key).read_bytes())
        except Exception:  # absent, cut short or from another build: all of them mean "compile anew"
            return None

    def holds(self, key: tuple[Any, ...]) -> bool:
        return self._path(key).is_file()

    def save(self, key: tuple[Any, ...], data: Any) -> None:
        path = self._path(key)
        with contextlib.suppress(OSError):  # a full or read-only disk costs a compilation next time, nothing more
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(dir=self._folder, prefix="writing-")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(caching.dumps(data))  # type: ignore[attr-defined]
                os.replace(scratch, path)
            except BaseException:
                os.unlink(scratch)
                raise

    def flush(self) -> None:
        for file in self._folder.glob("*.nbc"):
            file.unlink(missing_ok=True)


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Numba asks its locator where the cache lies; ours is always the same folder, and the key does the rest."""

    def __init__(self, folder: Path):
        self._folder = folder

    def ensure_cache_path(self) -> None:
        pass  # `_Store.save` makes the folder, and survives when it cannot

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return ""

    def get_disambiguator(self) -> str:
        return ""


def _hashes_of_classes(sig: Any) -> Iterator[str]:
    """Name the classes of named tuples among the arguments, and inside any tuple, with the hashes of their sources.

    An overload may choose its body by their class, and two classes of one name and the same fields read alike.
    """
    kind: Any
    for kind in (each for each in sig if isinstance(each, types.BaseTuple)):
        found = getattr(kind, "instance_class", None)
        if found is not None:
            yield f"{found.__module__}.{found.__qualname__}"
            module = sys.modules.get(found.__module__)
            if module is not None and getattr(module, "__file__", None):
                yield source_hash(str(module.__file__))
        yield from _hashes_of_classes(dict.fromkeys(kind.types))


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """A compiled-code cache whose key holds sources (callees too), flags, target and versions."""

    def __init__(self, py_func: Callable[..., Any], options: dict[str, Any]):
        folder = cache_root()
        self._name = f"{py_func.__module__}.{py_func.__qualname__}"
        self._py_func = py_func
        self._impl = caching.CompileResultCacheImpl.__new__(caching.CompileResultCacheImpl)
        self._impl._lineno = py_func.__code__.co_firstlineno
        self._impl._locator = _Locator(folder)
        self._cache_path = str(folder)
        self._cache_file = _Store(folder)  # type: ignore[assignment]
        self._flags = repr(sorted(options.items()))
        self.enable()

    def holds(self, sig: Any, codegen: Any) -> bool:
        """Return whether the code of that signature lies on the disk."""
        return bool(self._cache_file.holds(self._index_key(sig, codegen)))  # type: ignore[attr-defined]

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        code = self._py_func.__code__
        return (
            self._name,
            code.co_filename,
            code.co_firstlineno,
            source_hash(code.co_filename),
            *_hashes_of_classes(sig),
            str(sig),
            codegen.magic_tuple(),
            self._flags,
            environment_key(),
        )


class _Inner(CPUDispatcher):  # type: ignore[misc]
    """A compiled function without the wrapper that Python would enter by; calling it would jump to address zero."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        name = self.py_func.__qualname__
        raise TypeError(f"{name} is compiled for the inside of other compiled functions: call it from one")


def kernel_jit(function: Callable[..., Any] | None = None, *, inner: bool = False, **overrides: Any) -> Any:
    """Compile a kernel function with the project's options, cached on disk under a key that holds every flag.

    Use it as ``@kernel_jit`` or ``@kernel_jit(fastmath=True)``. `overrides` go to ``numba.njit`` as they are and
    become part of the cache key. An `inner` function can be called by compiled code only, and is compiled without the
    two wrappers that Python and C enter by: they unpack every argument, and take a third of the time to compile a
    small function of a large state. A function with a closure is compiled in memory only: what it closes over has no
    stable name across processes.
    """
    if function is None:
        return functools.partial(kernel_jit, inner=inner, **overrides)
    without = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True} if inner else {}
    options = {**OPTIONS, **without, **overrides}
    dispatcher = numba.njit(**options)(function)
    if inner:
        dispatcher.__class__ = _Inner
    if function.__closure__ is None and Path(function.__code__.co_filename).is_file():
        dispatcher._cache = KernelCache(function, options)
    return dispatcher


@contextlib.contextmanager
def compile_listener(listener: CompileListener) -> Iterator[None]:
    """Call ``listener(function_name, seconds)`` for each function that Numba compiles inside the ``with`` block.

    Loading from the disk cache is not compiling and is not told.
    """
    from numba.core import event

    class Listener(event.Listener):  # type: ignore[misc]
        def __init__(self) -> None:
            self.started: list[float] = []

        def on_start(self, told: Any) -> None:
            self.started.append(time.perf_counter())

        def on_end(self, told: Any) -> None:
            seconds = time.perf_counter() - self.started.pop()
            if not self.started:  # only the outermost: a callee's time is part of its caller's
                listener(told.data["dispatcher"].py_func.__qualname__, seconds)

    with event.install_listener("numba:compile", Listener()):
        yield


def signature_count(dispatcher: Dispatcher) -> int:
    """Return how many signatures of `dispatcher` are compiled: it must not grow while a kernel is timed."""
    return len(dispatcher.signatures)


def lacks_code(dispatcher: Dispatcher, *arguments: Any) -> bool:
    """Return whether a call with these arguments would compile what another process could leave on the disk for it.

    Asks for the very key that the call would look up, and compiles nothing. False for a function that is not cached.
    """
    cache = dispatcher._cache  # type: ignore[attr-defined]
    types_ = tuple(dispatcher.typeof_pyval(argument) for argument in arguments)
    if not isinstance(cache, KernelCache) or types_ in dispatcher.overloads:
        return False
    return not cache.holds(types_, dispatcher.targetctx.codegen())  # type: ignore[attr-defined]
