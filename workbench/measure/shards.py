"""One kernel many times over: the symbols dealt to several states, each with a thread and a core of its own.

So a market is handled on several cores without a lock: each shard has one writer. That gains less than the number of
cores, because they share a cache, the way to the memory, and often more. To show it, every variant is measured twice
on the same shards: one after the other in one thread, and all at once. For the rest of the workbench these are two
variants, the second named with `TOGETHER`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from kernels.catalog import Instance, Kernel, Parameter, Variant
from kernels.crew import run_together
from workbench.measure.job import TOGETHER


def deal(events: np.ndarray, shards: int) -> list[np.ndarray]:
    """Return the events of each shard, in their order: symbol s goes to shard s % `shards`, as number s // `shards`.

    Raises ValueError where a shard would get nothing.
    """
    dealt = []
    for shard in range(shards):
        own = events[events["symbol"] % shards == shard]
        if not len(own):
            symbols = len(np.unique(events["symbol"]))
            raise ValueError(
                f"{shards} shards cannot be filled: the workload has {symbols} "
                f"symbol{'' if symbols == 1 else 's'}, and shard {shard} gets none of them"
            )
        own["symbol"] //= shards  # a copy: a selection by a condition is one
        dealt.append(own)
    return dealt


def shard(kernel: Kernel, variants: Sequence[Variant], shards: int) -> tuple[Kernel, list[Variant]]:
    """Return a kernel whose input is a tuple of inputs, one for each shard, and each variant for it, in both ways."""
    sharded = _sharded_kernel(kernel, shards)
    made = [each for variant in variants for each in _sharded_variants(variant, sharded, shards)]
    sharded.__dict__["variants"] = {variant.name: variant for variant in made}  # nothing is to be read from its folder
    return sharded, made


def _sharded_kernel(kernel: Kernel, shards: int) -> Kernel:
    def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> tuple[Any, ...]:
        if kernel.divide is not None and parameters.get("threads", 1) > 1:
            raise ValueError(f"{kernel.name}: each shard has one thread: leave threads at 1, or take no shards")
        return tuple(kernel.prepare(own, parameters) for own in deal(events, shards))

    number = Parameter("shards", shards, shards, shards, "states that the symbols are dealt to")
    return dataclasses.replace(
        kernel,
        parameters=(*kernel.parameters, number),
        prepare=prepare,
        parameters_for=lambda events: _largest(kernel.parameters_for(own) for own in deal(events, shards)),
        output=lambda inputs, parameters: tuple(kernel.output(own, parameters) for own in inputs),
        length=lambda inputs: sum(map(kernel.length, inputs)),
        count_operations=lambda inputs: sum(map(kernel.count_operations, inputs)),
        divide=None,
    )


def _largest(each: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return, of each parameter, the largest that any shard needs: all states are then of one size."""
    merged: dict[str, int] = {}
    for parameters in each:
        for name, value in parameters.items():
            merged[name] = max(value, merged.get(name, value))
    return merged


def _sharded_variants(variant: Variant, kernel: Kernel, shards: int) -> list[Variant]:
    fields = {field.name: getattr(variant, field.name) for field in dataclasses.fields(variant) if field.init}
    made: list[Variant] = []
    for name, parent, together in (
        (variant.name, variant.parent, False),
        (variant.name + TOGETHER, variant.name, True),
    ):
        sharded = ShardedVariant(
            **{**fields, "name": name, "parent": parent}, base=variant, count=shards, together=together
        )
        sharded.kernel = kernel
        made.append(sharded)
    return made


class ShardedInstance(Instance):
    """The states of all shards, behind the face of one: reset, and what their probes recorded."""

    def __init__(self, variant: Variant, shards: Sequence[Instance]):
        parameters = {**shards[0].parameters, "shards": len(shards)}
        super().__init__(variant, parameters, tuple(shard.state for shard in shards), shards[0].probe)
        self.shards = shards

    def reset(self) -> None:
        """Empty every shard."""
        for shard in self.shards:
            shard.reset()


@dataclasses.dataclass(eq=False, kw_only=True)
class ShardedVariant(Variant):
    """A variant on shards: its instances, inputs and outputs hold one of each for every shard."""

    base: Variant
    count: int
    together: bool

    def build(self, *, instrumented: bool = False, ns_per_tick: float = 1.0, **parameters: int) -> ShardedInstance:
        """Allocate a state for each shard. Raises ValueError and RuntimeError as the variant does."""
        parameters.pop("shards", None)
        built = [
            self.base.build(instrumented=instrumented, ns_per_tick=ns_per_tick, **parameters) for _ in range(self.count)
        ]
        return ShardedInstance(self, built)

    def replay(self, instance: Instance, events: Any, out: Any = None) -> Any:
        """Replay the shards one after the other, growing their states where they must; return `out`."""
        assert isinstance(instance, ShardedInstance)
        if out is None:
            out = self.kernel.output(events, instance.parameters)
        for shard, own, results in zip(instance.shards, events, out, strict=True):
            self.base.replay(shard, own, results)
        return out

    def run(self, instance: Instance, prepared: Any, out: Any, begin: int = 0) -> tuple[int, int]:
        """Replay every shard once, whole, or nothing where `begin` is not 0; return the end, and the time in ns."""
        assert isinstance(instance, ShardedInstance)
        length = self.base.kernel.length
        shares = list(zip(instance.shards, prepared, out, strict=True))
        begins = [length(own) if begin else 0 for own in prepared]
        if self.together:
            calls = [
                partial(self.base.replay_from, shard.state, own, results, start, shard.probe)
                for (shard, own, results), start in zip(shares, begins, strict=True)
            ]
            places, elapsed = run_together(calls)
        else:
            ran = [self.base.run(*share, start) for share, start in zip(shares, begins, strict=True)]
            places, elapsed = [place for place, _ in ran], sum(took for _, took in ran)
        instance.shards[0].add_up([shard.probe for shard in instance.shards[1:]])
        if any(place < length(own) for place, own in zip(places, prepared, strict=True)):
            return 0, elapsed  # a shard had no room, which `replay` would have made
        return self.kernel.length(prepared), elapsed
