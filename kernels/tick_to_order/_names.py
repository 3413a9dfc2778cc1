"""The names of the parts and of their variants: what the kernel's parameters offer, without importing any of them."""

from __future__ import annotations

PART_KERNELS = {
    "book": "order_book",
    "signal": "signals",
    "risk": "risk_check",
    "codec": "order_codec",
    "queue": "message_queue",
    "pool": "order_pool",
    "position": "positions",
}
"""The kernel of each part, in the order of the pipeline's state."""

INDICATORS = ("ema", "sma")  # those of the signals that are a price, to be compared with the mid price
ALL = "all"
LIVE = (ALL, *PART_KERNELS)
"""Which parts are live: all, or one whose neighbours are replaced by a replay of themselves."""
OWN = "own"  # the choice that leaves a part to the pipeline's variant

VARIANTS: dict[str, tuple[str, ...]] = {
    "book": ("baseline", "ladder", "simd", "aligned", "combined", "lock_free", "skip_list"),
    "signal": ("baseline", "simd", "aligned", "lock_free"),
    "risk": ("baseline", "lock_free", "aligned", "simd", "combined"),
    "codec": ("big_endian", "simd", "aligned"),
    "queue": (
        "baseline",
        "spin_mutex",
        "adaptive_mutex",
        "packed",
        "aligned",
        "lock_free",
        "simd",
        "mpmc",
        "cells",
        "robust",
    ),
    "pool": ("baseline", "stack", "trusted", "lock_free", "aligned", "simd"),
    "position": ("baseline", "lock_free", "aligned", "simd"),
}
"""What can be chosen of each part; `kernels.tick_to_order` says why the others cannot."""
