"""JSON by the standard library, from dictionaries that are there already: the text alone, without our baseline's work
on arrays.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.order_codec._peers import python_peer


def functions(dtype: np.dtype[Any]) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return the encoder and the decoder."""
    encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False)
    return lambda message: encoder.encode(message).encode(), json.loads


VARIANT = python_peer("peer_json", "JSON by the standard library, dictionaries in and out.", functions)
