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
