"""Builds a function a second time, with line tables and, as `same_code` proves, the same machine code.

Numba's ``debug=True`` changes what it compiles: bounds checks, no inlining, variables kept in memory. Here it asks for
the tables alone. Functions that the built one calls get them too, in whichever file they are: during a build each
callee is replaced by its own second build. Nothing of that outlives the ``with`` block of `line_tables`; the shipped
dispatchers, their caches and Numba's settings stay as they are.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from numba.core import base, errors, lowering, types
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.debuginfo import DIBuilder
from numba.core.dispatcher import Dispatcher
from numba.core.options import TargetOptions
from numba.core.registry import CPUDispatcher

from kernels._jit import KernelCache
from workbench.codemap import capture

_builds: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # shipped dispatcher: its second build
_depth = 0  # how many `line_tables` blocks are open; guarded by Numba's compiler lock, which one thread holds
_wrapped: CodeType | None = None  # guarded by the same lock: whose wrappers are built, None for parallel bodies
_WRAPPERS = ("__ufunc__.", "__gufunc__.")


class LineTables(DIBuilder):  # type: ignore[misc]
    """Numba's DWARF builder, told to emit line tables and nothing about variables."""

    def initialize(self) -> None:
        """Ask for line tables; functions inlined by LLVM keep the place they were inlined to."""
        self.emission_kind = "LineTablesOnly"
        super().initialize()
        self._others: dict[str, Any] = {}

    def _di_subroutine_type(self, line: int, function: Any, argmap: Any) -> Any:
        return self.module.add_debug_info("DISubroutineType", {"types": self.module.add_metadata([])})

    def mark_variable(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing of variables: LLVM aborts on them where only line tables were asked for."""

    def mark_file(self, builder: Any, file: str, line: int) -> None:
        """Say that what follows comes from `file`: Numba itself inlines across files, and keeps only the line."""
        if not self.subprograms:
            return
        if file not in self._others:
            path = Path(file).absolute()
            difile = self.module.add_debug_info("DIFile", {"directory": str(path.parent), "filename": path.name})
            self._others[file] = difile
        scope = self.module.add_debug_info(
            "DILexicalBlockFile", {"scope": self.subprograms[-1], "file": self._others[file], "discriminator": 0}
        )
        builder.debug_metadata = self.module.add_debug_info("DILocation", {"line": line, "column": 1, "scope": scope})


def build_with_lines(dispatcher: Any, signature: Any) -> Any:
    """Return a dispatcher of the same function, compiled for `signature` with line tables; it can be called.

    It is built once for each dispatcher and signature, and kept on disk under a key of its own where the shipped one
    is. Raises what Numba raises when the function does not compile.
    """
    arguments = tuple(getattr(signature, "args", signature))
    with line_tables():
        build = second_build(dispatcher)
        build.compile(arguments)
    return build


def second_build(dispatcher: Any) -> Any:
    """Return the dispatcher of `dispatcher`'s builds with line tables. Compile it inside `line_tables` only."""
    if dispatcher not in _builds:
        options = dict(dispatcher.targetoptions)
        build = type(dispatcher)(
            dispatcher.py_func,
            locals=dispatcher._compiler.locals,
            targetoptions=options,
            pipeline_class=dispatcher._compiler.pipeline_class,
        )
        if isinstance(dispatcher._cache, KernelCache):
            build._cache = KernelCache(dispatcher.py_func, {**options, "line_tables": 2})
        _builds[dispatcher] = build
    return _builds[dispatcher]


@contextlib.contextmanager
def line_tables() -> Iterator[None]:
    """Compile with line tables inside the block, by this thread; the others wait with what they have to compile."""
    global _depth
    capture.install()
    with global_compiler_lock, contextlib.ExitStack() as stack:
        if not _depth:
            _patch_all(stack)
        _depth += 1
        try:
            with warnings.catch_warnings():  # code that Numba generates (parallel bodies) has no source to be found
                warnings.simplefilter("ignore", errors.NumbaDebugInfoWarning)
                yield
        finally:
            _depth -= 1


def _patch_all(stack: contextlib.ExitStack) -> None:
    _patch(stack, base.BaseContext, "DIBuilder", LineTables)
    parse: Any = TargetOptions.__dict__["parse_as_flags"]
    _patch(stack, TargetOptions, "parse_as_flags", classmethod(_parse_as_flags(parse.__func__)))
    _patch(stack, lowering.BaseLower, "notify_loc", _notify_loc(lowering.BaseLower.notify_loc))
    _patch(stack, CPUCodeLibrary, "add_ir_module", _add_ir_module(CPUCodeLibrary.add_ir_module))
    mine = threading.get_ident()
    stored = types.Dispatcher.__dict__["dispatcher"].fget

    def dispatcher(self: Any) -> Any:
        found = stored(self)
        ours = isinstance(found, CPUDispatcher)  # and what `kernel_jit` makes of it for inner functions
        replace = ours and threading.get_ident() == mine and found not in _builds.values()
        return second_build(found) if replace else found

    _patch(stack, types.Dispatcher, "dispatcher", property(dispatcher))


def _patch(stack: contextlib.ExitStack, owner: type, name: str, value: Any) -> None:
    stack.callback(setattr, owner, name, owner.__dict__[name])
    setattr(owner, name, value)


def _parse_as_flags(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a parser that asks for line tables after all options were read, and leaves the code as it is without."""

    @functools.wraps(original)
    def parse_as_flags(cls: Any, flags: Any, options: dict[str, Any]) -> Any:
        shipped_debug = bool(options.get("debug"))
        original(cls, flags, options)
        if not shipped_debug:
            flags.debuginfo = True
            flags.dbg_directives_only = True  # lower as without debugging: variables need no place in memory
            flags.dbg_extend_lifetimes = False
            flags.dbg_optnone = False
        return flags

    return parse_as_flags


def _notify_loc(original: Callable[..., Any]) -> Callable[..., Any]:
    def notify_loc(self: Any, loc: Any) -> None:
        original(self, loc)
        if isinstance(self.debuginfo, LineTables) and loc.filename != self.func_ir.loc.filename:
            self.debuginfo.mark_file(self.builder, loc.filename, loc.line)

    return notify_loc


@contextlib.contextmanager
def wrapping(code: CodeType) -> Iterator[None]:
    """Say, inside `line_tables`, which function the wrappers that are built inside the block belong to."""
    global _wrapped
    before, _wrapped = _wrapped, code
    try:
        yield
    finally:
        _wrapped = before


def _add_ir_module(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that gives the wrappers of ufuncs, gufuncs and parallel bodies a place in the source.

    Numba gives them none, and LLVM then drops the lines of all that it inlines into them.
    """

    @functools.wraps(original)
    def add_ir_module(self: Any, module: Any) -> None:
        for function in module.functions:
            if function.name.startswith(_WRAPPERS) and not function.is_declaration:
                _mark_wrapper(module, function)
        original(self, module)

    return add_ir_module


def _mark_wrapper(module: Any, function: Any) -> None:
    """Say that `function` has a file and no line: what LLVM moves out of lines that were inlined has a neighbour's."""
    file, name = (_wrapped.co_filename, _wrapped.co_qualname) if _wrapped else ("<string>", "wrapper")
    lines = LineTables(module, file, None, False)
    lines.mark_subprogram(function, name, (), (), 0)
    place = lines._add_location(0)
    for block in function.blocks:
        for instruction in block.instructions:
            instruction.set_metadata("dbg", place)
    lines.finalize()


def is_compiled_function(thing: Any) -> bool:
    """Return whether `thing` is a function compiled by ``numba.njit`` or ``numba.jit``."""
    return isinstance(thing, Dispatcher)
