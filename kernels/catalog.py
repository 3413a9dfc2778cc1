"""What a kernel and a variant are, and how they are found.

A kernel is a package with a `KERNEL` in its ``__init__.py`` and a `VARIANT` in each of its variants' files. Built-in
kernels are the packages beside this file; a user's are announced by entry points of the group ``workbench.kernels`` or
by `register`. Nothing here knows any kernel by name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import pkgutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from kernels.crew import run_together
from kernels.instance import Canonical, Instance, State
from kernels.messages import EVENT
from kernels.probe import Probe, make_probe

ENTRY_POINTS = "workbench.kernels"
__all__ = ["Canonical", "Instance", "Kernel", "Parameter", "State", "Variant", "catalog", "get", "register"]


@dataclass(frozen=True)
class Parameter:
    """A whole number that a kernel's state is built with."""

    name: str
    default: int
    low: int
    high: int
    help: str
    choices: tuple[str, ...] = ()  # the names of the values from 0 on, where they are names; then `low` is 0

    def check(self, kernel: str, value: Any) -> int:
        """Return `value` as an int, or raise ValueError with one sentence that says what to do."""
        if self.choices and isinstance(value, str):
            if value not in self.choices:
                raise ValueError(f"{kernel}: {self.name} must be one of {', '.join(self.choices)}, not {value!r}")
            return self.choices.index(value)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ValueError(f"{kernel}: {self.name} must be a whole number, not {value!r} ({self.help})")
        if not self.low <= value <= self.high:
            raise ValueError(f"{kernel}: {self.name} must lie in {self.low} .. {self.high}, not {value} ({self.help})")
        return int(value)


