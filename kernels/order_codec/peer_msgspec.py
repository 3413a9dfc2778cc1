"""MessagePack by msgspec, into typed objects that it knows beforehand: the fastest way that it has."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.order_codec._peers import python_peer


@functools.cache
def struct_of(dtype: np.dtype[Any]) -> Any:
    """Return a class of msgspec with the fields of `dtype`, written as an array without their names."""
    import msgspec

    return msgspec.defstruct("Message", [(name, int) for name in dtype.names or ()], array_like=True, gc=False)


@functools.cache
def functions(dtype: np.dtype[Any]) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return the encoder and the decoder."""
    import msgspec

    return msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(struct_of(dtype)).decode


def objects(given: np.ndarray) -> list[Any]:
    """Return an array of ORDER or EVENT as objects of msgspec."""
    made = struct_of(given.dtype)
    return [made(*values) for values in given.tolist()]


VARIANT = python_peer(
    "peer_msgspec", "MessagePack by msgspec, typed objects in and out.", functions, objects, package="msgspec"
)
