"""The queue of most C++ programs: a ``std::deque`` behind a ``std::mutex``, bounded as a ring is: `peer_queues.cpp`."""

from __future__ import annotations

from collections.abc import Mapping

from kernels import cpp
from kernels.catalog import Variant
from kernels.message_queue._peer import PeerState, refuses_size, replay, reset
from kernels.message_queue._ring import check


def allocate(parameters: Mapping[str, int]) -> PeerState:
    """Return two empty queues."""
    check(parameters)
    return PeerState(parameters["slots"], parameters["record_bytes"] // 8)


VARIANT = Variant(
    name="peer_mutex_deque",
    parent=None,
    idea="A std::deque behind a std::mutex, taken for every record; it allocates as it grows and shrinks.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    peer=True,
    missing=cpp.missing,
    refuses=refuses_size,
)
