"""The structured dtypes that cross between the parts of a trading system: fields, units, byte layout.

All are packed little-endian with natural alignment, so that a recording can be mapped into memory and read in place.
Prices are integer ticks, never floats; sizes are shares or contracts.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Kind(IntEnum):
    """What an `EVENT` says. The numbers are part of the recording format: never reuse one."""

    ADD = 1  # a new resting order
    CANCEL = 2  # part of an order is taken out: `size` is what goes
    DELETE = 3  # the whole order is taken out; `size` and `price_ticks` are not read
    EXECUTE = 4  # an order is filled by `size`, at its own price
    TRADE = 5  # a trade that touches no visible order (hidden order, cross, auction)
    REPLACE = 6  # `order_id` goes, `new_order_id` comes with `price_ticks` and `size`, same side
    MODIFY = 7  # the order keeps its id and takes `price_ticks` and `size`
    HALT = 8  # trading in the symbol is halted; book events still count
    RESUME = 9  # trading in the symbol goes on
    CLEAR = 10  # every order of the symbol is taken out


class Side(IntEnum):
    """The side of an order, or of the resting order that a trade hit."""

    BID = 0
    ASK = 1


EVENT = np.dtype(
    {
        "names": [
            "timestamp_ns",  # i8, since midnight of the exchange's day (or the epoch: only differences are used)
            "order_id",  # u8, any value; 0 is reserved for "none"
            "new_order_id",  # u8, for REPLACE; else 0
            "price_ticks",  # i4, > 0 on ADD, REPLACE, MODIFY
            "size",  # i4, > 0 on ADD, CANCEL, EXECUTE, REPLACE, MODIFY
            "symbol",  # u2, dense, from 0
            "kind",  # u1, a Kind
            "side",  # u1, a Side
        ],
        "formats": ["<i8", "<u8", "<u8", "<i4", "<i4", "<u2", "u1", "u1"],
        "offsets": [0, 8, 16, 24, 28, 32, 34, 35],
        "itemsize": 40,
    }
)
"""One market event, 40 bytes (the last 4 are padding and zero)."""

BEST = np.dtype([("bid_ticks", "<i4"), ("bid_size", "<i4"), ("ask_ticks", "<i4"), ("ask_size", "<i4")])
"""Best bid and offer of one symbol, 16 bytes. An empty side has price 0 and size 0."""


class Action(IntEnum):
    """What an `ORDER` asks for. The numbers go over the wire: never reuse one."""

    NEW = 1
    CANCEL = 2  # `old_order_id` goes; `price_ticks` and `size` are not read
    REPLACE = 3  # `old_order_id` goes, `order_id` comes with `price_ticks` and `size`


class OrderType(IntEnum):
    """How the price of an `ORDER` binds it."""

    LIMIT = 1
    MARKET = 2  # `price_ticks` is 0
    POST_ONLY = 3  # a limit that is refused where it would trade at once


class TimeInForce(IntEnum):
    """How long an `ORDER` stands."""

    DAY = 0
    IMMEDIATE = 1  # what does not trade at once goes
    ALL_OR_NONE = 2  # at once and whole, or not at all
    UNTIL_CANCELLED = 3


ORDER = np.dtype(
    {
        "names": [
            "timestamp_ns",  # i8, when the order was made, on the clock of the events
            "market_ns",  # i8, the timestamp of the event that it answers; 0: none
            "order_id",  # u8, the client's id of this order; 0 is reserved for "none"
            "old_order_id",  # u8, the client's id of the order that CANCEL and REPLACE take out; else 0
            "price_ticks",  # i4, 0 .. MAX_PRICE_TICKS
            "size",  # i4, 0 .. MAX_ORDER_SIZE, shares or contracts
            "account",  # u4, dense, from 0
            "symbol",  # u2, dense, from 0
            "side",  # u1, a Side
            "order_type",  # u1, an OrderType
            "time_in_force",  # u1, a TimeInForce
            "action",  # u1, an Action
        ],
        "formats": ["<i8", "<i8", "<u8", "<u8", "<i4", "<i4", "<u4", "<u2", "u1", "u1", "u1", "u1"],
        "offsets": [0, 8, 16, 24, 32, 36, 40, 44, 46, 47, 48, 49],
        "itemsize": 64,
    }
)
"""One outgoing order, 64 bytes: a cache line (the last 14 are padding and zero)."""

MAX_PRICE_TICKS = 2**30 - 1  # two of them still add without overflow in 32 bits
MAX_ORDER_SIZE = 2**24 - 1  # 16 million shares: above every exchange's limit
MAX_LEVEL_SIZE = 2**31 - 1  # what a level may sum to


class Bad(IntEnum):
    """Why an event was refused. A refused event is counted under its kind and changes nothing else.

    The checks run in this order, so that every variant counts the same event under the same kind.
    """

    KIND = 0  # not a `Kind`
    SYMBOL = 1  # not below the number of symbols the book was built for
    SIDE = 2  # ADD whose side is neither BID nor ASK
    PRICE = 3  # not in 1 .. MAX_PRICE_TICKS where a price is needed
    SIZE = 4  # not in 1 .. MAX_ORDER_SIZE where a size is needed
    UNKNOWN_ID = 5  # CANCEL, DELETE, EXECUTE, REPLACE or MODIFY of an order that is not in the book of that symbol
    DUPLICATE_ID = 6  # ADD, or REPLACE, with an id that is in the book already, or with id 0
    OVER_SIZE = 7  # CANCEL or EXECUTE of more than what is left
    LEVEL_FULL = 8  # the level would sum to more than MAX_LEVEL_SIZE


BAD_KINDS = len(Bad)
