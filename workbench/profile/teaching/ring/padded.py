"""Head and tail on cache lines of their own. Costs 128 bytes a queue; no faster with one thread."""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from workbench.profile.teaching.ring import APART, allocate, pass_all, reset


@kernel_jit(_nrt=False)
def replay_from(state, work, out, begin, probe):
    """Pass the messages from `begin` on; return how many there are."""
    return pass_all(state, work, out, begin, probe, APART)


VARIANT = Variant("padded", "packed", "Head and tail have a line each: no false sharing.", allocate, reset, replay_from)
