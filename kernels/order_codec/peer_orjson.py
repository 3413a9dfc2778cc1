"""JSON by orjson, the fastest for Python: from dictionaries that are there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.order_codec._peers import python_peer


def functions(dtype: np.dtype[Any]) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return the encoder and the decoder."""
    import orjson

    return orjson.dumps, orjson.loads


VARIANT = python_peer("peer_orjson", "JSON by orjson, dictionaries in and out.", functions, package="orjson")
