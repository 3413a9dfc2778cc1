"""From the words of a job to what can be run: variants, workload, parameters, states."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from kernels.catalog import Kernel, Variant, catalog, get, register
from workbench import record
from workbench.errors import InputError
from workbench.measure.closed_loop import Subject, build_subjects, check_input
from workbench.measure.job import Setting
from workbench.measure.shards import shard
from workbench.own.registry import declared_in


class RefusedError(InputError):
    """A variant that was asked for by name refuses the parameters, or this machine."""


class Prepared:
    """The variants, the workload and each kernel's input that a setting names; no state is built and nothing is timed.

    `notes` says what was left out and why; `timestamps_ns` when the events happened, where that is asked for. Raises
    InputError for what cannot be found, loaded or fed in.
    """

    def __init__(self, setting: Setting, *, timestamps: bool = False):
        self.chosen, self.notes = find_variants(setting)
        if setting.shards > 1:
            self.chosen = dict(shard(kernel, group, setting.shards) for kernel, group in self.chosen.items())
        loaded = _load(setting)
        self.workload: record.Workload = loaded.workload
        self.notes += loaded.notes
        self.timestamps_ns = loaded.events["timestamp_ns"].copy() if timestamps else None
        parameters = _parameters(setting, self.chosen, loaded.events)
        self._inputs: dict[str, tuple[dict[str, Any], Any]] = {}
        for kernel in self.chosen:
            try:
                self._inputs[kernel.name] = check_input(kernel, loaded.events, parameters[kernel.name])
            except ValueError as error:
                raise InputError(str(error)) from None
        self._leave_out(setting)

    def _leave_out(self, setting: Setting) -> None:
        """Leave out the variants that refuse these parameters. Raises InputError for one that was asked for by name."""
        for kernel, group in self.chosen.items():
            checked, _ = self._inputs[kernel.name]
            for variant in list(group):
                reason = variant.refuses(checked)
                if reason and variant.full_name in setting.selectors:
                    raise RefusedError(f"{variant.full_name} cannot run so: {reason}")
                if reason:
                    self.notes.append(f"{variant.full_name} was left out: {reason}")
                    group.remove(variant)
            if not group:
                raise InputError(f"{kernel.name}: none of its variants can run with these parameters")

    def keep(self, names: Collection[str]) -> None:
        """Forget all variants but those called `names` (kernel/variant)."""
        kept = {
            kernel: [variant for variant in group if variant.full_name in names]
            for kernel, group in self.chosen.items()
        }
        self.chosen = {kernel: group for kernel, group in kept.items() if group}

    def input_of(self, kernel: Kernel) -> tuple[dict[str, Any], Any]:
        """Return the parameters of `kernel`, all of them, and the input of its ``replay``."""
        return self._inputs[kernel.name]

    def build(self, clock: record.Clock | None) -> dict[str, list[Subject]]:
        """Build the states, by kernel; with a probe beside each where there is a clock for it. Raises InputError."""
        made = {}
        for kernel, variants in self.chosen.items():
            parameters, events = self.input_of(kernel)
            try:
                made[kernel.name] = build_subjects(variants, events, parameters, clock)
            except (ValueError, RuntimeError, MemoryError) as error:
                raise InputError(str(error) or f"{kernel.name}: there is not enough memory for its state") from None
        return made


def find_variants(setting: Setting) -> tuple[dict[Kernel, list[Variant]], list[str]]:
    """Return the variants that `setting` names, by kernel, and what was left out and why. Raises InputError."""
    import_modules(setting)
    chosen: dict[Kernel, list[Variant]] = {}
    notes: list[str] = []
    for selector in setting.selectors:
        kernel_name, _, variant_name = selector.partition("/")
        try:
            kernel = get(kernel_name)
            wanted = [kernel.variant(variant_name)] if variant_name else list(kernel.variants.values())
        except (KeyError, ValueError) as error:
            raise InputError(str(error.args[0])) from None
        except (ImportError, SyntaxError, AttributeError, NameError, TypeError) as error:
            raise InputError(f"{kernel_name} cannot be imported ({_reason(error)})") from error
        group = chosen.setdefault(kernel, [])
        for variant in wanted:
            reason = variant.missing()
            if reason and variant_name:
                raise RefusedError(f"{variant.full_name} cannot run here: {reason}")
            if reason:
                notes.append(f"{variant.full_name} was left out: {reason}")
            elif variant not in group:
                group.append(variant)
    if setting.peers:
        for kernel, group in chosen.items():
            for variant in (each for each in kernel.variants.values() if each.peer and each not in group):
                reason = variant.missing()
                if reason:
                    notes.append(f"{variant.full_name} was left out: {reason}")
                else:
                    group.append(variant)
    for kernel, group in chosen.items():
        group.sort(key=list(kernel.variants.values()).index)
        if not group:
            raise InputError(f"{kernel.name}: none of its variants can run here")
    return chosen, notes


def _reason(error: Exception) -> str:
    """Return what is wrong in somebody's source, and where, as one clause."""
    if isinstance(error, SyntaxError):
        return f"{error.msg} in {error.filename}, line {error.lineno}"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def import_modules(setting: Setting) -> None:
    """Import users' kernels and register those that no entry point announces."""
    sys.path += [path for path in setting.paths if path not in sys.path]
    for name in setting.modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"module {name} cannot be imported ({error}): give its import name, as pack.kernel"
            ) from None
        except Exception as error:  # a mistake in the user's module, told as one
            raise InputError(f"module {name} cannot be imported ({_reason(error)}): it fails by itself") from error
        kernel = getattr(module, "KERNEL", None)
        if isinstance(kernel, Kernel):
            if catalog().get(kernel.name) is not kernel:
                register(kernel)
        elif not declared_in(name):
            raise InputError(
                f"module {name} has no KERNEL: its __init__.py must hold a kernels.Kernel of that name, or its "
                "functions be declared by @wb.variant"
            )


def _load(setting: Setting) -> Any:
    """Return the workload with its description: from the file, the name, or the default."""
    from workbench import workloads

    if setting.input_file is None:
        return workloads.parse(setting.workload) if setting.workload else workloads.default()
    loaded = workloads.load(setting.input_file)
    if setting.description is None:
        return loaded
    return type(loaded)(events=loaded.events, workload=setting.description)


def _parameters(setting: Setting, chosen: Iterable[Kernel], events: np.ndarray) -> Mapping[str, dict[str, Any]]:
    """Return the parameters of each kernel: what the stream asks for, then what the setting says."""
    kernels = list(chosen)
    known = {parameter.name for kernel in kernels for parameter in kernel.parameters}
    for name in setting.parameters:
        if name not in known:
            raise InputError(f"no kernel here has a parameter {name!r}: there are {', '.join(sorted(known)) or 'none'}")
    made = {}
    for kernel in kernels:
        own = {parameter.name for parameter in kernel.parameters}
        wanted = {name: value for name, value in setting.parameters.items() if name in own}
        try:
            made[kernel.name] = {**kernel.parameters_for(events), **wanted}
        except ValueError as error:
            raise InputError(str(error)) from None
    return made
