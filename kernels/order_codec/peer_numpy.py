"""The packed big-endian form by NumPy: a structured array copied, field by field, into one of the other byte order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.catalog import Variant
from kernels.messages import EVENT, ORDER
from kernels.order_codec._messages import Messages, records
from kernels.probe import Probe


class WireState(NamedTuple):
    """A packed array for each kind of message."""

    wires: dict[np.dtype[Any], np.ndarray]


def allocate(parameters: Mapping[str, int]) -> WireState:
    """Return arrays for a batch of messages on the wire."""
    wires = {}
    for dtype in (ORDER, EVENT):
        packed = np.dtype([(name, dtype[name].newbyteorder(">")) for name in dtype.names or ()])
        wires[dtype] = np.zeros(parameters["batch"], packed)
    return WireState(wires)


def reset(state: WireState) -> None:
    """Do nothing: what is left on the wire is never read again."""


def replay(state: WireState, messages: Messages, out: np.ndarray, begin: int, probe: Probe | None) -> int:
    """Encode and decode all messages into `out`, a batch at a time; nothing is allocated or checked."""
    given, decoded = records(messages.rows), records(out)
    wire = state.wires[given.dtype]
    for first in range(begin, len(given), len(wire)):
        last = min(first + len(wire), len(given))
        part = wire[: last - first]
        part[:] = given[first:last]
        decoded[first:last] = part
    return len(given)


VARIANT = Variant(
    name="peer_numpy",
    parent=None,
    idea="Packed big-endian by NumPy's assignment between structured arrays, in bulk.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    peer=True,
    refuses=lambda parameters: "the wire belongs to one thread" if parameters["threads"] > 1 else None,
)
