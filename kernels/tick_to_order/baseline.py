"""The pipeline of what one writes first: each part its kernel's baseline, with a mutex where others might come."""

from __future__ import annotations

from functools import partial

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.tick_to_order import _build, _replay

PARTS = {
    "book": "baseline",
    "signal": "baseline",
    "risk": "baseline",
    "codec": "big_endian",
    "queue": "baseline",
    "pool": "baseline",
    "position": "baseline",
}


@kernel_jit(_nrt=False)
def replay(state, given, out, begin, probe):
    """Pass ``given[begin:]`` through the pipeline, orders into `out`; return where it ended, or the book's room did."""
    return _replay.replay(state, given, out, begin, probe)


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="Each part its kernel's baseline: a mutex around all that others might use, an allocation for each order.",
    allocate=partial(_build.allocate, own=PARTS),
    reset=_build.reset,
    replay_from=replay,
    export_state=_build.export_state,
    import_state=_build.import_state,
    grow=_build.grow,
)
