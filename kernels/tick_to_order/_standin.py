"""Parts that are replaced by a replay of themselves, so that one part alone is live.

A *stand-in* holds a real part and a tape. In the first replay of an input it passes every call on and writes the answer
down; in each later replay of the same input, from a reset state, it gives the answers from the tape, and the real part
is not touched. The live part then gets exactly the calls that it gets in the whole pipeline, in their order, with
nothing of its neighbours in the caches or in the time.

What returns nothing (a fill booked, a slot given back) does nothing. The queue's stand-in hands over the one parcel
that a single thread has under way. A stand-in knows its input by its length and a sample of its events; another one is
recorded anew, which gives the right orders and is not isolated. An input that differs outside of the sample alone (one
event changed by hand) would be taken for the recorded one: build anew for it. What the calls do is in `_standin_calls`.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.machine.memory import aligned
from kernels.tick_to_order import _parts
from kernels.tick_to_order._parts import OPTIONS, TAGS

PLAYING, AT, FRESH, WHOLE, LENGTH = range(5)  # what `words` holds, int64 each; from SAMPLE on words of sampled events
SAMPLE = 8
SAMPLES = 40  # the events at 2**k - 1, and the last: more than any input has
MOST = 32  # answers to one message, at most
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
FIRST_ROOM = 1 << 14

hot = kernel_jit(inner=True, forceinline=True, _nrt=False)


def _make_class(part: str, variant: str) -> type:
    """Return the class of the stand-in of a part's variant; it can be imported from here by its name."""
    made = namedtuple(f"{part}_{variant}_stand_in", ("part", "tape", "words"), module=__name__)  # type: ignore[misc]
    setattr(sys.modules[__name__], made.__name__, made)
    return made


CLASSES = {(part, variant): _make_class(part, variant) for part, variant in TAGS}
_ALL = frozenset(CLASSES.values())


def stand_in(part: Any) -> Any:
    """Return a stand-in for `part`, a tagged state, that has recorded nothing."""
    words = aligned(SAMPLE + SAMPLES, np.int64, 128)
    words[FRESH] = 1
    return CLASSES[_parts.chosen(part)](part, aligned(FIRST_ROOM, np.int64), words)


def is_stand_in(part: Any) -> bool:
    """Return whether a part of a pipeline's state is a stand-in."""
    return type(part) in _ALL


def reset(part: Any) -> None:
    """Rewind the tape; empty the real part, unless only the tape was used."""
    if not part.words[PLAYING]:
        _parts.reset(part.part)
    part.words[AT], part.words[FRESH] = 0, 1


def is_full(part: Any) -> bool:
    """Return whether the tape has no room for another message."""
    return not part.words[PLAYING] and part.words[AT] + MOST > len(part.tape)


def grow(part: Any) -> Any:
    """Return the stand-in with twice as long a tape."""
    tape = aligned(2 * len(part.tape), np.int64)
    tape[: len(part.tape)] = part.tape
    return part._replace(tape=tape)


# ---- which run is which ------------------------------------------------------------------------------------------


def is_stand_in_type(part: Any) -> bool:
    """Return whether Numba's type of a part is that of a stand-in."""
    return getattr(part, "instance_class", None) in _ALL


def begin_tape(part: Any, events: Any) -> None:
    """Play the tape in this run if the state was reset and `events` begin the recorded ones; record otherwise."""


def end_tape(part: Any, events: Any) -> None:
    """Remember what was recorded, now that all of `events` have passed."""


def has_room(part: Any) -> Any:
    """Return whether the tape has room for the answers to one message."""


@overload(begin_tape, jit_options=OPTIONS)
def _begin(part, events):
    return _begin_tape if is_stand_in_type(part) and isinstance(events.dtype, types.Record) else _nothing


@overload(end_tape, jit_options=OPTIONS)
def _end(part, events):
    return _end_tape if is_stand_in_type(part) and isinstance(events.dtype, types.Record) else _nothing


@overload(has_room, jit_options=OPTIONS)
def _has_room(part):
    if not is_stand_in_type(part):
        return lambda part: True
    return _has_room_on_tape


def _has_room_on_tape(part):
    room = part.words[AT] + MOST <= part.tape.shape[0]
    if (part.words[PLAYING] != 0) & (not room):  # what was recorded had room
        raise ValueError("tick_to_order: this is not the input that was recorded: build the pipeline anew for it")
    return room


def _nothing(part, events):
    pass


@hot
def _word_of(event):
    """Return a word in which two events hardly agree."""
    mixed = np.uint64(event.order_id) ^ (np.uint64(event.price_ticks) << np.uint64(32)) ^ np.uint64(event.size)
    mixed = (mixed ^ np.uint64(event.timestamp_ns)) * MULTIPLIER
    kinds = (np.uint64(event.symbol) << np.uint64(16)) | (np.uint64(event.kind) << np.uint64(8)) | np.uint64(event.side)
    mixed ^= (mixed >> np.uint64(29)) ^ kinds ^ (np.uint64(event.new_order_id) << np.uint64(1))
    return np.int64(mixed * MULTIPLIER)


def _begin_tape(part, events):
    words, length = part.words, events.shape[0]
    if (words[FRESH] == 0) & (words[PLAYING] != 0) & (length > 0):
        raise ValueError("tick_to_order: the neighbours were replayed from a tape: reset before another input")
    same = (words[FRESH] != 0) & (length > 0) & (length <= words[LENGTH])
    place = 1
    for k in range(SAMPLES - 1):
        if same & (place <= length):
            same &= words[SAMPLE + k] == _word_of(events[place - 1])
        place *= 2
    if length == words[LENGTH]:
        same &= words[SAMPLE + SAMPLES - 1] == _word_of(events[length - 1])
    words[PLAYING] = same
    words[WHOLE] = words[FRESH]
    words[FRESH] = 0
    if not same:
        words[LENGTH] = 0


def _end_tape(part, events):
    words, length = part.words, events.shape[0]
    if (words[PLAYING] == 0) & (words[WHOLE] != 0) & (length > 0):  # what went on from another input is no whole
        words[LENGTH], words[WHOLE] = length, 0
        place = 1
        for k in range(SAMPLES - 1):
            if place <= length:
                words[SAMPLE + k] = _word_of(events[place - 1])
            place *= 2
        words[SAMPLE + SAMPLES - 1] = _word_of(events[length - 1])


@hot
def begin_tapes(state, events):
    """Let each stand-in among the parts choose whether it plays or records; nothing is left of this without any."""
    begin_tape(state.book, events)
    begin_tape(state.signal, events)
    begin_tape(state.risk, events)
    begin_tape(state.codec, events)
    begin_tape(state.queue, events)
    begin_tape(state.pool, events)
    begin_tape(state.position, events)


@hot
def end_tapes(state, events):
    """Let each stand-in keep what it recorded."""
    end_tape(state.book, events)
    end_tape(state.signal, events)
    end_tape(state.risk, events)
    end_tape(state.codec, events)
    end_tape(state.queue, events)
    end_tape(state.pool, events)
    end_tape(state.position, events)


@hot
def tapes_have_room(state):
    """Return whether each stand-in can take the answers to another message; True, and no code, without any."""
    return (
        has_room(state.book) & has_room(state.signal) & has_room(state.risk) & has_room(state.codec)
        & has_room(state.queue) & has_room(state.pool) & has_room(state.position)
    )  # fmt: skip
