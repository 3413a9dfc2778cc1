"""The pipeline's own state, beside those of its parts: what stands in which word."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# What `settings` holds (int64 each): what the pipeline was built with.
SYMBOLS, ACCOUNTS, LOT, EDGE, DROP, THREADS = range(6)
PENDING = 6  # 1: an event was decoded, and comes again, because the book had no room for it
SETTINGS_LENGTH = 8

# What `tally` holds (int64 each): counted by the feeding thread, with or without a probe: nothing is lost silently.
MESSAGES = 0  # all that came, whatever became of them
TICKS = 1  # messages that moved the best bid or offer of a two-sided book
CROSSINGS = 2  # ticks at which the mid price left the signal's band on the other side
HALTED = 3  # crossings of a symbol that was halted: no order
REFUSED = 4  # crossings that the risk check refused
NO_SLOT = 5  # orders given up because the pool was empty
UNENCODED = 6  # orders given up because the codec had no room for them
DROPPED = 7  # orders given up because the queue was full
SENT = 8  # orders put into the queue
ANSWERED = 9  # orders that the market has answered
FILLED = 10  # shares of them that were filled
WAITS = 11  # times that the feeding thread found the queue full and waited a moment
FAULTS = 12  # places where the bytes were not ITCH
UNREAD = 13  # bytes behind such a place, and of a message cut at the end
TALLY_LENGTH = 16
TALLY_NAMES = (
    "messages", "ticks", "crossings", "halted", "refused", "no_slot", "unencoded", "dropped", "sent", "answered",
    "filled", "waits", "faults", "unread",
)  # fmt: skip

# What `gateway` holds (int64 each): the thread that takes orders out of the queue counts there.
TAKEN = 0  # orders taken out of the queue
WRITTEN = 1  # those of this call, which is where the next goes in `out`
CHECKSUM = 2  # of all of them, see `checksum_step`
UNDECODED = 3  # orders that the codec refused to decode: none, unless something is broken
LOST = 4  # orders for which `out` had no room
GATEWAY_LENGTH = 16

ENDED = 0  # the word of `gate`: the feeding thread has come to its end

# A parcel, what goes through the queue: four words, then the encoded order.
ENCODED_BYTES, STAMP, PUSHED = range(3)
HEADER_WORDS = 4

# What is kept of an open order in its slot of the pool, by word.
ORDER_ACCOUNT, ORDER_SIDE, ORDER_PRICE, ORDER_SIZE, ORDER_FILL = range(5)


class TickState(NamedTuple):
    """The parts, each under the tag of its variant, and what the pipeline keeps itself."""

    book: Any
    signal: Any
    risk: Any
    codec: Any
    queue: Any
    pool: Any
    position: Any
    itch: Any  # `kernels.feeds.itch_parser.ItchState`
    decoded: np.ndarray  # EVENT[1]: what was parsed of ITCH
    settings: np.ndarray  # int64[SETTINGS_LENGTH]
    touch: np.ndarray  # int64[symbols, 4]: `size << 32 | price` of bid and ask, stance, slot of the open order + 1
    parcel: np.ndarray  # uint8[bytes]: the parcel that is being made
    received: np.ndarray  # uint8[bytes]: the one that was taken out
    tally: np.ndarray  # int64[TALLY_LENGTH]
    gateway: np.ndarray  # int64[GATEWAY_LENGTH], on lines of its own
    gate: np.ndarray  # int64[16], on lines of its own


BID, ASK, STANCE, OPEN = range(4)  # the columns of `touch`