@dataclass(eq=False)
class Variant:
    """One implementation of a kernel: it has a parent, and changes one idea against it.

    ``replay(state, input, out, begin, probe) -> next`` is compiled and nogil. It works from index `begin` until the end
    of `input` or until the state has no room, and returns where it stopped; `grow` then returns a state with more
    room and the same content. `probe` is a `kernels.probe.Probe` or None. Where the kernel divides its input, it runs
    in several threads at once, on one state.

    ``read(state, item) -> (..., retries)`` is compiled and nogil, and may run in another thread while `replay` runs: it
    returns what can be read of an item (a symbol, an account), in the order of the fields of `out`, and then how often
    it had to begin again.
    """

    name: str
    parent: str | None
    idea: str  # one sentence: what it changes against its parent, and why that is faster
    allocate: Callable[[Mapping[str, int]], State]
    reset: Callable[[State], None]
    replay_from: Callable[[State, Any, Any, int, Probe | None], int]
    export_state: Callable[[State], Canonical] | None = None
    import_state: Callable[[State, Canonical], State] | None = None  # returns the state, grown where it had to be
    grow: Callable[[State], State] | None = None
    read: Callable[..., Any] | None = None
    relative_tolerance: float = 0.0  # for floating-point outputs, against the reference
    peer: bool = False  # someone else's code, measured beside ours; has no probe and no state protocol
    missing: Callable[[], str | None] = lambda: None  # why it cannot run on this machine, as one clause
    refuses: Callable[[Mapping[str, int]], str | None] = lambda parameters: None  # why it cannot run with these
    kernel: Kernel = field(init=False, repr=False)  # set by the kernel that discovers it

    @property
    def full_name(self) -> str:
        """Return ``kernel/variant``, the form of the command line."""
        return f"{self.kernel.name}/{self.name}"

    def build(self, *, instrumented: bool = False, ns_per_tick: float = 1.0, **parameters: int) -> Instance:
        """Allocate the state of this variant, validated.

        `instrumented` compiles the probe in; `ns_per_tick` is then the clock's (`workbench.measure.clock` knows it).
        Raises ValueError, with one sentence, for a parameter the kernel does not have or that is out of its range,
        and RuntimeError where a peer cannot run on this machine.
        """
        checked = self.kernel.check_parameters(parameters)
        reason = self.missing()
        if reason:
            raise RuntimeError(f"{self.full_name} cannot run here: {reason}")
        refused = self.refuses(checked)
        if refused:
            raise ValueError(f"{self.full_name} cannot run so: {refused}")
        if instrumented and self.peer:
            raise ValueError(f"{self.full_name} is a peer's code and has no probe: measure it without one")
        probe = make_probe(len(self.kernel.counters), ns_per_tick, len(self.kernel.stages)) if instrumented else None
        return Instance(self, checked, self.allocate(checked), probe)

    def replay(self, instance: Instance, events: Any, out: Any = None) -> Any:
        """Apply `events` to `instance`, grow its state where it must, and return `out` (allocated when None).

        `events` is a `kernels.messages.EVENT` array, or what ``kernel.prepare`` made of one.
        """
        if isinstance(events, np.ndarray) and events.dtype.names == EVENT.names:  # also without EVENT's padding
            events = self.kernel.prepare(events, instance.parameters)
        if out is None:
            out = self.kernel.output(events, instance.parameters)
        length, position = self.kernel.length(events), 0
        while True:
            position, _ = self.run(instance, events, out, position)
            if position >= length:
                return out
            if self.grow is None:
                raise RuntimeError(f"{self.full_name} stopped at input {position} of {length} and cannot grow")
            instance.state = self.grow(instance.state)

    def run(self, instance: Instance, prepared: Any, out: Any, begin: int = 0) -> tuple[int, int]:
        """Replay once, from `begin` on; return where it stopped, and how long that took in ns.

        Where the kernel divides its input among threads, all of them run at once, from 0 or from the end, to the end.
        Raises RuntimeError where a state that they share is too small: it cannot grow below them.
        """
        shares = self.kernel.shares(prepared, out, instance.parameters)
        if len(shares) == 1:
            state, probe = instance.state, instance.probe
            began = time.perf_counter_ns()
            reached = self.replay_from(state, prepared, out, begin, probe)
            return reached, time.perf_counter_ns() - began
        probes = instance.probes(len(shares))
        lengths = [self.kernel.length(share) for share, _ in shares]
        begins = lengths if begin else [0] * len(shares)
        calls = [
            functools.partial(self.replay_from, instance.state, share, own, start, probe)
            for (share, own), start, probe in zip(shares, begins, probes, strict=True)
        ]
        places, elapsed = run_together(calls)
        instance.add_up(probes)
        if any(place < length for place, length in zip(places, lengths, strict=True)):
            raise RuntimeError(
                f"{self.full_name} had no room for its input, and cannot grow while {len(shares)} threads use it: "
                "build it with more room"
            )
        return self.kernel.length(prepared), elapsed


