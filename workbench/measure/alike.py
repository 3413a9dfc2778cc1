"""Whether two values of a user's functions are alike, and a hash of them that is the same in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np


def is_alike(a: Any, b: Any, tolerance: float, refused: list[str] | None = None) -> bool:
    """Return whether two values are alike: NaN equals NaN, floating-point numbers within a relative `tolerance`.

    Tuples, lists, mappings, dataclasses and structured arrays are compared part by part. What has no equality of its
    own, or raises when it is compared, counts as alike, and the name of its type is added to `refused`.
    """
    refused = [] if refused is None else refused
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(is_alike(x, y, tolerance, refused) for x, y in zip(a, b, strict=True))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(is_alike(a[key], b[key], tolerance, refused) for key in a)
    if _is_dataclass(a) and type(a) is type(b):
        names = [each.name for each in dataclasses.fields(a) if each.compare]
        return all(is_alike(getattr(a, name, None), getattr(b, name, None), tolerance, refused) for name in names)
    if isinstance(a, np.ndarray) and a.dtype.names:
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and all(is_alike(a[name], b[name], tolerance, refused) for name in a.dtype.names)
        )
    if isinstance(a, (np.ndarray, np.generic, float, complex)):
        return _are_numbers_alike(a, b, tolerance)
    try:
        if a == b:
            return True
        has_equality = a is None or any("__eq__" in vars(kind) for kind in type(a).__mro__[:-1])
    except Exception:  # its own code raises what it likes; a table's answer is a table
        refused.append(type(a).__name__)
        return True
    if has_equality or type(a) is not type(b):
        return False
    refused.append(type(a).__name__)
    return True


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _are_numbers_alike(a: Any, b: Any, tolerance: float) -> bool:
    try:
        x, y = np.asarray(a), np.asarray(b)
        if x.dtype.kind in "fc" or y.dtype.kind in "fc":
            return x.shape == y.shape and bool(np.allclose(x, y, rtol=tolerance, atol=0.0, equal_nan=True))
        return bool(np.array_equal(x, y))
    except (TypeError, ValueError):
        return False


def digest(value: Any) -> bytes:
    """Return the SHA-256 of a value and all its parts: the same in every process, whatever the order of a set there.

    Arrays count by type, dtype, shape and content; of mappings and sets the order does not count.
    """
    found = hashlib.sha256(type(value).__name__.encode())
    for part in _parts(value):
        found.update(len(part).to_bytes(8, "little"))  # so that no two rows of parts run into the same bytes
        found.update(part)
    return found.digest()


def _parts(value: Any) -> list[bytes]:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject and not isinstance(value, np.ma.MaskedArray):
        content = np.ascontiguousarray(value).tobytes()
        return [repr(value.dtype).encode(), repr(value.shape).encode(), content]
    if isinstance(value, (tuple, list)):
        return [digest(part) for part in value]
    if isinstance(value, Mapping):
        return sorted(digest((key, value[key])) for key in value)
    if isinstance(value, AbstractSet):
        return sorted(digest(part) for part in value)
    if _is_dataclass(value):
        return [digest(getattr(value, each.name, None)) for each in dataclasses.fields(value)]
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        return [repr(value).encode()]
    try:
        return [pickle.dumps(value, protocol=5)]
    except Exception:  # what a `setup` makes in the other process need not cross
        return [b"?"]
