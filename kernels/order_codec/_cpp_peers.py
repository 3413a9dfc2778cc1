"""The codec in C++ (`peer_cpp.cpp`): two forms, the same checks as ours, one call for all messages."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kernels import cpp
from kernels.catalog import Variant
from kernels.machine.memory import aligned
from kernels.order_codec._messages import Messages
from kernels.probe import Probe

SOURCE = Path(__file__).with_name("peer_cpp.cpp")


@functools.cache
def _function(name: str) -> ctypes._NamedFuncPointer:
    found = getattr(cpp.library(SOURCE), name)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    found.restype, found.argtypes = size, [pointer, pointer, size, size, size, pointer, size]
    return found


class CppState:
    """A wire of its own, and how many messages were refused."""

    def __init__(self, parameters: Mapping[str, int]):
        self.batch = parameters["batch"]
        self.wire = aligned(64 * self.batch, np.uint8)
        self.refused = 0


def reset(state: CppState) -> None:
    """Forget what was refused."""
    state.refused = 0


def cpp_peer(name: str, function: str, idea: str) -> Variant:
    """Return the variant that calls `function` of the C++ file."""

    def replay(state: CppState, messages: Messages, out: np.ndarray, begin: int, probe: Probe | None) -> int:
        """Encode and decode ``messages.rows[begin:]`` into `out`, without the GIL."""
        rows = messages.rows
        state.refused += _function(function)(
            rows.ctypes.data, out.ctypes.data, begin, len(rows), rows.shape[1], state.wire.ctypes.data, state.batch
        )
        return len(rows)

    return Variant(
        name=name,
        parent=None,
        idea=idea,
        allocate=CppState,
        reset=reset,
        replay_from=replay,
        peer=True,
        missing=cpp.missing,
        refuses=lambda parameters: "the wire belongs to one thread" if parameters["threads"] > 1 else None,
    )
