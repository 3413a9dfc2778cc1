"""The pipeline whose parts lie on cache lines of their own: one writer each, records as they are in memory."""

from __future__ import annotations

from functools import partial

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.tick_to_order import _build, _replay

PARTS = {
    "book": "aligned",
    "signal": "baseline",
    "risk": "aligned",
    "codec": "aligned",
    "queue": "aligned",
    "pool": "aligned",
    "position": "aligned",
}


@kernel_jit(_nrt=False)
def replay(state, given, out, begin, probe):
    """Pass ``given[begin:]`` through the pipeline, orders into `out`; return where it ended, or the book's room did."""
    return _replay.replay(state, given, out, begin, probe)


VARIANT = Variant(
    name="aligned",
    parent="baseline",
    idea="Each part the one laid out by cache lines: an account, a position, a slot and an order are one line each.",
    allocate=partial(_build.allocate, own=PARTS),
    reset=_build.reset,
    replay_from=replay,
    export_state=_build.export_state,
    import_state=_build.import_state,
    grow=_build.grow,
)
