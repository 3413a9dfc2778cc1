"""The packed big-endian form by Python's struct module, from and to tuples."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.order_codec._peers import python_peer

_CODES = {"i8": "q", "u8": "Q", "i4": "i", "u4": "I", "u2": "H", "u1": "B"}


@functools.cache
def functions(dtype: np.dtype[Any]) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return the encoder and the decoder: the fields alone, without length and letter."""
    form = struct.Struct(">" + "".join(_CODES[dtype[name].str[1:]] for name in dtype.names or ()))
    return lambda values: form.pack(*values), form.unpack


VARIANT = python_peer(
    "peer_struct", "Packed big-endian by the struct module, tuples in and out.", functions, lambda given: given.tolist()
)
