"""What readers of other threads see of a book: the best bid and offer of each symbol, and its best levels, by seqlock.

The writer keeps a copy of what readers want on cache lines of its own for each symbol, so that readers never touch the
book, never disturb another symbol, and keep their place when the book's arrays grow::

    line 0   sequence, best bid, best offer                    written when one of the two has changed
    line 1   sequence, the best 7 bids                         written when one of the best 7 levels of a side has
    line 2   the best 7 offers                                 changed, for symbols that somebody follows
    line 3   unused: it keeps the next symbol off the line that the processor prefetches together with line 2

A level is one word, ``size << 32 | price``; 0 stands for none. The sequence is odd while the writer writes. A reader
takes the sequence, the words, and the sequence again: what it read is one state of the book if both were equal and
even, and else it reads again. The writer never waits.

The words themselves are read and written by relaxed atomics, so there is no data race in the sense of the C++ and LLVM
memory model; with plain accesses a compiler would be free to read a word twice or to move it across the check
(H.-J. Boehm, Can seqlocks get along with programming language memory models?, MSPC 2012). On x86-64 all of these are
plain moves.

The fields that this part uses: `published` int64[32 * symbols] on whole cache lines, `depth_floor`
int64[2 * symbols] (the key from which on a change shows in the published depth), `touched` int64[1] (sides whose depth
must be written anew, one bit each), `depth_scratch` int64[2, 7]; and the parts `best_level` and `copy_levels` of the
variant.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.machine.hints import pause, unlikely
from kernels.machine.memory import aligned
from kernels.machine.sleep import sleep_us
from kernels.marked import marked_point
from kernels.order_book._apply import best_level, cold, copy_levels, entry, hot, level_key
from kernels.order_book._public import public

DEPTH = 7  # levels of a side: with the sequence before them they fill one line
SYMBOL_SHIFT = 5  # 32 words, 4 lines, for each symbol
BEST_SEQUENCE, BEST_BID, BEST_ASK = 0, 1, 2
DEPTH_SEQUENCE, DEPTH_BIDS = 8, 9
DEPTH_ASKS = 17
SIDE_SHIFT = 3  # from the bids to the offers
NEVER = 2**40  # a floor above every key: nobody follows
ALWAYS = -(2**40)  # a floor below every key: fewer than 7 levels, or not yet written
NAP_US = 20
PATIENCE = 64  # after so many reads in vain the writer may have lost its core, perhaps to this very reader


def allocate(symbols: int) -> dict[str, np.ndarray]:
    """Return what is published of empty books, followed by nobody."""
    return {
        "published": aligned(symbols << SYMBOL_SHIFT, np.int64),
        "depth_floor": np.full(2 * symbols, NEVER, np.int64),
        "touched": np.zeros(1, np.int64),
        "depth_scratch": np.zeros((2, DEPTH), np.int64),
    }


# ---- the writer ----------------------------------------------------------------------------------------------------


@hot
def touch(state, row, key):
    """Note that the level `key` of `row` has changed, if that shows in what is published."""
    # RELAXED: `follow` of another thread writes here. The number alone counts, and seeing it late is seeing it later.
    if unlikely(key >= atomics.load(state.depth_floor, row, RELAXED)):
        state.touched[0] |= 1 << (row & 1)


@public
def publish(state, symbol, pauses):
    """Show readers the state of `symbol` after an event. To be called between events, by the one writer."""
    show_best(state.published, symbol, best_level(state, 2 * symbol), best_level(state, 2 * symbol + 1), pauses)
    if unlikely(state.touched[0] != 0):
        _publish_depth(state, symbol, pauses)


@hot
def show_best(words, symbol, bid, ask, pauses):
    """Show readers the best bid and offer of `symbol`, each as ``size << 32 | price``, if one of them has changed."""
    at = np.uint64(symbol) << np.uint64(SYMBOL_SHIFT)
    # RELAXED: nobody else writes these words.
    if (bid != atomics.load(words, at + np.uint64(BEST_BID), RELAXED)) | (
        ask != atomics.load(words, at + np.uint64(BEST_ASK), RELAXED)
    ):
        sequence = _begin(words, at + np.uint64(BEST_SEQUENCE))
        # RELAXED: a reader that sees one of these words together with an old other one is sent back by the sequence.
        atomics.store(words, at + np.uint64(BEST_BID), bid, RELAXED)
        marked_point(pauses)
        atomics.store(words, at + np.uint64(BEST_ASK), ask, RELAXED)
        _end(words, at + np.uint64(BEST_SEQUENCE), sequence)


@hot
def _begin(words, at):
    """Make the sequence at `at` odd before anything else is written; return what it was."""
    sequence = atomics.load(words, at, RELAXED)  # RELAXED: only this thread writes it
    atomics.store(words, at, sequence + 1, RELAXED)  # RELAXED: the fence orders it
    # RELEASE: whoever sees a word written after this fence, and takes an ACQUIRE fence, sees the odd sequence too. A
    # release *store* of the sequence would not do: it orders what stands before it, not what follows.
    atomics.fence(RELEASE)
    return sequence


@hot
def _end(words, at, sequence):
    """Make the sequence even again."""
    atomics.store(words, at, sequence + 2, RELEASE)  # RELEASE: whoever sees the even number sees the words before it


@cold
def _publish_depth(state, symbol, pauses):
    """Write the best levels of the sides that were touched, and of a side that was never written."""
    words, at = state.published, symbol << SYMBOL_SHIFT
    wanted = state.touched[0]
    state.touched[0] = 0
    sequence = _begin(words, at + DEPTH_SEQUENCE)
    for side in range(2):
        row = 2 * symbol + side
        # The first time both: `follow` may have come as far as one side only.
        if (
            sequence == 0 or wanted >> side & 1 or atomics.load(state.depth_floor, row, RELAXED) == ALWAYS
        ):  # RELAXED: as in `touch`
            _write_side(state, row, at + DEPTH_BIDS + (side << SIDE_SHIFT), pauses)
    _end(words, at + DEPTH_SEQUENCE, sequence)


@hot
def _write_side(state, row, at, pauses):
    """Write the best levels of `row`, and from which key on a change will show."""
    prices, sizes = state.depth_scratch[0], state.depth_scratch[1]
    written = copy_levels(state, row, prices, sizes)
    for i in range(DEPTH):
        word = (sizes[i] << 32) | prices[i] if i < written else 0
        atomics.store(state.published, at + i, word, RELAXED)  # RELAXED: between `_begin` and `_end`, as the best
        marked_point(pauses)
    floor = ALWAYS
    if written == DEPTH:
        floor = level_key(prices[DEPTH - 1], row)
    atomics.store(state.depth_floor, row, floor, RELAXED)  # RELAXED: after `follow` this thread alone writes it


@entry
def publish_all(state):
    """Publish every symbol: after the book was emptied or replaced as a whole."""
    for symbol in range(state.depth_floor.shape[0] >> 1):
        followed = atomics.load(state.depth_floor, 2 * symbol, RELAXED) != NEVER  # RELAXED: as in `touch`
        state.touched[0] = 3 if followed else 0
        publish(state, symbol, None)


# ---- readers -------------------------------------------------------------------------------------------------------


@entry
def follow(state, symbol):
    """Have the depth of `symbol` published from the next event of that symbol on. Any thread; there is no way back.

    Depth costs the writer time for every change within the best levels, so it is written only where somebody reads it.
    """
    for row in range(2 * symbol, 2 * symbol + 2):
        # RELAXED: nothing is handed over but the number. By compare, so that a floor which is in use already stays.
        atomics.compare_exchange(state.depth_floor, row, NEVER, ALWAYS, RELAXED)


@hot
def _is_same(words, at, sequence):
    """Return whether the words read since `sequence` was read belong together."""
    # ACQUIRE: if one of the words read was of a later writing, then the load below sees that writing's odd sequence, or
    # a later one. An acquire *load* of the sequence would not do: it orders what follows it, not what stands before.
    atomics.fence(ACQUIRE)
    return (sequence & 1 == 0) & (atomics.load(words, at, RELAXED) == sequence)  # RELAXED: the fence orders it


@hot
def _wait(retries):
    """Wait a moment before reading again; where that has not helped for long, let the writer have the core."""
    if retries < PATIENCE:
        pause()
    else:
        sleep_us(NAP_US)


@public
def read_best(state, symbol):
    """Return ``(bid_ticks, bid_size, ask_ticks, ask_size, retries)``: bid and offer of one and the same moment.

    For any number of threads beside the writer; `retries` says how often the writer came between. Prices and sizes are
    0 for an empty side. While the writer is inside a call, the moment may lie up to 16 messages of that symbol back
    (`_straight.TURN`). The symbol must be below the book's number of symbols.
    """
    words = state.published
    at = np.uint64(symbol << SYMBOL_SHIFT)
    retries = 0
    while True:
        sequence = atomics.load(words, at, ACQUIRE)  # ACQUIRE: the words below are not older than this number
        # RELAXED: these may belong to two writings; then `_is_same` says so.
        bid = atomics.load(words, at + np.uint64(BEST_BID), RELAXED)
        ask = atomics.load(words, at + np.uint64(BEST_ASK), RELAXED)
        if _is_same(words, at, sequence):
            return bid & 0x7FFFFFFF, bid >> 32, ask & 0x7FFFFFFF, ask >> 32, retries
        retries += 1
        _wait(retries)


@public
def read_depth(state, symbol, levels):
    """Write the best levels of both sides, of one and the same moment, into `levels`; return the retries.

    `levels` is int64[2, 7, 2]: side, level from the best on, price and size; zeros where there is no level. Returns -1,
    with nothing written, as long as no event of `symbol` was applied since `follow`.
    """
    words = state.published
    at = np.uint64(symbol << SYMBOL_SHIFT)
    retries = 0
    while True:
        sequence = atomics.load(words, at + np.uint64(DEPTH_SEQUENCE), ACQUIRE)  # ACQUIRE: as in `read_best`
        if sequence == 0:
            return -1
        for side in range(2):
            for i in range(DEPTH):
                word = atomics.load(words, at + np.uint64(DEPTH_BIDS + (side << SIDE_SHIFT) + i), RELAXED)  # as there
                levels[side, i, 0] = word & 0x7FFFFFFF
                levels[side, i, 1] = word >> 32
        if _is_same(words, at + np.uint64(DEPTH_SEQUENCE), sequence):
            return retries
        retries += 1
        _wait(retries)
