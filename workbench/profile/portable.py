"""A compiled function and its arguments as files, so that another process can build the same function and call it.

A function of a notebook cell exists in no module. Its source, and that of what it calls, is written into one module,
with the constants that it reads; arrays go into an ``.npz`` without pickles. What lies in an importable module and is
compiled by ``kernels._jit`` is imported there instead: its machine code is then found in the disk cache.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from kernels._jit import KernelCache, source_hash
from workbench.errors import InputError

PLAIN: dict[str, Any] = {"nogil": False, "error_model": "python", "boundscheck": None, "fastmath": False}
"""What ``njit`` does unless it is told otherwise: `kernels._jit` has defaults of its own."""

ENVIRONMENT_KEYS = ("__builtins__", "__name__", "__file__", "__spec__", "__loader__")


@dataclass(frozen=True)
class Origin:
    """Where a run of lines of the written module comes from."""

    first: int  # in the written module, from 1
    count: int
    file: str
    original: int  # line in `file`

    def line(self, written: int) -> int | None:
        """Return the original line of a written one; None outside."""
        return self.original + written - self.first if self.first <= written < self.first + self.count else None


@dataclass
class Module:
    """The text of the module, the arrays that it reads, and where its lines come from."""

    lines: list[str] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    origins: list[Origin] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)  # what each name stands for: one name cannot mean two things

    @property
    def text(self) -> str:
        """Return the module's source."""
        return "\n".join(self.lines) + "\n"


def write_function(module: Module, dispatcher: Any, name: str) -> None:
    """Add `dispatcher` to `module` under `name`, with all that it needs. Raises InputError for what cannot cross."""
    if name in module.names:
        if module.names[name] is not dispatcher:
            raise InputError(f"two different things are called {name} in the profiled code: rename one of them")
        return
    module.names[name] = dispatcher
    py_func = dispatcher.py_func
    if isinstance(getattr(dispatcher, "_cache", None), KernelCache) and _importable(dispatcher, py_func):
        origin, attribute = py_func.__module__, _attribute_of(dispatcher, py_func)
        digest = source_hash(py_func.__code__.co_filename)
        module.lines.append(f"from {origin} import {attribute} as {name}  # source {digest[:16]}")
        return
    try:
        lines, first = inspect.getsourcelines(py_func)
    except (OSError, TypeError):
        raise InputError(f"{name} has no source at hand: define it in a file or a cell") from None
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise InputError(f"{name} is not written with def, so it cannot be taken to another process")
    for needed, value in sorted(needs(py_func).items()):
        if value is not dispatcher:
            _write_value(module, needed, value, py_func.__module__)
    body = textwrap.dedent("".join(lines)).splitlines()[tree.lineno - 1 :]
    if tree.name != name:
        raise InputError(f"{tree.name} is called {name} elsewhere in the profiled code: use one name")
    options = {**PLAIN, **{key: value for key, value in dispatcher.targetoptions.items() if key != "nopython"}}
    if options.pop("parallel", False):
        module.notes.append(f"{name}: parallel=True was left out, since valgrind runs one thread at a time")
    told = ", ".join(f"{key}={_literal(value)}" for key, value in sorted(options.items()))
    module.lines += ["", "", f"@_kernel_jit({told})"]
    written = [line.removeprefix("") for line in body]
    written[0] = _without_annotations(written[0], tree)
    module.origins.append(
        Origin(len(module.lines) + 1, len(written), py_func.__code__.co_filename, first + tree.lineno - 1)
    )
    module.lines += written
    module.lines += ["", ""]


def needs(function: FunctionType) -> dict[str, Any]:
    """Return the globals and closure variables that the code of `function` names, with their values."""
    names: set[str] = set()
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        names.update(code.co_names)
        names.update(code.co_freevars)
        waiting += [constant for constant in code.co_consts if inspect.iscode(constant)]
    closure = inspect.getclosurevars(function)
    known: Mapping[str, Any] = {**function.__globals__, **closure.nonlocals}
    return {name: known[name] for name in names if name in known and name not in ENVIRONMENT_KEYS}


def _write_value(module: Module, name: str, value: Any, owner: str) -> None:
    """Add one global of a function of the module `owner`: an import, a literal, an array or another function."""
    if isinstance(value, Dispatcher):
        write_function(module, value, name)
        return
    if name in module.names:
        if module.names[name] is not value:
            raise InputError(f"two different things are called {name} in the profiled code: rename one of them")
        return
    module.names[name] = value
    if isinstance(value, ModuleType):
        module.lines.append(f"import {value.__name__} as {name}")
    elif isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise InputError(f"the array {name} holds Python objects, which cannot be taken to another process")
        module.arrays[name] = value
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        module.lines.append(f"{name} = _ARRAYS[{name!r}]  # {digest[:16]}")
    elif _is_literal(value):
        module.lines.append(f"{name} = {_literal(value)}")
    elif home := _home_of(value, name, owner):
        module.lines.append(f"from {home[0]} import {home[1]} as {name}")
    else:
        kind = type(value).__name__
        raise InputError(f"{name} is a {kind}, which cannot be taken to another process: pass it as an argument")


def _importable(dispatcher: Any, py_func: FunctionType) -> bool:
    return py_func.__module__ != "__main__" and bool(_attribute_of(dispatcher, py_func))


