"""Boost's ring for one producer and one consumer, ``boost::lockfree::spsc_queue``, the yardstick: `peer_queues.cpp`."""

from __future__ import annotations

from collections.abc import Mapping

from kernels import cpp
from kernels.catalog import Variant
from kernels.message_queue import _single
from kernels.message_queue._peer import PeerState, refuses_size, replay, reset
from kernels.message_queue._ring import check


def missing() -> str | None:
    """Return why the peer cannot run here, or None."""
    return cpp.missing("boost/lockfree/spsc_queue.hpp", "libboost-dev")


def allocate(parameters: Mapping[str, int]) -> PeerState:
    """Return two empty queues."""
    check(parameters)
    return PeerState(parameters["slots"], parameters["record_bytes"] // 8, "-DWITH_BOOST")


def refuses(parameters: Mapping[str, int]) -> str | None:
    """Return why the peer cannot take these parameters, or None."""
    return _single.refuses(parameters) or refuses_size(parameters)


VARIANT = Variant(
    name="peer_boost_spsc",
    parent=None,
    idea="Boost's spsc_queue, one record a call, its capacity known at compile time where it is 1,024.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    peer=True,
    missing=missing,
    refuses=refuses,
)
