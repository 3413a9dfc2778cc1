"""Functions that Numba wraps for others to call: NumPy's ufuncs and gufuncs, and callbacks for C.

LLVM inlines the function into its wrapper, so what runs is the wrapper. Its second build is the whole wrapper again,
from the same function, options and types.

A ufunc with ``target="parallel"`` is an ordinary ufunc of NumPy that does not know its function: it cannot be built
again.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

from numba.core.ccallback import CFunc
from numba.np.ufunc.dufunc import DUFunc
from numba.np.ufunc.gufunc import GUFunc
from numba.np.ufunc.ufuncbuilder import UFuncDispatcher

from workbench.codemap import capture
from workbench.codemap.build import line_tables, wrapping
from workbench.codemap.code_hash import Part, reached_parts
from workbench.codemap.elf import ObjectCode
from workbench.codemap.same_code import SameCode, compare

UFUNCS = (DUFunc, GUFunc)
_CALLBACK: Any = CFunc  # its stubs hide what it is made of
KINDS = (DUFunc, GUFunc, CFunc)
_EARLY = "compiled before the workbench was loaded"

_builds: weakref.WeakKeyDictionary[Any, tuple[list[str], Any]] = weakref.WeakKeyDictionary()


def all_wrapped() -> list[Any]:
    """Return every ufunc, gufunc and C callback that is still there."""
    return [thing for thing in gc.get_objects() if type(thing) in KINDS]


def entries(thing: Any) -> list[str]:
    """Return the mangled names of the wrappers of `thing`, one for each signature, in the order of compilation."""
    if isinstance(thing, _CALLBACK):
        return [thing._wrapper_name]
    if hasattr(thing, "gufunc_builder"):
        return ["__gufunc__." + result.fndesc.mangled_name for result in thing.gufunc_builder._cres.values()]
    return ["__ufunc__." + result.fndesc.llvm_func_name for result in thing._dispatcher.overloads.values()]


def _function_of(thing: Any) -> Any:
    return thing._pyfunc if isinstance(thing, _CALLBACK) else thing._dispatcher.py_func


def build_again_with_lines(thing: Any) -> Any:
    """Return `thing` built a second time for all its signatures, with line tables; it can be called. It is kept.

    Raises what Numba raises when it does not compile.
    """
    names = entries(thing)
    if thing not in _builds or _builds[thing][0] != names:  # a dynamic one may have got a signature since
        with line_tables(), wrapping(_function_of(thing).__code__):
            _builds[thing] = names, _again(thing)
    return _builds[thing][1]


def _again(thing: Any) -> Any:
    if isinstance(thing, _CALLBACK):
        compiler = thing._compiler
        result = (thing._sig.args, thing._sig.return_type)
        build = _CALLBACK(thing._pyfunc, result, compiler.locals, compiler.targetoptions, compiler.pipeline_class)
        build.compile()
        return build
    told = thing._reduce_states()  # what pickling would keep
    if isinstance(thing, GUFunc):
        return GUFunc._rebuild(**{**told, "cache": False})  # Numba's cache does not know of line tables
    shipped = thing._dispatcher
    fresh = UFuncDispatcher(shipped.py_func, shipped.locals, shipped.targetoptions)
    return DUFunc._rebuild(**{**told, "dispatcher": fresh})


def both_parts(thing: Any, number: int) -> tuple[list[Part], ObjectCode, list[Part]]:
    """Return the parts of the shipped wrapper of one signature, and the object and the parts of its second build.

    Raises WorkbenchError when the shipped code is not kept: it was compiled before `capture.install`.
    """
    name = entries(thing)[number]
    shipped = capture.find(name)
    if shipped is None:
        raise capture.not_kept(thing.__name__)
    again = entries(build_again_with_lines(thing))[number]
    profiled = capture.find(again)
    assert profiled is not None  # it was compiled with the hooks in place
    return reached_parts(shipped.code, name), profiled.code, reached_parts(profiled.code, again)


def prove_all(thing: Any) -> list[SameCode]:
    """Return the comparison of the shipped build and the one with line tables, for each signature of `thing`.

    Where the shipped code is not kept there is nothing to compare with, and the difference says so.
    """
    if any(capture.find(name) is None for name in entries(thing)):
        return [SameCode("", "", 0, 0, 0, f"not compared, as it was {_EARLY}")]
    pairs = (both_parts(thing, number) for number in range(len(entries(thing))))
    return [compare(shipped, profiled) for shipped, _, profiled in pairs]


def lost() -> list[str]:
    """Return one sentence for each function of a cell whose machine code is not kept: no profile can show its lines."""
    own = [thing for thing in all_wrapped() if _function_of(thing).__module__ == "__main__"]
    found = {thing.__name__ for thing in own if any(capture.find(name) is None for name in entries(thing))}
    return [f"{name} has no lines, as it was {_EARLY}: run its cell again" for name in sorted(found)]
