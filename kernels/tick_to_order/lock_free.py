"""The pipeline without a lock: other threads may read the book, the risk check and the positions while it runs."""

from __future__ import annotations

from functools import partial

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.tick_to_order import _build, _replay

PARTS = {
    "book": "lock_free",
    "signal": "baseline",
    "risk": "lock_free",
    "codec": "big_endian",
    "queue": "lock_free",
    "pool": "lock_free",
    "position": "lock_free",
}


@kernel_jit(_nrt=False)
def replay(state, given, out, begin, probe):
    """Pass ``given[begin:]`` through the pipeline, orders into `out`; return where it ended, or the book's room did."""
    return _replay.replay(state, given, out, begin, probe)


VARIANT = Variant(
    name="lock_free",
    parent="baseline",
    idea="No part has a lock: atomic operations in risk check, pool and positions, a lock-free queue and book.",
    allocate=partial(_build.allocate, own=PARTS),
    reset=_build.reset,
    replay_from=replay,
    export_state=_build.export_state,
    import_state=_build.import_state,
    grow=_build.grow,
)
