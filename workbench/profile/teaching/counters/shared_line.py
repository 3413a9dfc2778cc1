"""All counters on one cache line: each addition takes the line away from the other core."""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from workbench.profile.teaching.counters import add_all, allocate, reset


@kernel_jit(_nrt=False)
def replay_from(state, work, out, begin, probe):
    """Add the sizes from `begin` on; return how many there are."""
    return add_all(state, work, out, begin, probe, 1)


VARIANT = Variant("shared_line", None, "The counters lie side by side on one line.", allocate, reset, replay_from)
