"""Head and tail on one cache line: each message takes the line away from the other side, which only wanted its own."""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from workbench.profile.teaching.ring import allocate, pass_all, reset


@kernel_jit(_nrt=False)
def replay_from(state, work, out, begin, probe):
    """Pass the messages from `begin` on; return how many there are."""
    return pass_all(state, work, out, begin, probe, 1)


VARIANT = Variant("packed", None, "Head and tail lie side by side on one line.", allocate, reset, replay_from)
