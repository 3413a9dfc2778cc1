"""How the stand-in of a part (`_standin`) answers each call: from the tape, or from the real part, written down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from kernels.machine.hints import unlikely
from kernels.tick_to_order import _book, _parts
from kernels.tick_to_order._parts import OPTIONS
from kernels.tick_to_order._standin import AT, PLAYING, is_stand_in_type

PARCEL_WORDS = 16


def _recorded(call: Any) -> None:
    """Make a whole-number answer of `call` one that the tape knows."""

    def word(part, *arguments):
        at = part.words[AT]
        if unlikely(part.words[PLAYING] == 0):
            part.tape[at] = call(part.part, *arguments)
        part.words[AT] = at + 1
        return part.tape[np.uint64(at)]

    overload(call, jit_options=OPTIONS)(lambda part, *arguments: word if is_stand_in_type(part) else None)


def _silent(call: Any) -> None:
    """Leave out a `call` that answers nothing."""

    def nothing(part, *arguments):
        if unlikely(part.words[PLAYING] == 0):
            call(part.part, *arguments)

    overload(call, jit_options=OPTIONS)(lambda part, *arguments: nothing if is_stand_in_type(part) else None)


for _call in (_parts.check, _parts.encode, _parts.take, _parts.read, _book.halted):
    _recorded(_call)
for _call in (_parts.release, _parts.give_back, _parts.write, _parts.apply_fill):
    _silent(_call)


@overload(_parts.update, jit_options=OPTIONS)
def _update(part, *arguments):
    def value(part, *arguments):
        at, values = part.words[AT], part.tape.view(np.float64)
        if unlikely(part.words[PLAYING] == 0):
            values[at] = _parts.update(part.part, *arguments)
        part.words[AT] = at + 1
        return values[np.uint64(at)]

    return value if is_stand_in_type(part) else None


@overload(_parts.decode, jit_options=OPTIONS)
def _decode(part, data, offset, length):
    def fields(part, data, offset, length):
        at, tape = np.uint64(part.words[AT]), part.tape
        if unlikely(part.words[PLAYING] == 0):
            (
                tape[at], tape[at + 1], tape[at + 2], tape[at + 3], tape[at + 4], tape[at + 5], tape[at + 6],
                tape[at + 7], tape[at + 8], tape[at + 9], tape[at + 10], tape[at + 11], tape[at + 12]
            ) = _parts.decode(part.part, data, offset, length)  # fmt: skip
        part.words[AT] += 13
        return (
            tape[at], tape[at + 1], tape[at + 2], np.uint64(tape[at + 3]), np.uint64(tape[at + 4]), tape[at + 5],
            tape[at + 6], tape[at + 7], tape[at + 8], tape[at + 9], tape[at + 10], tape[at + 11], tape[at + 12]
        )  # fmt: skip

    return fields if is_stand_in_type(part) else None


@overload(_parts.push, jit_options=OPTIONS)
def _push(part, parcels, i):
    def hand_over(part, parcels, i):
        for word in range(PARCEL_WORDS):
            part.tape[word] = parcels[i, word]
        part.words[AT] = 1
        return True

    return hand_over if is_stand_in_type(part) else None


@overload(_parts.pop, jit_options=OPTIONS)
def _pop(part, parcels, i):
    def take_over(part, parcels, i):
        if part.words[AT] == 0:
            return False
        for word in range(PARCEL_WORDS):
            parcels[i, word] = part.tape[word]
        part.words[AT] = 0
        return True

    return take_over if is_stand_in_type(part) else None


@overload(_book.apply_event, jit_options=OPTIONS)
def _apply_event(book, event, symbols):
    def applied(book, event, symbols):
        at, tape = np.uint64(book.words[AT]), book.tape
        if unlikely(book.words[PLAYING] == 0):
            done, tape[at], tape[at + 1] = _book.apply_event(book.part, event, symbols)
            if not done:
                return False, np.int64(0), np.int64(0)
        book.words[AT] += 2
        return True, tape[at], tape[at + 1]

    return applied if is_stand_in_type(book) else None


@overload(_book.fetch_ahead, jit_options=OPTIONS)
def _fetch_ahead(book, given, at):
    return (lambda book, given, at: None) if is_stand_in_type(book) else None
