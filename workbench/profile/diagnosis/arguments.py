"""Copies of a call's arguments, and whether two calls did the same: what every trial stands on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ALIGNMENT_BYTES = 64


def copied(value: Any) -> Any:
    """Return a copy with the same Numba type: arrays keep strides and write protection.

    A jitclass instance or another opaque object is handed over as it is.
    """
    if isinstance(value, np.ndarray):
        return copied_array(value)
    if isinstance(value, tuple):
        items = [copied(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [copied(item) for item in value]
    if hasattr(value, "copy") and type(value).__module__.startswith("numba.typed"):
        return value.copy()
    return value


def copied_array(array: np.ndarray) -> np.ndarray:
    """Return a copy with the same strides, on a cache line of its own."""
    if array.size == 0 or array.dtype.hasobject:
        return copy.copy(array)
    low, high = np.lib.array_utils.byte_bounds(array)
    offset = array.__array_interface__["data"][0] - low
    raw = np.empty(high - low + ALIGNMENT_BYTES, np.uint8)
    skip = -raw.__array_interface__["data"][0] % ALIGNMENT_BYTES
    twin = np.ndarray(array.shape, array.dtype, raw.data, skip + offset, array.strides)
    twin[...] = array
    twin.flags.writeable = array.flags.writeable
    return twin


def arrays_in(value: Any) -> list[np.ndarray]:
    """Return the arrays inside an argument, in order."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in arrays_in(item)]
    return []


def put_back(into: Any, saved: Any) -> None:
    """Copy the saved arrays over the ones that a call has written to."""
    for target, source in zip(arrays_in(into), arrays_in(saved), strict=True):
        if target.flags.writeable:
            np.copyto(target, source)


def same_bytes(a: Any, b: Any) -> bool:
    """Whether the arrays inside two arguments hold the same bytes."""
    pairs = zip(arrays_in(a), arrays_in(b), strict=True)
    return all(one.shape == two.shape and one.tobytes() == two.tobytes() for one, two in pairs)


def difference(a: Any, b: Any) -> float:
    """Return how far two results are apart, relative to the largest value; infinite when they cannot be compared."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return _array_difference(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if set(a) != set(b):
            return np.inf
        return max((difference(a[key], b[key]) for key in a), default=0.0)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, (str, bytes)):
        if len(a) != len(b):
            return np.inf
        return max((difference(one, two) for one, two in zip(a, b, strict=True)), default=0.0)
    if isinstance(a, (int, float, complex, np.number)) and isinstance(b, (int, float, complex, np.number)):
        return 0.0 if a == b else _array_difference(np.asarray(a), np.asarray(b))
    try:
        return 0.0 if a is b or bool(a == b) else np.inf
    except Exception:  # objects that refuse to be compared: nothing can be said
        return np.inf


def _array_difference(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return np.inf
    if a.dtype.names or a.dtype.kind not in "biufc":
        return 0.0 if a.tobytes() == b.tobytes() else np.inf
    if a.size == 0 or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc"):
        return 0.0
    wide = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    one, two = a.astype(wide), b.astype(wide)
    finite = np.isfinite(one) & np.isfinite(two)
    rest = one[~finite], two[~finite]
    if not np.array_equal(*rest, equal_nan=True):
        return np.inf
    largest = max(float(np.abs(one[finite]).max(initial=0.0)), float(np.abs(two[finite]).max(initial=0.0)))
    return float(np.abs(one[finite] - two[finite]).max(initial=0.0)) / largest if largest else 0.0
