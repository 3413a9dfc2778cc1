"""What the variants keep of each symbol between two bars, and its canonical form, which all of them write and read.

A new indicator adds its names to `FIELDS` and `OUTPUTS`, one step to each variant and one class to the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.catalog import Canonical

OUTPUTS = ("sma", "ema")
"""What ``out[i]`` holds."""

FIELDS = ("count", "sum", "fresh", "ema")
"""One float64 each for every symbol: good prices since the last bad one, their sum over the window, the sum since the
ring began anew, and the exponential average."""

COUNT, SUM, FRESH, EMA = range(len(FIELDS))


def check(canonical: Canonical, symbols: int, window: int) -> None:
    """Raise ValueError, with one sentence, when `canonical` is not the state of so many symbols and such a window."""
    shapes: dict[str, tuple[int, ...]] = {"bars": (1,), "ring": (window, symbols)}
    shapes.update(dict.fromkeys(FIELDS, (symbols,)))
    for name, shape in shapes.items():
        if name not in canonical:
            raise ValueError(f"signals: a canonical state has {', '.join(shapes)}, and {name!r} is not there")
        found: Any = canonical[name]
        dtype = np.int64 if name == "bars" else np.float64
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(
                f"signals: canonical {name!r} must have the shape {shape} and the dtype {np.dtype(dtype)}, "
                f"not {found.shape} and {found.dtype}: build with the same symbols and window"
            )
    if canonical["bars"][0] < 0 or not np.all(canonical["count"] >= 0):
        raise ValueError("signals: canonical 'bars' and 'count' must not be negative")
