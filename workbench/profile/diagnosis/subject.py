"""The function under diagnosis: its source, its typed IR, its optimized LLVM IR with lines, and rebuilt copies."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numba
from numba.core import config, ir, types
from numba.core.cpu import CPUTargetOptions
from numba.core.dispatcher import Dispatcher
from numba.core.options import TargetOptions

from workbench.errors import InputError
from workbench.profile.diagnosis.llvm_text import Function, Instruction, parse
from workbench.profile.diagnosis.model import Rewrite

LINES_ONLY: dict[str, Any] = {
    "debug": True,
    "_dbg_extend_lifetimes": False,
    "_dbg_optnone": False,
    "_dbg_directives_only": True,
}
"""Options that add source lines to the IR and leave the code as it was; ``boundscheck`` must then be said too."""


@dataclass(frozen=True)
class TypedStatement:
    """A statement of Numba's typed IR."""

    line: int
    statement: Any  # an `ir.Stmt`


class Subject:
    """A compiled function with the arguments it is diagnosed for.

    Raises InputError when the source is not at hand or the arguments do not compile. The person's own dispatcher is
    never compiled for another signature here: everything is done on copies of it.
    """

    def __init__(self, function: Any, arguments: tuple[Any, ...]):
        self.dispatcher: Any = as_dispatcher(function)
        self.py_func: Callable[..., Any] = self.dispatcher.py_func
        self.arguments = self._positional(arguments)
        self.options: dict[str, Any] = dict(self.dispatcher.targetoptions)
        self.name = self.py_func.__name__
        self.file = self.py_func.__code__.co_filename
        try:
            lines, self.first_line = inspect.getsourcelines(self.py_func)
        except (OSError, TypeError):
            raise InputError(
                f"{self.name} has no source at hand, so it cannot be told by line: define it in a file or a cell"
            ) from None
        self.source = textwrap.dedent("".join(lines))
        self.last_line = self.first_line + len(lines) - 1
        self.signature = self._chosen_signature()

    def _positional(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            bound = inspect.signature(self.py_func).bind(*arguments)
        except TypeError as error:
            raise InputError(f"{self.py_func.__name__} cannot be called with these arguments: {error}") from None
        bound.apply_defaults()
        return tuple(bound.args)

    def _chosen_signature(self) -> tuple[Any, ...] | None:
        """Return the explicit signature that these arguments take; None when the arguments decide."""
        if self.dispatcher._can_compile:
            return None
        given = tuple(numba.typeof(argument) for argument in self.arguments)
        context = self.dispatcher.typingctx
        for signature in self.dispatcher.overloads:
            if len(signature) == len(given) and all(
                context.can_convert(own, wanted) is not None for own, wanted in zip(given, signature, strict=True)
            ):
                return tuple(signature)
        raise InputError(f"{self.name} has no signature for {given}: call it with arguments of a signature it declares")

    @functools.cached_property
    def source_lines(self) -> list[str]:
        """Return the source, one entry a line, indentation removed."""
        return self.source.splitlines()

    @functools.cached_property
    def argument_types(self) -> tuple[Any, ...]:
        """Return the Numba types that are compiled for."""
        if self.signature is not None:
            return self.signature
        return tuple(numba.typeof(argument) for argument in self.arguments)

    @functools.cached_property
    def result(self) -> Any:
        """Compile a copy with source lines and return Numba's compile result."""
        options = {**self.options, **LINES_ONLY, "boundscheck": self.bounds_checked}
        if self.options.get("forceobj"):
            options = self.options  # LLVM refuses the lines of object mode
        clone = jit(self.py_func, options)
        try:
            clone.compile(self.argument_types)
        except Exception as error:
            first = str(error).strip().splitlines()
            raise InputError(
                f"{self.name} does not compile for these arguments: {first[0] if first else error}"
            ) from None
        return next(iter(clone.overloads.values()))

    @property
    def bounds_checked(self) -> bool:
        """Whether the shipped build checks bounds: by NUMBA_BOUNDSCHECK, by its option, or because of ``debug``."""
        forced = getattr(config, "BOUNDSCHECK", None)
        if forced is not None:
            return bool(forced)
        return bool(self.options.get("boundscheck", self.options.get("debug", False)))

    @functools.cached_property
    def functions(self) -> list[Function]:
        """Return the optimized LLVM IR, parsed."""
        text = self.result.library.get_llvm_str()
        return parse(text, self.first_line, self.last_line, self.file)

    def instructions(self, *, in_loop: bool = False) -> Iterator[Instruction]:
        """Iterate over the LLVM instructions that belong to a source line; of loops only, when asked."""
        for function in self.functions:
            for instruction in function.instructions():
                if instruction.line is not None and (instruction.in_loop or not in_loop):
                    yield instruction

    def loop_lines(self) -> set[int]:
        """Return the source lines with machine work inside a loop."""
        return {instruction.line for instruction in self.instructions(in_loop=True) if instruction.line is not None}

    @functools.cached_property
    def statements(self) -> list[TypedStatement]:
        """Return the typed IR in order."""
        blocks = self.result.type_annotation.blocks
        return [TypedStatement(st.loc.line, st) for label in sorted(blocks) for st in blocks[label].body]

    def assignments(self, *operations: str) -> Iterator[tuple[int, Any]]:
        """Iterate over ``target = expression`` statements whose expression is one of `operations`."""
        for typed in self.statements:
            statement = typed.statement
            if (
                isinstance(statement, ir.Assign)
                and isinstance(statement.value, ir.Expr)
                and statement.value.op in operations
            ):
                yield typed.line, statement

    def constants(self) -> dict[str, tuple[int, Any]]:
        """Return the globals and free variables that the function reads: name, first line, value."""
        found: dict[str, tuple[int, Any]] = {}
        for typed in self.statements:
            value = typed.statement.value if isinstance(typed.statement, ir.Assign) else None
            if isinstance(value, (ir.Global, ir.FreeVar)):
                found.setdefault(value.name, (typed.line, value.value))
        return found

    def raised_in_loops(self, exception: str) -> list[int]:
        """Return the lines where a loop can leave by raising `exception`: a raising block right behind a loop's."""
        text = self.result.library.get_llvm_str()
        pickled = set(re.findall(r"@\.const\.pickledata\.(\w+) = [^\n]*" + exception, text))
        lines = []
        for function in self.functions:
            looping = {i.block for i in function.instructions() if i.in_loop}
            reached = {to for name in looping for to in function.successors[name] if to not in looping}
            for name in reached:
                raising = [i for i in function.blocks.get(name, []) if "numba_exception_output" in i.text]
                lines += [i.line for i in raising if i.line and any(key in i.text for key in pickled)]
        return sorted(lines)

    def type_of(self, variable: Any) -> Any:
        """Return the Numba type of an IR variable, or `types.undefined`."""
        name = getattr(variable, "name", variable)
        return self.result.type_annotation.typemap.get(name, types.undefined)

    def named_types(self) -> dict[str, set[Any]]:
        """Return the types that each Python variable takes, over all its versions."""
        found: dict[str, set[Any]] = {}
        for name, kind in self.result.type_annotation.typemap.items():
            if not name.startswith("$") and not name.startswith("arg."):
                found.setdefault(name.split(".")[0], set()).add(kind)
        return found

    @functools.cached_property
    def tree(self) -> ast.FunctionDef:
        """Return the function's syntax tree, its lines numbered as in the file."""
        node = ast.parse(self.source).body[0]
        if not isinstance(node, ast.FunctionDef):
            raise InputError(f"{self.name} is not written with def, so its source cannot be rewritten")
        ast.increment_lineno(node, self.first_line - 1)
        return node

    def build(
        self, options: Mapping[str, Any] | None = None, rewrite: Rewrite | None = None, *, any_signature: bool = False
    ) -> Any:
        """Return a fresh, uncached copy with changed options or source; None when the rewrite found nothing."""
        function = self.py_func
        if rewrite is not None:
            rewritten = self.rewritten(rewrite)
            if rewritten is None:
                return None
            function = rewritten
        clone = jit(function, {**self.options, **(options or {})})
        if self.signature is not None and not any_signature:
            clone.compile(self.signature)
            clone.disable_compile()
        return clone

    def rewritten(self, rewrite: Rewrite) -> Callable[..., Any] | None:
        """Return the Python function after `rewrite` of its syntax tree; None when nothing was changed."""
        tree = copy.deepcopy(self.tree)
        tree.decorator_list = []
        tree.returns = None
        if not rewrite(tree):
            return None
        module = ast.fix_missing_locations(ast.Module([tree], []))
        scope = dict(self.py_func.__globals__)
        scope.update(inspect.getclosurevars(self.py_func).nonlocals)
        scope["__np"] = __import__("numpy")  # rewrites name NumPy by this: the person may call it otherwise
        code = compile(module, f"<{self.name}, rewritten>", "exec")
        exec(code, scope)
        function: Callable[..., Any] = scope[self.name]
        function.__defaults__ = self.py_func.__defaults__
        return function


def jit(function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Compile with `options` as they stand in a dispatcher, in memory only."""
    if not hasattr(CPUTargetOptions, "_dbg_directives_only"):
        CPUTargetOptions._dbg_directives_only = TargetOptions.Mapping("dbg_directives_only")
    chosen = dict(options)
    if chosen.get("nopython") is True and chosen.get("forceobj"):
        chosen.pop("nopython")
    return numba.jit(**chosen)(function)


def as_dispatcher(function: Any) -> Any:
    """Return the dispatcher for a compiled or a plain function. Raises InputError for anything else."""
    if isinstance(function, Dispatcher):
        return function
    if inspect.isfunction(function):
        return numba.njit(function)
    kind = type(function).__name__
    raise InputError(f"a function compiled with numba.njit or numba.jit can be diagnosed, not a {kind}")