@dataclass(eq=False)
class Kernel:
    """One task of a trading system: its operations, reference, invariants, workload and budget. The card."""

    name: str
    title: str
    card: str  # Markdown: what it does, which variants there are, which make no sense here and why
    operations: Mapping[str, str]  # name: what one of it is
    counters: Mapping[str, str]  # name: what it counts; in the probe's order
    invariants: tuple[str, ...]  # sentences that the tests prove
    parameters: tuple[Parameter, ...]
    package: str  # the folder's import name, where the variants' files lie
    reference: Callable[..., Any]  # plain Python: ``reference(**parameters).replay(input) -> out``
    prepare: Callable[[np.ndarray, Mapping[str, int]], Any]  # EVENT array -> the input of ``replay``; validates
    parameters_for: Callable[[np.ndarray], dict[str, int]]  # what must be known of a stream beforehand
    output: Callable[[Any, Mapping[str, int]], Any]  # input -> an array for the results
    length: Callable[[Any], int]  # input -> where ``replay`` ends
    count_operations: Callable[[Any], int]  # input -> how many operations it holds
    operations_per_sample: Callable[[Mapping[str, int]], int] = lambda parameters: 1
    budget: str | None = None  # its row in reports/budgets.toml
    until: Any = None  # compiled ``(input, end) -> input`` without the items from `end` on; not needed for an array
    stages: Mapping[str, str] = field(default_factory=dict)  # name: what an operation does there, in their order
    # For a kernel that threads may share: what each of them replays, (input, out), of the types of the whole.
    divide: Callable[[Any, Any, Mapping[str, int]], Sequence[tuple[Any, Any]]] | None = None

    def shares(self, prepared: Any, out: Any, parameters: Mapping[str, int]) -> Sequence[tuple[Any, Any]]:
        """Return what each thread replays, (input, out): a single share where one thread does all."""
        return [(prepared, out)] if self.divide is None else self.divide(prepared, out, parameters)

    @functools.cached_property
    def variants(self) -> dict[str, Variant]:
        """Return the variants by name, parents before their children. Reads the folder once."""
        found: dict[str, Variant] = {}
        for module in _modules_in(self.package):
            variant = getattr(module, "VARIANT", None)
            if isinstance(variant, Variant):
                variant.kernel = self
                found[variant.name] = variant
        return _parents_first(self.name, found)

    def variant(self, name: str) -> Variant:
        """Return the variant called `name`. Raises KeyError with a sentence that lists what there is."""
        if name not in self.variants:
            raise KeyError(f"{self.name} has no variant {name!r}: it has {', '.join(self.variants)}")
        return self.variants[name]

    def check_parameters(self, parameters: Mapping[str, Any]) -> dict[str, int]:
        """Return all parameters with their defaults filled in. Raises ValueError with one sentence."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in parameters:
            if name not in known:
                raise ValueError(f"{self.name} has no parameter {name!r}: it has {', '.join(known)}")
        return {name: known[name].check(self.name, parameters.get(name, known[name].default)) for name in known}


_registered: dict[str, Kernel] = {}


def register(kernel: Kernel) -> None:
    """Make a user's kernel known to this process under its name; a later one of the same name replaces it."""
    if kernel.name in _builtin():
        raise ValueError(f"{kernel.name!r} is a built-in kernel: choose another name")
    _registered[kernel.name] = kernel


def catalog() -> dict[str, Kernel]:
    """Return every kernel by name: the built-in ones, then those of entry points, then the registered ones."""
    return {**_builtin(), **_announced(), **_registered}


def get(name: str) -> Kernel:
    """Return the kernel called `name`. Raises KeyError with a sentence that lists what there is."""
    kernels = catalog()
    if name not in kernels:
        raise KeyError(f"there is no kernel {name!r}: there are {', '.join(kernels)}")
    return kernels[name]


@functools.cache
def _builtin() -> dict[str, Kernel]:
    found = (getattr(module, "KERNEL", None) for module in _modules_in("kernels", packages=True))
    return {kernel.name: kernel for kernel in found if isinstance(kernel, Kernel)}


@functools.cache
def _announced() -> dict[str, Kernel]:
    found: dict[str, Kernel] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        kernel = entry.load()
        if not isinstance(kernel, Kernel):
            raise ValueError(f"entry point {entry.name!r} of {entry.value} is not a kernels.Kernel")
        found[kernel.name] = kernel
    return found


def _modules_in(package: str, *, packages: bool = False) -> list[ModuleType]:
    """Import the public modules of `package`, or its sub-packages."""
    folder = importlib.import_module(package).__path__
    names = [info.name for info in pkgutil.iter_modules(folder) if info.ispkg is packages]
    return [importlib.import_module(f"{package}.{name}") for name in sorted(names) if not name.startswith("_")]


def _parents_first(kernel: str, found: Mapping[str, Variant]) -> dict[str, Variant]:
    """Order variants: each after its parent, peers last. Raises ValueError for a parent that is absent."""
    ordered: dict[str, Variant] = {}
    waiting = sorted(found.values(), key=lambda variant: (variant.peer, variant.name))
    while waiting:
        ready = [variant for variant in waiting if variant.parent is None or variant.parent in ordered]
        if not ready:
            lost = ", ".join(f"{variant.name} (parent {variant.parent!r})" for variant in waiting)
            raise ValueError(f"{kernel}: no parent for {lost}")
        ordered[ready[0].name] = ready[0]
        waiting.remove(ready[0])
    return ordered
