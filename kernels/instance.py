"""A variant that was built: its state, and one protocol for every state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.machine.memory import aligned
from kernels.probe import Probe, clear_probe

if TYPE_CHECKING:
    from kernels.catalog import Variant

State = Any  # a NamedTuple of arrays for compiled variants; whatever a peer needs for peers
Canonical = dict[str, np.ndarray]  # one form for every variant of a kernel


class Instance:
    """The state of one variant, with one protocol for all: reset, snapshot, restore, export, import."""

    def __init__(self, variant: Variant, parameters: Mapping[str, int], state: State, probe: Probe | None):
        self.variant = variant
        self.parameters = dict(parameters)
        self.state = state
        self.probe = probe

    def reset(self) -> None:
        """Empty the state, keeping its room; forget what the probe recorded."""
        self.variant.reset(self.state)
        if self.probe is not None:
            clear_probe(self.probe)

    def snapshot(self) -> tuple[Any, ...]:
        """Return a copy of the state, for `restore` of the same variant. For another variant use `export_state`."""
        self._refuse_peer("snapshot")
        copied: tuple[Any, ...] = _copy(self.state)
        return copied

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Put back what `snapshot` returned. The room may have grown meanwhile: the smaller state then comes back."""
        self._refuse_peer("restore")
        own, saved = _arrays(self.state), _arrays(snapshot)
        if len(own) != len(saved):
            raise ValueError(f"this snapshot is not of {self.variant.full_name}: use export_state and import_state")
        if any(array.shape != kept.shape for array, kept in zip(own, saved, strict=True)):
            self.state = _copy(snapshot)  # as a state that grows or shrinks
            return
        for array, kept in zip(own, saved, strict=True):
            np.copyto(array, kept)

    def export_state(self) -> Canonical:
        """Return the content in the kernel's canonical form, which every variant of the kernel reads."""
        self._refuse_peer("export_state")
        assert self.variant.export_state is not None
        return self.variant.export_state(self.state)

    def import_state(self, canonical: Canonical) -> None:
        """Replace the content by a canonical one. Raises ValueError, changing nothing, when it does not fit."""
        self._refuse_peer("import_state")
        assert self.variant.import_state is not None
        self.state = self.variant.import_state(self.state, canonical)

    def counters(self) -> dict[str, int]:
        """Return what the probe counted, by name; empty without a probe."""
        if self.probe is None:
            return {}
        return {name: int(self.probe.counters[i]) for i, name in enumerate(self.variant.kernel.counters)}

    def stages(self) -> dict[str, np.ndarray]:
        """Return the latencies of each stage that the probe recorded, HDR counts by name; empty without a probe."""
        if self.probe is None:
            return {}
        return dict(zip(self.variant.kernel.stages, self.probe.stages, strict=True))

    def probes(self, threads: int) -> Sequence[Probe | None]:
        """Return an empty probe for each thread, of the kind of this one's; None for each without."""
        if self.probe is None:
            return [None] * threads
        return [
            self.probe._replace(
                histogram=np.zeros_like(self.probe.histogram),
                counters=np.zeros_like(self.probe.counters),
                stages=np.zeros_like(self.probe.stages),
            )
            for _ in range(threads)
        ]

    def add_up(self, probes: Sequence[Probe | None]) -> None:
        """Add what the threads recorded to the probe of this instance."""
        for probe in probes:
            if probe is not None and self.probe is not None:
                self.probe.histogram[:] += probe.histogram
                self.probe.counters[:] += probe.counters
                self.probe.stages[:] += probe.stages

    def _refuse_peer(self, action: str) -> None:
        if self.variant.peer:
            raise ValueError(f"{self.variant.full_name} is a peer's code and has no {action}")


def _arrays(state: Any) -> list[np.ndarray]:
    """Return the arrays of a state, those of states inside it included."""
    return [state] if isinstance(state, np.ndarray) else [array for part in state for array in _arrays(part)]


def _copy(state: Any) -> Any:
    """Return a state of the same class with copies of the arrays, each at the start of a cache line."""
    if not isinstance(state, np.ndarray):
        return type(state)(*map(_copy, state))
    copied = aligned(state.shape, state.dtype)
    np.copyto(copied, state)
    return copied
