"""Orders and events as 64-bit words: how their fields lie in them, and what a decoder refuses.

An ORDER is 8 words, an EVENT 5, in the byte layout of `kernels.messages`; a whole array of them is a table of words.
What is not a number of 64 bits shares a word:

===========  ==================================================================================
order, 4     ``price_ticks`` bits 0 .. 31, ``size`` 32 .. 63
order, 5     ``account`` 0 .. 31, ``symbol`` 32 .. 47, ``side`` 48 .. 55, ``order_type`` 56 .. 63
order, 6     ``time_in_force`` 0 .. 7, ``action`` 8 .. 15, the rest zero; word 7 is zero
event, 3     as order, 4
event, 4     ``symbol`` 0 .. 15, ``kind`` 16 .. 23, ``side`` 24 .. 31, the rest zero
===========  ==================================================================================

Limits that are powers of two make a check of a whole word one AND: a good order has none of the bits below.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import EVENT, MAX_ORDER_SIZE, MAX_PRICE_TICKS, ORDER, Action, Kind, OrderType, Side, TimeInForce

ORDER_WORDS = ORDER.itemsize // 8
EVENT_WORDS = EVENT.itemsize // 8


class Refusal(IntEnum):
    """Why a decoder refused what came over the wire.

    The first three end the decoding of the bytes at hand: nothing behind a broken frame can be trusted. The others
    concern one message, whose place in the output stays zero. The checks run in this order.
    """

    CUT = 0  # the bytes end inside a message
    FRAME = 1  # the length is not that of the message (text: not of the form, or a number that its field cannot hold)
    LETTER = 2  # the letter is not that of the message
    ACTION = 3
    ORDER_TYPE = 4
    SIDE = 5
    TIME_IN_FORCE = 6
    PRICE = 7  # of an order: not in 0 .. MAX_PRICE_TICKS
    SIZE = 8  # of an order: not in 0 .. MAX_ORDER_SIZE
    KIND = 9
    PADDING = 10  # a record's unused bytes are not zero


REFUSALS = len(Refusal)
CUT, FRAME, LETTER = int(Refusal.CUT), int(Refusal.FRAME), int(Refusal.LETTER)
_ACTION, _TYPE, _SIDE = int(Refusal.ACTION), int(Refusal.ORDER_TYPE), int(Refusal.SIDE)
_FORCE, _PRICE, _SIZE = int(Refusal.TIME_IN_FORCE), int(Refusal.PRICE), int(Refusal.SIZE)
_KIND, _PADDING = int(Refusal.KIND), int(Refusal.PADDING)

_LAST_KIND, _LAST_SIDE = int(max(Kind)), int(max(Side))
_BAD_4 = np.uint64((0xFFFFFFFF ^ MAX_PRICE_TICKS) | (0xFFFFFFFF ^ MAX_ORDER_SIZE) << 32)
_BAD_5 = np.uint64((0xFF ^ int(max(Side))) << 48 | (0xFF ^ int(max(OrderType))) << 56)
_BAD_6 = np.uint64((2**64 - 1) ^ (int(max(TimeInForce)) | int(max(Action)) << 8))
assert all((int(most) + 1) & int(most) == 0 for most in (MAX_PRICE_TICKS, MAX_ORDER_SIZE, max(Side), max(OrderType)))
assert all((int(most) + 1) & int(most) == 0 for most in (max(TimeInForce), max(Action)))

inline = kernel_jit(forceinline=True, _nrt=False)
cold = kernel_jit(forceinline=False, _nrt=False)


@inline
def two_halves(low, high):
    """Return a word of two 32-bit numbers."""
    return np.uint64(np.uint32(low)) | np.uint64(np.uint32(high)) << np.uint64(32)


@inline
def order_word_5(account, symbol, side, order_type):
    """Return the word of account, symbol, side and type."""
    upper = np.uint64(np.uint16(symbol)) | np.uint64(np.uint8(side)) << np.uint64(16)
    upper |= np.uint64(np.uint8(order_type)) << np.uint64(24)
    return np.uint64(np.uint32(account)) | upper << np.uint64(32)


@inline
def order_word_6(time_in_force, action):
    """Return the word of the time in force and the action."""
    return np.uint64(np.uint8(time_in_force)) | np.uint64(np.uint8(action)) << np.uint64(8)


@inline
def event_word_4(symbol, kind, side):
    """Return the word of symbol, kind and side."""
    upper = np.uint64(np.uint8(kind)) | np.uint64(np.uint8(side)) << np.uint64(8)
    return np.uint64(np.uint16(symbol)) | upper << np.uint64(16)


@inline
def signed_32(word):
    """Return the lower half of a word as a signed number."""
    return np.int64(np.int32(word & np.uint64(0xFFFFFFFF)))


@inline
def byte_of(word, place):
    """Return byte number `place` of a word, from the lowest."""
    return np.int64((word >> np.uint64(8 * place)) & np.uint64(255))


@inline
def order_is_good(word_4, word_5, word_6):
    """Return whether every field of an order lies in its range, padding included."""
    beyond = (word_4 & _BAD_4) | (word_5 & _BAD_5) | (word_6 & _BAD_6)
    return (beyond == np.uint64(0)) & (word_5 >= np.uint64(1 << 56)) & (word_6 >= np.uint64(1 << 8))


@inline
def event_is_good(word_4):
    """Return whether kind and side of an event are known ones, and its padding is zero."""
    kind = (word_4 >> np.uint64(16)) & np.uint64(255)
    return (word_4 < np.uint64((_LAST_SIDE + 1) << 24)) & (kind - np.uint64(1) < np.uint64(_LAST_KIND))


@cold
def why_order(word_4, word_5, word_6):
    """Return the first check that a refused order fails, as a `Refusal`."""
    if np.uint64(byte_of(word_6, 1) - 1) >= np.uint64(3):
        return _ACTION
    if np.uint64(byte_of(word_5, 7) - 1) >= np.uint64(3):
        return _TYPE
    if byte_of(word_5, 6) > _LAST_SIDE:
        return _SIDE
    if byte_of(word_6, 0) > 3:
        return _FORCE
    if word_4 & np.uint64(0xFFFFFFFF) > np.uint64(MAX_PRICE_TICKS):
        return _PRICE
    if word_4 >> np.uint64(32) > np.uint64(MAX_ORDER_SIZE):
        return _SIZE
    return _PADDING


@cold
def why_event(word_4):
    """Return the first check that a refused event fails, as a `Refusal`."""
    if byte_of(word_4, 3) > _LAST_SIDE:
        return _SIDE
    kind = byte_of(word_4, 2)
    return _KIND if kind < 1 or kind > _LAST_KIND else _PADDING
