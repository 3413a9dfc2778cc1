"""Where compile time goes: by overload and phase, which specialisations there are, and why the disk cache missed.

The times are those that Numba notes for its passes. The time to type a callee that was not compiled yet is part of the
caller's type inference; LLVM's work on it is part of the callee.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numba.core.caching import FunctionCache, NullCache
from numba.core.dispatcher import Dispatcher

from kernels._jit import KernelCache
from workbench.errors import InputError

PHASES = (
    ("type inference", ("type_inference", "infer", "annotate_types", "literal", "strip_phis")),
    ("parallel", ("parfor",)),
    ("lowering and LLVM", ("lowering", "backend", "native", "no_python_backend")),
)
"""Phase, and what the names of its passes hold. All other passes work on Numba's own IR."""

IR_PHASE = "Numba IR"


@dataclass(frozen=True)
class Overload:
    """One specialisation: how long it took, and what the disk cache did."""

    signature: str
    seconds: float
    phases: Mapping[str, float]
    passes: Mapping[str, float]
    cache: str  # one sentence
    loaded: bool  # from the disk cache: it was not compiled in this process


@dataclass(frozen=True)
class CompileTime:
    """The compile-time view of one function. Displays itself as text and as static HTML."""

    function: str
    overloads: tuple[Overload, ...]

    @property
    def seconds(self) -> float:
        """Return the seconds of all overloads."""
        return sum(overload.seconds for overload in self.overloads)

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON-able row an overload."""
        return [
            {
                "signature": each.signature,
                "seconds": each.seconds,
                "phases": dict(each.phases),
                "cache": each.cache,
                "loaded": each.loaded,
            }
            for each in self.overloads
        ]

    def __str__(self) -> str:
        out = [f"{self.function}: {len(self.overloads)} overloads, {self.seconds:.2f} s compiling in this process"]
        for each in self.overloads:
            out.append(f"  {each.signature}: {'loaded from the cache' if each.loaded else f'{each.seconds:.2f} s'}")
            out += [f"    {seconds:8.3f} s  {phase}" for phase, seconds in each.phases.items() if seconds]
            out.append(f"    cache: {each.cache}")
        return "\n".join(out)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cell = "padding:0.15em 0.8em;text-align:left;vertical-align:top"
        names = [*dict.fromkeys(phase for each in self.overloads for phase in each.phases)]
        head = "".join(
            f'<th style="{cell}">{html.escape(name)}</th>' for name in ("signature", *names, "total", "cache")
        )
        rows = ""
        for each in self.overloads:
            times = [f"{each.phases.get(name, 0.0):.3f} s" for name in names]
            texts = (each.signature, *times, f"{each.seconds:.3f} s", each.cache)
            rows += "<tr>" + "".join(f'<td style="{cell}">{html.escape(text)}</td>' for text in texts) + "</tr>"
        return (
            '<div style="color:light-dark(#1a1a1a,#e8e8e8);color-scheme:light dark">'
            f"<p><b>{html.escape(self.function)}</b>: {len(self.overloads)} overloads, {self.seconds:.2f} s</p>"
            f'<table style="border-collapse:collapse"><tr>{head}</tr>{rows}</table></div>'
        )


def compile_time(dispatcher: Any) -> CompileTime:
    """Return the compile-time view of what `dispatcher` has compiled or loaded so far. Raises InputError."""
    if not isinstance(dispatcher, Dispatcher):
        raise InputError(f"compile time is known of a numba.njit function, not of a {type(dispatcher).__name__}")
    function: Any = dispatcher
    found = tuple(_overload(function, key, result) for key, result in function.overloads.items())
    return CompileTime(function.py_func.__qualname__, found)


def _overload(dispatcher: Any, arguments: tuple[Any, ...], result: Any) -> Overload:
    times = (getattr(result, "metadata", None) or {}).get("pipeline_times", {})
    passes: dict[str, float] = {}
    for pipeline in times.values():
        for name, spent in pipeline.items():
            plain = name.split("_", 1)[1] if name.split("_", 1)[0].isdigit() else name
            passes[plain] = passes.get(plain, 0.0) + spent.init + spent.run + spent.finalize
    phases: dict[str, float] = {}
    for name, seconds in passes.items():
        phase = phase_of(name)
        phases[phase] = phases.get(phase, 0.0) + seconds
    loaded = dispatcher.stats.cache_hits.get(arguments, 0) > 0 if _counts_hits(dispatcher) else False
    signature = f"({', '.join(str(kind) for kind in arguments)})"
    total = 0.0 if loaded else sum(passes.values())
    return Overload(signature, total, {} if loaded else phases, passes, why_missed(dispatcher, result), loaded)


def _counts_hits(dispatcher: Any) -> bool:
    return hasattr(dispatcher, "stats")


def phase_of(name: str) -> str:
    """Return the phase that a compiler pass belongs to."""
    for phase, parts in PHASES:
        if any(part in name for part in parts):
            return phase
    return IR_PHASE


def why_missed(dispatcher: Any, result: Any) -> str:
    """Return one sentence: loaded from the disk cache, or why it was compiled."""
    signature = result.signature
    arguments = tuple(signature.args)
    cache = dispatcher._cache
    if dispatcher.stats.cache_hits.get(arguments, 0) > 0:
        return "hit: loaded from the disk cache"
    if isinstance(cache, NullCache):
        if dispatcher.py_func.__closure__ is not None:
            return "no cache: the function has a closure, whose values have no name in another process"
        return "no cache: compiled without cache=True"
    if getattr(result, "lifted", ()):
        return "never cached: loops were lifted out of object mode"
    if result.library.has_dynamic_globals:
        return "never cached: the code holds addresses of this process (a ctypes pointer or a large global array)"
    if isinstance(cache, KernelCache):
        return "missed: the key (source and imports, signature, target, options, versions, NUMBA_ settings) was new"
    if isinstance(cache, FunctionCache):
        return _numba_reason(cache, signature, dispatcher)
    return f"not known for a {type(cache).__name__}"


def _numba_reason(cache: Any, signature: Any, dispatcher: Any) -> str:
    """Say which part of the key of Numba's own cache differs from what its index holds."""
    index = cache._cache_file._load_index()
    wanted = cache._index_key(signature, dispatcher.targetctx.codegen())
    arguments, rest = tuple(signature.args), wanted[1:]
    others = [(tuple(getattr(key[0], "args", key[0])), key[1:]) for key in index]
    same = [kept for given, kept in others if given == arguments and kept != rest]
    others = [entry for entry in others if entry != (arguments, rest)]
    if not others:
        return "missed: nothing was stored for this file, or the file has changed since"
    if any(kept[0] == rest[0] for kept in same):
        return "missed: stored for this signature, but the function's code or closure was another"
    if same:
        return "missed: stored for this signature, but for another CPU or other CPU features"
    return f"missed: stored for {len(others)} other signatures only"
