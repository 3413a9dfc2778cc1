"""The parser of NASDAQ TotalView-ITCH 5.0, in compiled code: whole messages in, events out.

Each message stands behind a 2-byte prefix: its big-endian length in the files that NASDAQ publishes, zero in some test
files. The first message says which; every prefix and type is then checked against the sizes of the specification
("NASDAQ TotalView-ITCH 5.0", sections 1.1 to 1.8), and nothing is read outside a message that is known to be whole.

What becomes of a message: A and F an ADD; E and C an EXECUTE at the order's price; X a CANCEL; D a DELETE; U a REPLACE;
P and (where it has shares) Q a TRADE; H a HALT, or a RESUME when the symbol was halted. All others carry no event.
Symbols are numbered from 0 as their first event comes, by stock locate. Price and side of E, C, X, D and the side of U
are those of an order that the book knows: they stay 0 here.

Why it is fast: which message comes next cannot be predicted, so the eight types that make up a feed share one path
without a branch on the type. A word for each type says where its fields lie; fields that it has not are read from
where it has others, and masked. Loads are whole words with a byte swap, an event is written as five words.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine.endian import big_endian_16, big_endian_32, big_endian_64
from kernels.machine.hints import unlikely
from kernels.messages import EVENT, Kind

SIZES = {
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36, "F": 40,
    "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48,
}  # fmt: skip
PREFIX_BYTES = 2
LONGEST_BYTES = PREFIX_BYTES + max(SIZES.values())
SIZE_OF_TYPE = np.zeros(256, np.int64)
for _letter, _size in SIZES.items():
    SIZE_OF_TYPE[ord(_letter)] = _size
EVENT_WORDS = EVENT.itemsize // 8

# A type's word: the size, the kind, where shares, price, new id and side lie (a byte each), and which of them it has.
_SHARES_AT, _PRICE_AT, _NEW_ID_AT, _SIDE_AT = 16, 24, 32, 40
_HAS_SHARES, _HAS_PRICE, _HAS_NEW_ID, _HAS_SIDE, _RARE = 48, 49, 50, 51, 52
_SOMEWHERE = 11  # what a type has not is read here, where even the shortest type on the fast path has 8 bytes


def _word(letter: str, kind: int, shares: int = 0, price: int = 0, new_id: int = 0, side: int = 0) -> int:
    """Return the word of a type, from the offsets of its fields; 0 where it has none."""
    word = SIZES[letter] | kind << 8
    for offset, at, has in (
        (shares, _SHARES_AT, _HAS_SHARES),
        (price, _PRICE_AT, _HAS_PRICE),
        (new_id, _NEW_ID_AT, _HAS_NEW_ID),
        (side, _SIDE_AT, _HAS_SIDE),
    ):
        word |= (offset or _SOMEWHERE) << at | (offset > 0) << has
    return word


WORD_OF_TYPE = np.zeros(256, np.uint64)
for _letter, _size in SIZES.items():
    WORD_OF_TYPE[ord(_letter)] = _size | 1 << _RARE
for _letter in "AF":
    WORD_OF_TYPE[ord(_letter)] = _word(_letter, Kind.ADD, shares=20, price=32, side=19)
for _letter in "EC":
    WORD_OF_TYPE[ord(_letter)] = _word(_letter, Kind.EXECUTE, shares=19)
WORD_OF_TYPE[ord("X")] = _word("X", Kind.CANCEL, shares=19)
WORD_OF_TYPE[ord("D")] = _word("D", Kind.DELETE)
WORD_OF_TYPE[ord("U")] = _word("U", Kind.REPLACE, shares=27, price=31, new_id=19)
WORD_OF_TYPE[ord("P")] = _word("P", Kind.TRADE, shares=20, price=32, side=19)
NAME_OFFSET = np.zeros(256, np.int64)  # where a type holds the stock's name, 8 bytes
for _letter, _offset in zip("RHAFPQ", (11, 11, 24, 24, 24, 19), strict=True):
    NAME_OFFSET[ord(_letter)] = _offset

_TRADE, _HALT, _RESUME = int(Kind.TRADE), int(Kind.HALT), int(Kind.RESUME)
_H, _Q, _B, _T = ord("H"), ord("Q"), ord("B"), ord("T")
_LOCATES = 1 << 16
_INT32_MAX = 2**31 - 1
CENT = 100  # 1/10,000 dollars

# What `state.control` holds (int64 each).
OFFSET, FAULT, FRAMED, SYMBOLS, CENTS = range(5)
CONTROL_LENGTH = 5
UNKNOWN_TYPE, WRONG_PREFIX = 1, 2  # faults
UNDECIDED = -1  # FRAMED before the first message

# What an entry of `state.symbol` holds above the symbol's id, which is the low 16 bits.
NUMBERED, NAMED, HALTED = 1 << 16, 1 << 17, 1 << 18
_READY = NUMBERED | NAMED


class ItchState(NamedTuple):
    """What the parser remembers between calls. 770 KB, of which a locate that never comes touches nothing."""

    control: np.ndarray  # int64[CONTROL_LENGTH]
    symbol: np.ndarray  # uint32[65536], by stock locate: the id and its flags
    name: np.ndarray  # uint64[65536], by stock locate: 8 letters, the first in the highest byte


def allocate(*, cents: bool = True) -> ItchState:
    """Return the state of a parser that has seen nothing.

    With `cents`, prices become ticks of one cent: that of an order between two cents becomes 0, which a book refuses
    and counts, that of a trade is rounded down. Without, a tick is ITCH's own 1/10,000 dollars, and what has no room in
    32 bits comes out negative, as do sizes above 2**31 - 1 always.
    """
    state = ItchState(
        control=np.zeros(CONTROL_LENGTH, np.int64),
        symbol=np.zeros(_LOCATES, np.uint32),
        name=np.zeros(_LOCATES, np.uint64),
    )
    state.control[FRAMED], state.control[CENTS] = UNDECIDED, cents
    return state


# Inlined or kept apart as said here, not as Numba's own rule would: see `kernels.order_book._apply`.
_hot = kernel_jit(forceinline=True, _nrt=False)
_cold = kernel_jit(forceinline=False, _nrt=False)


@_hot
def _mask(word, has):
    """Return all ones where the type has the field, else zero."""
    return np.uint64(0) - ((word >> np.uint64(has)) & np.uint64(1))


@_hot
def _field(data, message, word, at, has):
    """Return the 32-bit field whose offset the word holds at bit `at`; 0 where the type has none."""
    offset = np.int64((word >> np.uint64(at)) & np.uint64(255))
    return big_endian_32(data, message + offset) & _mask(word, has)


@_hot
def _in_cents(price, rounding):
    """Return `price` (1/10,000 dollars) in cents; 0 where it lies between two and is not to be rounded down."""
    cents = price // np.uint64(CENT)
    return cents if (cents * np.uint64(CENT) == price) | rounding else np.uint64(0)


@_cold
def _introduce(data, message, letter, state):
    """Give the symbol of this message an id, and its name where the message says it; return its entry."""
    locate = big_endian_16(data, message + 1)
    entry = np.int64(state.symbol[locate])
    if not entry & NUMBERED:
        entry |= NUMBERED | state.control[SYMBOLS]
        state.control[SYMBOLS] += 1
    if NAME_OFFSET[letter] and not entry & NAMED:
        state.name[locate] = big_endian_64(data, message + NAME_OFFSET[letter])
        entry |= NAMED
    state.symbol[locate] = np.uint32(entry)
    return np.uint32(entry)


@_cold
def _rare(data, message, letter, words, row, state):
    """Parse a message of another type than those of the fast path; return how many events it is, 0 or 1."""
    locate = big_endian_16(data, message + 1)
    entry = np.int64(state.symbol[locate])
    if NAME_OFFSET[letter] and not entry & NAMED:
        state.name[locate] = big_endian_64(data, message + NAME_OFFSET[letter])
        entry |= NAMED
        state.symbol[locate] = np.uint32(entry)
    kind, price, shares = np.int64(0), np.uint64(0), np.uint64(0)
    if letter == _H:
        trading = data[np.uint64(message + 19)] == _T
        if trading and not entry & HALTED:
            return 0  # each stock is declared tradable before the day starts: that is no event
        kind = np.int64(_RESUME if trading else _HALT)
        state.symbol[locate] = np.uint32(entry & ~HALTED if trading else entry | HALTED)
    elif letter == _Q:
        kind, price, shares = _TRADE, big_endian_32(data, message + 27), big_endian_64(data, message + 11)
        if shares == 0 or shares > np.uint64(_INT32_MAX):
            return 0
        if state.control[CENTS]:
            price = _in_cents(price, True)
    else:
        return 0
    symbol = np.int64(_introduce(data, message, letter, state)) & 0xFFFF
    first = np.uint64(row * EVENT_WORDS)
    words[first] = big_endian_64(data, message + 3) & np.uint64(0xFFFFFFFFFFFF)
    words[first + np.uint64(1)] = np.uint64(0)
    words[first + np.uint64(2)] = np.uint64(0)
    words[first + np.uint64(3)] = price | shares << np.uint64(32)
    words[first + np.uint64(4)] = np.uint64(symbol | kind << 16)
    return 1


@kernel_jit(_nrt=False)
def parse(data, words, stop, state):
    """Parse messages from ``data[control[OFFSET]]`` on into events, and return how many there are.

    `data` is uint8; `words` (uint64) is the memory of as many EVENTs as it has room for. Ends when that is full, before
    a message that starts at `stop` or later, before one that is not whole, and before one that is not ITCH:
    ``control[FAULT]`` then says why. ``control[OFFSET]`` is where to go on.
    """
    control = state.control
    at, end, row, room = control[OFFSET], data.shape[0], np.int64(0), words.shape[0] // EVENT_WORDS
    if control[FRAMED] == UNDECIDED and end - at > PREFIX_BYTES:
        control[FRAMED] = big_endian_16(data, at) != 0
    framed, cents = -np.int64(control[FRAMED] == 1), control[CENTS] != 0
    while row < room and at < stop and end - at > PREFIX_BYTES:
        message = at + PREFIX_BYTES
        letter = data[np.uint64(message)]
        word = WORD_OF_TYPE[letter]
        size = np.int64(word & np.uint64(255))
        if unlikely(size == 0):
            control[FAULT] = UNKNOWN_TYPE
            break
        if unlikely(np.int64(big_endian_16(data, at)) != size & framed):
            control[FAULT] = WRONG_PREFIX
            break
        if unlikely(end - message < size):
            break
        at = message + size
        if unlikely(word >> np.uint64(_RARE) != 0):
            row += _rare(data, message, letter, words, row, state)
            continue
        entry = state.symbol[big_endian_16(data, message + 1)]
        if unlikely(entry & np.uint32(_READY) != np.uint32(_READY)):
            entry = _introduce(data, message, letter, state)
        shares = _field(data, message, word, _SHARES_AT, _HAS_SHARES)
        price = _field(data, message, word, _PRICE_AT, _HAS_PRICE)
        if cents:
            price = _in_cents(price, (word >> np.uint64(8)) & np.uint64(255) == np.uint64(_TRADE))
        new_id_at = message + np.int64((word >> np.uint64(_NEW_ID_AT)) & np.uint64(255))
        new_id = big_endian_64(data, new_id_at) & _mask(word, _HAS_NEW_ID)
        side_at = message + np.int64((word >> np.uint64(_SIDE_AT)) & np.uint64(255))
        other = np.uint64(data[np.uint64(side_at)]) ^ np.uint64(_B)  # 0 for B; a comparison would become a branch
        side = ((other + np.uint64(255)) >> np.uint64(8)) & (word >> np.uint64(_HAS_SIDE))
        first = np.uint64(row * EVENT_WORDS)
        words[first] = big_endian_64(data, message + 3) & np.uint64(0xFFFFFFFFFFFF)
        words[first + np.uint64(1)] = big_endian_64(data, message + 11)
        words[first + np.uint64(2)] = new_id
        words[first + np.uint64(3)] = price | shares << np.uint64(32)
        words[first + np.uint64(4)] = (
            np.uint64(entry & np.uint32(0xFFFF)) | (word & np.uint64(0xFF00)) << np.uint64(8) | side << np.uint64(24)
        )
        row += 1
    control[OFFSET] = at
    return row
