"""The state that the packed and the record forms share: a wire for each thread, and what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.catalog import Canonical
from kernels.machine.memory import aligned
from kernels.order_codec._words import REFUSALS

BAD_LENGTH = 16  # two cache lines for each thread: no two write the same one
assert REFUSALS <= BAD_LENGTH
SLACK_BYTES = 64  # a whole vector may be written behind the last message


class WireState(NamedTuple):
    """A codec of one form; `decode` counts its refusals in row 0 of `bad`."""

    wire: np.ndarray  # uint8[threads, room]: what one thread has encoded and not decoded yet
    bad: np.ndarray  # int64[threads, BAD_LENGTH]: refusals by `Refusal`
    batch: np.ndarray  # int64[1]: messages on the wire at once


def allocate(parameters: Mapping[str, int]) -> WireState:
    """Return a codec with an empty wire."""
    threads, batch = parameters["threads"], parameters["batch"]
    room = -(-(batch * 64 + SLACK_BYTES) // 128) * 128
    return WireState(
        wire=aligned((threads, room), np.uint8),
        bad=aligned((threads, BAD_LENGTH), np.int64),
        batch=np.array([batch], np.int64),
    )


def reset(state: Any) -> None:
    """Forget what was refused. What is left on the wire is never read again."""
    state.bad[:] = 0


def export_state(state: Any) -> Canonical:
    """Return the refusals by `Refusal`, over all threads: a codec remembers nothing else."""
    return {"bad": state.bad.sum(axis=0)[:REFUSALS]}


def import_state(state: Any, canonical: Canonical) -> Any:
    """Put the refusals of another codec into `state`. Raises ValueError, changing nothing, when they are none."""
    bad = canonical.get("bad")
    if bad is None or bad.shape != (REFUSALS,) or bad.dtype != np.int64 or (bad < 0).any():
        raise ValueError(f"order_codec: a canonical state has 'bad', {REFUSALS} whole numbers from 0 on (int64)")
    state.bad[:] = 0
    state.bad[0, :REFUSALS] = bad
    return state
