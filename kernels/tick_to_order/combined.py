"""The pipeline of the fastest parts for one writer."""

from __future__ import annotations

from functools import partial

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.tick_to_order import _build, _replay

PARTS = {
    "book": "combined",
    "signal": "baseline",
    "risk": "aligned",
    "codec": "aligned",
    "queue": "lock_free",
    "pool": "stack",
    "position": "aligned",
}


@kernel_jit(_nrt=False)
def replay(state, given, out, begin, probe):
    """Pass ``given[begin:]`` through the pipeline, orders into `out`; return where it ended, or the book's room did."""
    return _replay.replay(state, given, out, begin, probe)


VARIANT = Variant(
    name="combined",
    parent="aligned",
    idea="The fastest part of each kind for a single message of a single symbol, each measured in its place.",
    allocate=partial(_build.allocate, own=PARTS),
    reset=_build.reset,
    replay_from=replay,
    export_state=_build.export_state,
    import_state=_build.import_state,
    grow=_build.grow,
)
