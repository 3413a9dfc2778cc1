"""JSON by the standard library, called from Python: what one writes first, and what can be read by eye."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.messages import EVENT, ORDER
from kernels.order_codec import _state
from kernels.order_codec._messages import Messages, records
from kernels.order_codec._probing import REFUSED
from kernels.order_codec._state import BAD_LENGTH
from kernels.order_codec._words import Refusal
from kernels.order_codec.reference import why_refused
from kernels.probe import Probe, start, stop

_RANGE = {  # of each field's integer type
    dtype: {name: (int(np.iinfo(dtype[name]).min), int(np.iinfo(dtype[name]).max)) for name in dtype.names or ()}
    for dtype in (ORDER, EVENT)
}
_COMPACT = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class TextState(NamedTuple):
    """A codec of text."""

    bad: np.ndarray  # int64[threads, BAD_LENGTH]: refusals by `Refusal`
    batch: np.ndarray  # int64[1]: messages on the wire at once


def allocate(parameters: Mapping[str, int]) -> TextState:
    """Return a codec that has refused nothing."""
    return TextState(
        bad=np.zeros((parameters["threads"], BAD_LENGTH), np.int64), batch=np.array([parameters["batch"]], np.int64)
    )


def encode(message: Mapping[str, int]) -> bytes:
    """Return a message as a JSON object of whole numbers, a field of ORDER or EVENT each."""
    return _COMPACT.encode(message).encode()


def decode(text: bytes, dtype: np.dtype[Any]) -> dict[str, int] | Refusal:
    """Return the fields of a message of `dtype`, in its order; or why the text is refused. Any bytes may be given."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or brackets a thousand deep
        return Refusal.FRAME
    if not isinstance(message, dict) or len(message) != len(_RANGE[dtype]):
        return Refusal.FRAME
    fields = {}
    for name, (least, most) in _RANGE[dtype].items():
        value = message.get(name)
        if type(value) is not int or not least <= value <= most:
            return Refusal.FRAME
        fields[name] = value
    refusal = why_refused(fields)
    return fields if refusal is None else refusal


def replay(state: TextState, messages: Messages, out: np.ndarray, begin: int, probe: Probe | None) -> int:
    """Encode ``messages.rows[begin:]`` and decode them into `out`, a batch at a time; return the end."""
    given, decoded, bad = records(messages.rows), records(out), state.bad[messages.lane[0]]
    names, batch = given.dtype.names or (), int(state.batch[0])
    for first in range(begin, len(given), batch):
        stamp = _start(probe) if probe is not None else 0
        values = given[first : first + batch].tolist()
        wire = [encode(dict(zip(names, message, strict=True))) for message in values]
        out[first : first + batch] = 0  # with what no field covers
        for i, text in enumerate(wire, first):
            message = decode(text, given.dtype)
            if isinstance(message, Refusal):
                bad[message] += 1
                if probe is not None:
                    probe.counters[REFUSED] += 1
            else:
                decoded[i] = tuple(message.values())
        if probe is not None:
            _stop(probe, stamp)
    return len(given)


@kernel_jit
def _start(probe):
    """Return a stamp, from Python."""
    return start(probe)


@kernel_jit
def _stop(probe, stamp):
    """Record the time since a stamp, from Python."""
    stop(probe, stamp)


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="JSON by the standard library, called from Python: an object of named whole numbers for each message.",
    allocate=allocate,
    reset=_state.reset,
    replay_from=replay,
    export_state=_state.export_state,
    import_state=_state.import_state,
)