def _attribute_of(dispatcher: Any, py_func: FunctionType) -> str:
    """Return the name under which the function's own module holds it; empty when it does not."""
    try:
        home = importlib.import_module(py_func.__module__)
    except ImportError:
        return ""
    names = [py_func.__name__, *vars(home)]
    return next((name for name in names if getattr(home, name, None) is dispatcher), "")


def _named_in_module(value: Any) -> bool:
    home, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(home, str) or not isinstance(name, str) or home == "__main__" or "." in name:
        return False
    try:
        return getattr(importlib.import_module(home), name, None) is value
    except ImportError:
        return False


def _home_of(value: Any, name: str, owner: str) -> tuple[str, str] | None:
    """Return the module and name by which `value` can be imported, the profiled code's own module left out."""
    if _named_in_module(value):
        return value.__module__, value.__qualname__
    for module_name, module in sorted(sys.modules.items()):  # Numba's intrinsics do not know where they are defined
        if module_name not in ("__main__", owner) and getattr(module, "__dict__", {}).get(name) is value:
            return module_name, name
    return None


def _is_literal(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset, set)):
        return all(_is_literal(part) for part in value) and not hasattr(value, "_fields")
    plain = (bool, int, float, complex, str, bytes)  # exactly: a member of an enumeration is imported instead
    return value is None or type(value) in plain or isinstance(value, (np.number, np.bool_))


def _literal(value: Any) -> str:
    """Return source text for `value`. NumPy scalars keep their type; infinities and NaN have no literal."""
    if isinstance(value, (np.number, np.bool_)):
        return f"_numpy.{value.dtype.name}({_literal(value.item())})"
    if isinstance(value, (float, complex)) and not np.isfinite(value):
        return f"float({str(value)!r})" if isinstance(value, float) else f"complex({str(value)!r})"
    if isinstance(value, tuple):
        return "(" + "".join(f"{_literal(part)}, " for part in value) + ")"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(_literal(part) for part in value)) + "}" if value else "set()"
    return repr(value)


def _without_annotations(line: str, tree: ast.FunctionDef) -> str:
    """Return the ``def`` line without annotations, which may name what the other process does not know."""
    arguments = [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]
    if tree.returns is None and not any(argument.annotation for argument in arguments):
        return line
    if tree.body[0].lineno == tree.lineno or ":" not in line.rstrip()[-1:]:
        raise InputError(f"{tree.name}: write its def on one line, or without annotations, to profile it elsewhere")
    bare = ast.FunctionDef(tree.name, _bare(tree.args), [ast.Pass()], [], None, None)
    return ast.unparse(ast.fix_missing_locations(bare)).splitlines()[0]


def _bare(arguments: ast.arguments) -> ast.arguments:
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        argument.annotation = None
    return arguments


def pack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return a JSON form of one argument; its arrays go into `arrays`. Raises InputError for what cannot cross."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        name = f"argument_{len(arrays)}"
        low, high = np.lib.array_utils.byte_bounds(value) if value.size else (0, 0)
        start = value.__array_interface__["data"][0] if value.size else 0
        raw = np.frombuffer(_memory(low, high), np.uint8) if value.size else np.empty(0, np.uint8)
        arrays[name] = raw
        arrays[f"{name}_dtype"] = np.empty(0, value.dtype)
        return {
            "array": name,
            "shape": list(value.shape),
            "strides": list(value.strides),
            "offset": start - low,
            "align": start % 4096,
            "writeable": bool(value.flags.writeable),
        }
    if isinstance(value, np.generic):
        name = f"argument_{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"scalar": name}
    if isinstance(value, tuple):
        kind = type(value)
        if kind is not tuple and not _named_in_module(kind):
            raise InputError(
                f"an argument of type {kind.__name__} cannot be taken to another process: define it in a file"
            )
        home = None if kind is tuple else [kind.__module__, kind.__qualname__]
        return {"tuple": [pack(part, arrays) for part in value], "type": home}
    if value is None or isinstance(value, (bool, int, str)):
        return {"value": value}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real.hex(), value.imag.hex()]}
    kind_name = type(value).__name__
    raise InputError(
        f"an argument of type {kind_name} cannot be taken to another process: pass arrays, numbers or tuples"
    )


def unpack(told: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the argument that `pack` described: same type, strides and place within a page."""
    if "array" in told:
        return _placed(told, arrays[told["array"]], arrays[f"{told['array']}_dtype"].dtype)
    if "scalar" in told:
        return arrays[told["scalar"]][()]
    if "tuple" in told:
        parts = [unpack(part, arrays) for part in told["tuple"]]
        if told["type"] is None:
            return tuple(parts)
        home, name = told["type"]
        return getattr(importlib.import_module(home), name)(*parts)
    if "float" in told:
        return float.fromhex(told["float"])
    if "complex" in told:
        return complex(*map(float.fromhex, told["complex"]))
    return told["value"]


def _placed(told: dict[str, Any], raw: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return an array over a copy of `raw` that begins where the original does within its page."""
    room = np.zeros(raw.size + 2 * 4096, np.uint8)
    base = room.__array_interface__["data"][0]
    skip = (told["align"] - told["offset"] - base) % 4096
    room[skip : skip + raw.size] = raw
    array: np.ndarray = np.ndarray(told["shape"], dtype, room.data, skip + told["offset"], told["strides"])
    array.flags.writeable = told["writeable"]
    return array


def _memory(low: int, high: int) -> Any:
    import ctypes

    return (ctypes.c_uint8 * (high - low)).from_address(low)
