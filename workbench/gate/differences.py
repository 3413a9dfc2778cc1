"""What else changed where the machine code did not: data, machine, settings, disturbance, counters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.record import Machine, Noise, Replicate, Run

_COUNTER_CHANGE = 0.01  # relative; counters of several threads are never the same twice
_LOAD_CHANGE = 0.5  # of the one-minute load: half a busy core more or less
_HEAT_CHANGE_C = 5.0
_DISTURBED_TIMES = 2.0  # as often as before, or half as often, and not by single events
_DISTURBED_LEAST = 10
_STEADY = {"load_1min": _LOAD_CHANGE, "temperature_c": _HEAT_CHANGE_C}
_TOLD_APART = ("hardware_key",)  # those who compare do not judge across it


def same_code(then: Run, now: Run, variant: str) -> bool:
    """Return whether every process of both runs had the same machine code of `variant`, and it is known."""
    hashes = {replicate.code_hash.get(variant) for run in (then, now) for replicate in run.replicates}
    return len(hashes) == 1 and not hashes & {None, ""}


def no_code_change(then: Run, now: Run) -> list[str]:
    """Return the lines to be said of the variants whose code is the same in both runs; empty where there is none."""
    measured = dict.fromkeys(f"{result.kernel}/{result.variant}" for result in now.results)
    same = [variant for variant in measured if same_code(then, now, variant)]
    if not same:
        return []
    changed = [*data_changes(then, now), *machine_changes(then.machine, now.machine)]
    changed += noise_changes(then.replicates, now.replicates)
    for variant in same:
        changed += counter_changes(then.replicates, variant, now.replicates, variant)
    told = [f"  {line}" for line in changed] or ["  nothing else that is recorded changed"]
    return [f"no code change: {', '.join(same)}; what changed:", *told]


def data_changes(then: Run, now: Run) -> list[str]:
    """Return what is other about the input and the parameters."""
    lines = []
    if then.workload.sha256 != now.workload.sha256:
        a, b = then.workload, now.workload
        lines.append(f"input: {a.name} of {a.events:,} events -> {b.name} of {b.events:,} events")
    for kernel in dict.fromkeys([*then.parameters, *now.parameters]):
        before, after = then.parameters.get(kernel, {}), now.parameters.get(kernel, {})
        lines += _entries(f"{kernel} parameter", before, after)
    return lines


def machine_changes(then: Machine, now: Machine) -> list[str]:
    """Return each field of the machine that is other: versions, governor, Linux, target, settings, load and more."""
    lines: list[str] = []
    for name in Machine.model_fields:
        before, after = getattr(then, name), getattr(now, name)
        if name in _TOLD_APART or before == after:
            continue
        label = name.replace("_", " ")
        if isinstance(before, dict) and isinstance(after, dict):
            lines += _entries(label, before, after)
        elif name in _STEADY and None not in (before, after) and abs(before - after) < _STEADY[name]:
            continue
        else:
            lines.append(f"{label}: {_word(before)} -> {_word(after)}")
    return lines


def noise_changes(then: Sequence[Replicate], now: Sequence[Replicate]) -> list[str]:
    """Return what disturbed the timed runs clearly more, or less: counts over each run."""
    before, after = _noise(then), _noise(now)
    lines = []
    for name, count in after.items():
        earlier = before[name]
        few, many = sorted((earlier, count))
        if many - few >= _DISTURBED_LEAST and many >= _DISTURBED_TIMES * few:
            lines.append(f"{name.replace('_', ' ')} while timing: {earlier:,} -> {count:,}")
    return lines


def counter_changes(then: Sequence[Replicate], a: str, now: Sequence[Replicate], b: str) -> list[str]:
    """Return each counter of the kernel that moved, per operation: of the side `a` before, of the side `b` now."""
    before, after = _counters(then, a), _counters(now, b)
    lines = []
    for name in dict.fromkeys([*before, *after]):
        first, second = before.get(name, 0.0), after.get(name, 0.0)
        if abs(first - second) > _COUNTER_CHANGE * max(abs(first), abs(second)):
            lines.append(f"{b.partition('@')[0]} {name}: {first:.4g} -> {second:.4g} an operation")
    return lines


def _entries(label: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*before, *after])
    return [
        f"{label} {name}: {_word(before.get(name))} -> {_word(after.get(name))}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _word(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _noise(replicates: Sequence[Replicate]) -> dict[str, int]:
    noise = [side.noise for each in replicates for block in each.blocks for side in block.sides]
    return {name: sum(getattr(each, name) for each in noise) for name in Noise.model_fields}


def _counters(replicates: Sequence[Replicate], variant: str) -> dict[str, float]:
    """Return each counter of `variant` per operation, over the sides that have counters."""
    totals: dict[str, int] = {}
    operations = 0
    for side in (side for each in replicates for block in each.blocks for side in block.sides):
        if side.variant == variant and side.counters:
            operations += side.operations
            for name, count in side.counters.items():
                totals[name] = totals.get(name, 0) + count
    return {name: total / operations for name, total in totals.items()}
